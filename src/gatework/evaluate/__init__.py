"""One model on one part of the data: metrics with intervals beside the baselines; and on new data: predictions."""

from gatework.evaluate.compare import Comparison, compare_runs
from gatework.evaluate.predict import Prediction, Predictor, load, predict_run
from gatework.evaluate.run import evaluate_run

__all__ = ["Comparison", "Prediction", "Predictor", "compare_runs", "evaluate_run", "load", "predict_run"]
