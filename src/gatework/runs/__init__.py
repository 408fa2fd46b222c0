"""The files of one run and their schemas.

    config.json         Plan            everything that was decided before training
    split.json          SplitRecord     which rows or sequences were used for what
    prepare.json        (data.prepare)  scales and categories, fitted on training rows only
    model.safetensors   (model)         the best weights
    detector.json       DetectorRecord  of anomaly detection: what is normal, and the threshold of an alarm
    checkpoint.safetensors  (train)     all that a killed training needs to go on
    decision.json       Decision        of a classification: calibration and threshold, fitted on the validation part
    history.jsonl       HistoryRow      one line per epoch
    conformal.json      Conformal       how ranges are corrected by the errors on the validation part (forecasts)
    conformal.safetensors  (model)      those errors
    evaluation.json     Evaluation      metrics with intervals beside the baselines, and the numbers of the figures
    predictions.parquet (evaluate)      every test prediction, with time stamps
    figures/, report.html  (report)
    run.json            Manifest        versions, seeds, hashes, wall time

plan.py, split.py, history.py and others have the records; folder.py reads and writes them. A study is a folder of such folders;
study.py has the record of it.

Stages meet only in this folder: each reads what the earlier ones wrote and can be run again alone. Writing is atomic (a temporary
file, flushed, then renamed), so a file is either the old or the new one. No torch here.
"""

from gatework.runs.anomaly import AnomalyPlan, DetectorRecord, ThresholdRecord
from gatework.runs.conformal import Conformal
from gatework.runs.decision import Decision, DecisionPlan
from gatework.runs.evaluation import Evaluation, IntervalScores, MetricInfo, Score, ScoreRow, UncertaintyScores, leaderboard
from gatework.runs.figures import (
    AnyFigure,
    Band,
    BarsFigure,
    Curve,
    CurvesFigure,
    DotsFigure,
    Figure,
    Line,
    LinesFigure,
    MatrixFigure,
    ScatterFigure,
)
from gatework.runs.folder import RunFolder, atomic_write, file_sha256
from gatework.runs.history import HistoryRow, Manifest, SourceFile
from gatework.runs.plan import DataPlan, FieldPlan, ModelPlan, Plan, RangePlan, SplitPlan, TrainingPlan
from gatework.runs.record import (
    CLASS_TASKS,
    HISTORY_TASKS,
    SCHEMA_VERSION,
    STEP_TASKS,
    DecoderName,
    LossName,
    Normalisation,
    OutputName,
    Part,
    PoolingName,
    RangeMethod,
    Record,
    TaskName,
)
from gatework.runs.split import Bound, Interval, SplitRecord

__all__ = [
    "CLASS_TASKS",
    "HISTORY_TASKS",
    "SCHEMA_VERSION",
    "STEP_TASKS",
    "AnomalyPlan",
    "AnyFigure",
    "Band",
    "BarsFigure",
    "Bound",
    "Conformal",
    "Curve",
    "CurvesFigure",
    "DataPlan",
    "Decision",
    "DecisionPlan",
    "DecoderName",
    "DetectorRecord",
    "DotsFigure",
    "Evaluation",
    "FieldPlan",
    "Figure",
    "HistoryRow",
    "Interval",
    "IntervalScores",
    "Line",
    "LinesFigure",
    "LossName",
    "Manifest",
    "MatrixFigure",
    "MetricInfo",
    "ModelPlan",
    "Normalisation",
    "OutputName",
    "Part",
    "Plan",
    "PoolingName",
    "RangeMethod",
    "RangePlan",
    "Record",
    "RunFolder",
    "ScatterFigure",
    "Score",
    "ScoreRow",
    "SourceFile",
    "SplitPlan",
    "SplitRecord",
    "TaskName",
    "ThresholdRecord",
    "TrainingPlan",
    "UncertaintyScores",
    "atomic_write",
    "file_sha256",
    "leaderboard",
]
