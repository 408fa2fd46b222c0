"""Forecast: the next `horizon` steps of every target, from a window of the past and what is known of the future."""

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, ForecastSamples
from gatework.data.split import Split
from gatework.runs import Figure, LossName, ModelPlan, Part, TaskName
from gatework.tasks import judge_forecast as judge
from gatework.tasks.forecast_baselines import baseline_answers, classical_answers
from gatework.tasks.forecast_figures import forecast_figures
from gatework.tasks.forecasters import ForecastHead, WindowEntry, lane_sizes
from gatework.tasks.metrics import Measured, seasonal_scale
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task, masked_mean

LEAST_CHANGE = 0.1
"""Of the usual change over a season: a series that hardly moves does not drown the others in the loss `mase`."""


class Forecast(Task):
    """Multi-step forecasting from a window of the past; how the window is read and the horizon decoded stands in the plan.

    horizon, window: in steps. season: steps of one season, 0 unknown. loss: on the scaled targets; left out, the mean absolute
    error, whose optimum is the median, which few bad readings cannot move.
    """

    name: TaskName = "forecast"

    def __init__(self, horizon: int, window: int, model: ModelPlan | None = None, season: int = 0, loss: LossName | None = None):
        self.horizon = horizon
        self.window = window
        self.model = model or ModelPlan()
        self.season = season
        self.loss_name: LossName = loss or "mae"

    def samples(self, prepared: Prepared, split: Split, part: Part) -> ForecastSamples:
        samples = ForecastSamples(prepared, split, part, window=self.window, horizon=self.horizon)
        if self.loss_name == "mase":
            samples.weights = series_weights(prepared, split, self.season)
        return samples

    def entry(self, sizes: Sizes) -> WindowEntry:
        return WindowEntry(self.model, sizes, self.season)

    def head(self, sizes: Sizes) -> nn.Module:
        own_targets, own_size = lane_sizes(self.model, sizes)
        plan = self.model.model_copy(update={"linear_steps": min(self.window, self.model.linear_steps)})
        return ForecastHead(plan, sizes, self.horizon, own_targets, own_size)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        sizes = error_size(self.loss_name, output, batch.targets)
        return masked_mean(sizes if batch.weight is None else sizes * batch.weight, batch.observed)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Forecasts (n, horizon, num_targets) in the units of the data."""
        return preparation.inverse_targets(output)

    def baselines(self, case: Case) -> list[Answer]:
        return baseline_answers(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return judge.origin_clock(case)

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        last = next(answer for answer in answers if answer.name == judge.SIMPLE[0])
        return judge.moved_from_last(case, answers[0], last)

    def follows_last(self, case: Case, answers: list[Answer]) -> tuple[float, float] | None:
        last = next(answer for answer in answers if answer.name == judge.SIMPLE[0])
        return judge.follows_last(case, answers[0], last)

    def classical_baselines(self, case: Case) -> list[Answer]:
        return classical_answers(case)

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return forecast_figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, ForecastSamples)
        return judge.prediction_rows(prepared, samples, values)


def series_weights(prepared: Prepared, split: Split, season: int) -> np.ndarray:
    """(num_sequences, num_targets) one over the mean change of each series over a season of its training rows, 1 on average.

    With them the absolute error becomes MASE on the model's scale: every series counts by how far it moves by itself.
    """
    assert prepared.targets.ndim == 2  # a forecast's
    is_train = split.rows_of("train")[prepared.rows]
    change = seasonal_scale(prepared.targets.astype(np.float64), prepared.offsets, is_train, season)
    usual = np.nanmedian(change, axis=0)
    weights = usual / np.where(np.isfinite(change), np.maximum(change, LEAST_CHANGE * usual), usual)
    weights /= weights.mean(axis=0)
    balanced: np.ndarray = weights.astype(np.float32)
    return balanced


def error_size(name: LossName, output: Tensor, targets: Tensor) -> Tensor:
    """Each error as the loss sees it: its size, its square, or the square below 1 and the size beyond (Huber 1964)."""
    if name == "mse":
        return (output - targets).square()
    if name == "huber":
        return nn.functional.smooth_l1_loss(output, targets, reduction="none")
    return (output - targets).abs()
