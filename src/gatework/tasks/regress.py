"""Regress: one number (or several) per whole sequence."""

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, SequenceSamples
from gatework.data.split import Split
from gatework.runs import Figure, Part, PoolingName, TaskName
from gatework.tasks import judge_sequences as judge
from gatework.tasks.classify import PooledHead
from gatework.tasks.metrics import Measured
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task, masked_mean


class Regress(Task):
    """Numbers per sequence, by squared error on the scaled targets: its optimum is the mean."""

    name: TaskName = "regress"

    def __init__(self, pooling: PoolingName = "summary"):
        self.pooling = pooling

    def samples(self, prepared: Prepared, split: Split, part: Part) -> SequenceSamples:
        return SequenceSamples(prepared, split, part)

    def head(self, sizes: Sizes) -> nn.Module:
        return PooledHead(self.pooling, sizes.feature_size, sizes.num_targets)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        squares = (output - batch.targets).square()
        return masked_mean(squares if batch.weight is None else squares * batch.weight, batch.observed)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Predictions (n, num_targets) in the units of the data."""
        return preparation.inverse_targets(output)

    def baselines(self, case: Case) -> list[Answer]:
        return judge.number_baselines(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.number_errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return None

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return judge.number_figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, SequenceSamples)
        return judge.number_predictions(prepared, samples, values)
