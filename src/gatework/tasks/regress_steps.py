"""Regress steps: one number (or several) for each step, from that step and those before it."""

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.data.split import Split
from gatework.data.step_samples import StepSamples
from gatework.runs import Figure, Part, TaskName
from gatework.tasks import judge_sequences, judge_steps
from gatework.tasks.classify_steps import StepHead
from gatework.tasks.metrics import Measured
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task, masked_mean


class RegressSteps(Task):
    """Numbers per step, by squared error on the scaled targets over the steps whose number is known.

    window, piece: in steps; see `StepSamples`.
    """

    name: TaskName = "regress_steps"

    def __init__(self, window: int, piece: int):
        self.window = window
        self.piece = piece

    def samples(self, prepared: Prepared, split: Split | None, part: Part) -> StepSamples:
        return StepSamples(prepared, split, part, window=self.window, piece=self.piece)

    def head(self, sizes: Sizes) -> nn.Module:
        return StepHead(sizes, sizes.num_targets)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return masked_mean((output - batch.targets).square(), batch.observed)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Predictions (num_answers, num_targets) in the units of the data."""
        return preparation.inverse_targets(output)

    def baselines(self, case: Case) -> list[Answer]:
        return judge_steps.number_baselines(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge_sequences.number_errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return judge_steps.step_clock(case)

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return judge_sequences.number_figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, StepSamples)
        return judge_steps.number_predictions(prepared, samples, values)
