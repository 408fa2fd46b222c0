"""Classify steps: which of the known classes each step belongs to, from that step and those before it."""

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.data.split import Split
from gatework.data.step_samples import StepSamples
from gatework.runs import Figure, Part, TaskName
from gatework.tasks import judge_steps
from gatework.tasks.classify import Classify
from gatework.tasks.metrics import Measured
from gatework.tasks.task import Answer, Case, Features, Samples, Sizes, Task


class ClassifySteps(Task):
    """One class per step; the answer is a probability of every class.

    window, piece: in steps; see `StepSamples`. whole: the classification whose loss, decisions and scores are those of the steps.
    """

    name: TaskName = "classify_steps"

    def __init__(self, window: int, piece: int, whole: Classify | None = None):
        self.window = window
        self.piece = piece
        self.whole = whole or Classify()

    def weighted(self, weights: tuple[float, ...]) -> "ClassifySteps":
        """The same with a weight for each class in the loss."""
        return ClassifySteps(self.window, self.piece, self.whole.weighted(weights))

    def samples(self, prepared: Prepared, split: Split | None, part: Part) -> StepSamples:
        return StepSamples(prepared, split, part, window=self.window, piece=self.piece)

    def head(self, sizes: Sizes) -> nn.Module:
        return StepHead(sizes, sizes.num_classes)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return self.whole.loss(output, batch)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Probabilities (num_answers, num_classes), each row summing to 1, calibrated where the run has a calibration."""
        return self.whole.decode(output, preparation)

    def baselines(self, case: Case) -> list[Answer]:
        return judge_steps.class_baselines(case, self.whole.wishes)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return self.whole.measure(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return judge_steps.step_clock(case)

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return self.whole.figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, StepSamples)
        return judge_steps.class_predictions(prepared, samples, values, self.whole.rule())


class StepHead(nn.Module):
    """From the memory and the inputs at a step to its answer, as a sum of two readings.

    together: one hidden layer over the state beside the inputs: what happens now often matters only against what came before.
    own: the inputs, linear and starting at zero: what a linear model on the step would do.
    """

    def __init__(self, sizes: Sizes, output_size: int):
        super().__init__()
        width = sizes.feature_size
        self.together = nn.Sequential(nn.Linear(width + sizes.input_size, width), nn.GELU(), nn.Linear(width, output_size))
        self.own = nn.Linear(sizes.input_size, output_size, bias=False)
        nn.init.zeros_(self.own.weight)

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """Scores (total_steps, output_size), one row for each step."""
        inputs = features.inputs.values
        together = self.together(torch.cat([features.steps.values, inputs], dim=-1))
        return together + self.own(inputs)  # type: ignore[no-any-return]
