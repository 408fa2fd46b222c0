"""Metrics: records in lists, and what they are computed from.

A table row is made in two steps: `measure_forecast`, `measure_regression` or `measure_classes` reduce truth and prediction to
sums per sample (NaN or −1 truths left out), and `evaluate.bootstrap` turns these into values with intervals. `point_values` gives
the values alone. Where a metric is not defined (R² of a constant, AUROC of one class) its value is None.
"""

from gatework.tasks.metrics.class_metrics import CLASSIFICATION_METRICS, ClassScoring, scoring_for
from gatework.tasks.metrics.classes import ClassErrors, confusion_counts, measure_classes
from gatework.tasks.metrics.copying import follows, moved_from
from gatework.tasks.metrics.intervals import interval_scores, quantile_loss
from gatework.tasks.metrics.numbers import (
    FORECAST_METRICS,
    REGRESSION_METRICS,
    NumberErrors,
    best_simple,
    mae_by_horizon,
    measure_forecast,
    measure_regression,
    seasonal_change,
    seasonal_scale,
)
from gatework.tasks.metrics.reliability import NUM_CALIBRATION_BINS, reliability
from gatework.tasks.metrics.scores import Measured, Metric, point_values

__all__ = [
    "CLASSIFICATION_METRICS",
    "FORECAST_METRICS",
    "NUM_CALIBRATION_BINS",
    "REGRESSION_METRICS",
    "ClassErrors",
    "ClassScoring",
    "Measured",
    "Metric",
    "NumberErrors",
    "best_simple",
    "confusion_counts",
    "follows",
    "interval_scores",
    "mae_by_horizon",
    "measure_classes",
    "measure_forecast",
    "measure_regression",
    "moved_from",
    "point_values",
    "quantile_loss",
    "reliability",
    "scoring_for",
    "seasonal_change",
    "seasonal_scale",
]
