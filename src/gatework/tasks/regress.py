"""Regress: one number (or several) per whole sequence."""

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, SequenceSamples
from gatework.data.split import Split
from gatework.runs import Figure, Part, PoolingName, RangePlan, TaskName, UncertaintyScores
from gatework.tasks import judge_ranges
from gatework.tasks import judge_sequences as judge
from gatework.tasks.classify import PooledHead
from gatework.tasks.conformal import Array
from gatework.tasks.metrics import Measured
from gatework.tasks.outputs import Point
from gatework.tasks.range_calibration import PastAnswers, RangeCalibration, range_calibration
from gatework.tasks.range_reliability import Coverage
from gatework.tasks.ranges import Ranges
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task, masked_mean


class Regress(Task):
    """Numbers per sequence, by squared error on the scaled targets: its optimum is the mean.

    asked: the ranges around them, which follow from the errors on the validation part. A sequence is a forecast of one step here.
    """

    name: TaskName = "regress"
    output = Point("mse")

    def __init__(self, pooling: PoolingName = "summary", asked: RangePlan | None = None):
        self.pooling = pooling
        self.asked = asked or RangePlan()

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

    def scaled(self, output: np.ndarray) -> Array:
        """(n, num_targets) predictions on the model's scale, float64."""
        return output.astype(np.float64)

    def calibrate(self, output: np.ndarray, samples: Samples) -> RangeCalibration | None:
        assert isinstance(samples, SequenceSamples)
        truth = samples.prepared.targets[samples.place].astype(np.float64)
        return range_calibration(self.output, PastAnswers(self._numbers(output), truth[:, None]), self.asked)

    def ranges(
        self, output: np.ndarray, samples: Samples, preparation: Preparation, calibration: RangeCalibration | None
    ) -> Ranges | None:
        if calibration is None:
            return None
        numbers = self._numbers(output)
        return calibration.ranges(self.output, numbers, np.ones(numbers.shape[::2])).mapped(preparation.inverse_targets)

    def coverage(self, output: np.ndarray, samples: Samples, calibration: RangeCalibration | None) -> Coverage:
        assert isinstance(samples, SequenceSamples)
        if calibration is None:
            return ()
        numbers, truth = self._numbers(output), samples.prepared.targets[samples.place].astype(np.float64)
        return calibration.coverage(self.output, numbers, np.ones(numbers.shape[::2]), truth[:, None])

    def _numbers(self, output: np.ndarray) -> Array:
        """(n, 1, num_targets, 1)"""
        return self.scaled(output)[:, None, :, None]

    def range_scores(self, case: Case, answer: Answer) -> UncertaintyScores | None:
        return judge_ranges.range_scores(case, answer, self.asked, judge.true_numbers(case)[:, None])

    def baselines(self, case: Case) -> list[Answer]:
        return judge.number_baselines(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.number_errors(case, answers)

    def clock(self, case: Case) -> np.ndarray | None:
        return None

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        of_ranges = judge_ranges.range_figures(case, answers[0], self.asked, judge.true_numbers(case)[:, None])
        return (*judge.number_figures(case, answers), *of_ranges)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, SequenceSamples)
        return judge.number_predictions(prepared, samples, values)
