"""Baselines: simple methods fitted on the training part and scored on the same samples as the model.

Forecast: `last_value`, `drift`, `seasonal_naive`, `climatology` (raw units), `fit_dlinear` (each target's own past) and
`ridge_window` (the model's own scaled window); `classical_forecasts` through statsforecast.
Regression: `mean_target`, `ridge_on_summary`. Classification: `majority_class`, `logistic_on_summary`. Where every step has an
answer, these on `running_features`, and `last_known` with `followed_by`.
"""

from gatework.tasks.baselines.classical import CLASSICAL, Classical, classical_forecasts, import_models
from gatework.tasks.baselines.dlinear import DLinear, fit_dlinear
from gatework.tasks.baselines.naive import (
    Climatology,
    carried,
    climatology,
    drift,
    last_value,
    position_keys,
    season_keys,
    seasonal_naive,
    training_mean,
)
from gatework.tasks.baselines.ridge import RidgeWindow, ridge_window
from gatework.tasks.baselines.steps import STEP_WORDS, followed_by, last_known, running_features
from gatework.tasks.baselines.summary import (
    ClassBaseline,
    RegressionBaseline,
    logistic_on_summary,
    majority_class,
    mean_target,
    ridge_on_summary,
    summary_features,
)

__all__ = [
    "CLASSICAL",
    "STEP_WORDS",
    "ClassBaseline",
    "Classical",
    "Climatology",
    "DLinear",
    "RegressionBaseline",
    "RidgeWindow",
    "carried",
    "classical_forecasts",
    "climatology",
    "drift",
    "fit_dlinear",
    "followed_by",
    "import_models",
    "last_known",
    "last_value",
    "logistic_on_summary",
    "majority_class",
    "mean_target",
    "position_keys",
    "ridge_on_summary",
    "ridge_window",
    "running_features",
    "season_keys",
    "seasonal_naive",
    "summary_features",
    "training_mean",
]
