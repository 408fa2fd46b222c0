"""The scikit-learn face: Classifier, Regressor, Forecaster, AnomalyDetector.

Thin: they put arrays into a table, then train and predict as everyone else does.
"""

from gatework.estimators.anomalies import AnomalyDetector
from gatework.estimators.forecaster import Forecaster
from gatework.estimators.sequences import Classifier, Regressor

__all__ = ["AnomalyDetector", "Classifier", "Forecaster", "Regressor"]
