"""Forecast: the next `horizon` steps of every target, from a window of the past and what is known of the future."""

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, ForecastSamples
from gatework.data.split import Split
from gatework.runs import Figure, Part, TaskName
from gatework.tasks import judge_forecast as judge
from gatework.tasks.metrics import Measured
from gatework.tasks.task import Answer, Case, Features, Samples, Sizes, Task, masked_mean

RECENT_STEPS = 24
"""Steps that the linear path reads.

48 were worse than 24 on the validation part of the air-quality data: more weights to overfit with.
"""


class Forecast(Task):
    """Direct multi-step forecasting: one pass over the window, all steps of the horizon at once.

    horizon, window: in steps. The loss is the mean absolute error on the scaled targets: its optimum is the median,
    which few bad readings cannot move.
    """

    name: TaskName = "forecast"

    def __init__(self, horizon: int, window: int):
        self.horizon = horizon
        self.window = window

    def samples(self, prepared: Prepared, split: Split, part: Part) -> ForecastSamples:
        return ForecastSamples(prepared, split, part, window=self.window, horizon=self.horizon)

    def head(self, sizes: Sizes) -> nn.Module:
        return ForecastHead(sizes, self.horizon, recent_steps=min(self.window, RECENT_STEPS))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return masked_mean((output - batch.targets).abs(), batch.observed)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Forecasts (n, horizon, num_targets) in the units of the data."""
        return preparation.inverse_targets(output)

    def baselines(self, case: Case) -> list[Answer]:
        return judge.baseline_answers(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return judge.origin_clock(case)

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        last = next(answer for answer in answers if answer.name == judge.SIMPLE[0])
        return judge.moved_from_last(case, answers[0], last)

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return judge.forecast_figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, ForecastSamples)
        return judge.prediction_rows(prepared, samples, values)


class ForecastHead(nn.Module):
    """From the window to every step of the horizon, as a sum of three readings.

    memory: the final state, linear. recent: the last inputs, linear and starting at zero: what ridge regression would do, so
    that the
    memory is left with what a linear model cannot (the autoregressive path of Lai et al. 2018, section 3.6).
    step: the state read once per forecast step and joined with what is known of that step (calendar, planned covariates).
    """

    def __init__(self, sizes: Sizes, horizon: int, recent_steps: int, context_size: int = 16):
        super().__init__()
        self.horizon = horizon
        self.recent_steps = recent_steps
        outputs = horizon * sizes.num_targets
        self.memory = nn.Linear(sizes.feature_size, outputs)
        self.recent = nn.Linear(recent_steps * sizes.input_size, outputs, bias=False)
        nn.init.zeros_(self.recent.weight)
        self.context = nn.Linear(sizes.feature_size, horizon * context_size) if sizes.num_future else None
        if self.context is not None:
            self.step = nn.Sequential(nn.Linear(context_size + sizes.num_future, 32), nn.GELU(), nn.Linear(32, sizes.num_targets))

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """Scaled forecasts (n, horizon, num_targets)."""
        inputs = features.inputs
        windows = inputs.values.view(inputs.num_sequences, -1, inputs.values.shape[-1])
        recent = windows[:, windows.shape[1] - self.recent_steps :].flatten(1)
        output: Tensor = (self.memory(features.last) + self.recent(recent)).unflatten(-1, (self.horizon, -1))
        if self.context is None or future is None:
            return output
        context = self.context(features.last).unflatten(-1, (self.horizon, -1))
        correction: Tensor = self.step(torch.cat([context, future], dim=-1))
        return output + correction
