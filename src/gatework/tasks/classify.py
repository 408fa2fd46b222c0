"""Classify: which of the known classes a whole sequence belongs to."""

import numpy as np
import polars as pl
import scipy.special
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, SequenceSamples
from gatework.data.split import Split
from gatework.runs import Figure, Part, PoolingName, TaskName
from gatework.tasks import judge_sequences as judge
from gatework.tasks.metrics import Measured
from gatework.tasks.pooling import Pooling
from gatework.tasks.task import Answer, Case, Features, Samples, Sizes, Task


class Classify(Task):
    """One class per sequence, by cross-entropy; the answer is a probability of every class."""

    name: TaskName = "classify"

    def __init__(self, pooling: PoolingName = "summary"):
        self.pooling = pooling

    def samples(self, prepared: Prepared, split: Split, part: Part) -> SequenceSamples:
        return SequenceSamples(prepared, split, part)

    def head(self, sizes: Sizes) -> nn.Module:
        return PooledHead(self.pooling, sizes.feature_size, sizes.num_classes)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(output, batch.targets, ignore_index=-1)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Probabilities (n, num_classes), each row summing to 1; the classes are `preparation.classes`."""
        return np.asarray(scipy.special.softmax(output.astype(np.float64), axis=-1))

    def baselines(self, case: Case) -> list[Answer]:
        return judge.class_baselines(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.class_errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return None

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return judge.class_figures(case, answers)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, SequenceSamples)
        return judge.class_predictions(prepared, samples, values)


class PooledHead(nn.Module):
    """A linear reading of one vector per sequence."""

    def __init__(self, pooling: PoolingName, feature_size: int, output_size: int):
        super().__init__()
        self.pool = Pooling(pooling, feature_size)
        self.read = nn.Linear(self.pool.output_size, output_size)

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """Scores (n, output_size)."""
        return self.read(self.pool(features))  # type: ignore[no-any-return]
