"""Anomaly: which stretches of a series are unlike what it did in training, from a forecast or a reconstruction of every step."""

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.data.series import Rows
from gatework.data.split import Split
from gatework.runs import AnomalyPlan, Figure, Part, TaskName
from gatework.tasks import judge_anomaly as judge
from gatework.tasks.detectors.heads import NextStepsHead, ReconstructionHead
from gatework.tasks.detectors.windows import DetectorWindows
from gatework.tasks.metrics import Measured
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task, masked_mean

STRIDES = {"train": 32, "validation": 4, "test": 4}
"""Windows of a part begin every window / so many steps: neighbours are nearly the same window."""


class Anomaly(Task):
    """A network that says what a normal step is; what is not normal follows from its residuals (`tasks.detectors`).

    horizon: steps ahead of the forecast; 0 for a reconstruction. The loss is the mean absolute error on the scaled channels,
    which a few anomalies in the training part cannot move much.
    """

    name: TaskName = "anomaly"

    def __init__(self, plan: AnomalyPlan, horizon: int, window: int):
        self.plan, self.horizon, self.window = plan, horizon, window

    def samples(self, prepared: Prepared, split: Split, part: Part) -> DetectorWindows:
        leads = tuple(range(1, self.horizon + 1)) if self.plan.method == "forecast" else (0,)
        stride = max(1, self.window // STRIDES[part])
        return DetectorWindows(prepared, split, part, window=self.window, leads=leads, warmup=self.plan.warmup, stride=stride)

    def head(self, sizes: Sizes) -> nn.Module:
        if self.plan.method == "forecast":
            return NextStepsHead(sizes, self.horizon, self.plan.recent)
        return ReconstructionHead(sizes, self.window, self.plan.segment)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return masked_mean((output - batch.targets).abs(), batch.observed)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """What was expected, in the units of the data."""
        return preparation.inverse_targets(output)

    def baselines(self, case: Case) -> list[Answer]:
        return judge.baseline_answers(case, self.plan)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return [*judge.errors(case, answers, self.plan)]

    def clock(self, case: Case) -> np.ndarray | None:
        """(n,) the place of each judged step in its series."""
        judged = judge.judged_steps(case)
        return np.asarray(judged.rows - judged.prepared.offsets[judged.sequence])

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        return ()  # those of a detector need what it expected: see `detectors.figures`

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        """One row per step, with its score alone; see `detectors.explain.step_rows` for all that a detector knows of a step."""
        ids = pl.Series("series", prepared.ids, dtype=pl.String)
        return pl.DataFrame(
            {
                "series": ids[Rows(prepared.offsets).sequence],
                "time": prepared.times,
                "score": pl.Series(values, nan_to_null=True),
            }
        )
