"""Classify: which of the known classes a whole sequence belongs to."""

from dataclasses import replace

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, SequenceSamples
from gatework.data.split import Split
from gatework.runs import Figure, Part, Plan, PoolingName, TaskName
from gatework.runs.decision import Decision, DecisionPlan
from gatework.tasks import judge_sequences as judge
from gatework.tasks.calibration import Calibration
from gatework.tasks.class_curves import curve_figures
from gatework.tasks.class_loss import ClassLoss
from gatework.tasks.decide import Rule
from gatework.tasks.metrics import ClassScoring, Measured, scoring_for
from gatework.tasks.pooling import Pooling
from gatework.tasks.task import Answer, Case, Features, Samples, Sizes, Task


class Classify(Task):
    """One class per sequence; the answer is a probability of every class.

    loss_of_classes: what is trained on. wishes: how decisions are to be made. decision: what was fitted for that on the
    validation part, or None before.
    """

    name: TaskName = "classify"

    def __init__(
        self,
        pooling: PoolingName = "summary",
        loss_of_classes: ClassLoss | None = None,
        wishes: DecisionPlan | None = None,
        decision: Decision | None = None,
    ):
        self.pooling = pooling
        self.loss_of_classes = loss_of_classes or ClassLoss()
        self.wishes = wishes or DecisionPlan()
        self.decision = decision

    @classmethod
    def planned(cls, plan: Plan, decision: Decision | None = None) -> "Classify":
        """As a plan asks for; class weights that depend on the data come with `weighted`."""
        gamma = plan.training.focal_gamma if plan.training.loss == "focal" else 0.0
        return cls(plan.model.pooling, ClassLoss(gamma), plan.decision, decision)

    def weighted(self, weights: tuple[float, ...]) -> "Classify":
        """The same with a weight for each class in the loss."""
        return Classify(self.pooling, replace(self.loss_of_classes, weights=weights), self.wishes, self.decision)

    def samples(self, prepared: Prepared, split: Split, part: Part) -> SequenceSamples:
        return SequenceSamples(prepared, split, part)

    def head(self, sizes: Sizes) -> nn.Module:
        return PooledHead(self.pooling, sizes.feature_size, sizes.num_classes)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return self.loss_of_classes(output, batch.targets, batch.weight)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Probabilities (n, num_classes), each row summing to 1, calibrated where the run has a calibration.

        The classes are `preparation.classes`.
        """
        return self.calibration(output.shape[1]).probabilities(output)

    def calibration(self, num_classes: int) -> Calibration:
        """What was fitted; without, the scores as they are."""
        if self.decision is None or not self.decision.shifts:
            return Calibration(1.0, (0.0,) * num_classes)
        return Calibration(self.decision.scale, self.decision.shifts)

    def rule(self) -> Rule | None:
        """How decisions are made; None where the most probable class is the decision."""
        decision = self.decision
        if decision is None or (decision.threshold is None and not decision.costs):
            return None
        if decision.threshold is None:
            return Rule(costs=decision.costs)
        return Rule(decision.classes.index(decision.positive), decision.threshold)

    def scoring(self, case: Case) -> ClassScoring:
        """What the table shows, by the classes of the training part."""
        classes = case.train.prepared.classes
        costs = tuple(self.wishes.costs.get(name, 1.0) for name in classes) if self.wishes.costs else ()
        positive = classes.index(self.wishes.positive) if self.wishes.positive in classes else None
        return scoring_for(judge.class_counts(case), costs, self.wishes.top, positive)

    def baselines(self, case: Case) -> list[Answer]:
        return judge.class_baselines(case, self.wishes)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.class_errors(case, answers, self.scoring(case), self.rule())

    def clock(self, case: Case) -> np.ndarray | None:
        return None

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        return None

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        curves = curve_figures(judge.true_classes(case), answers, self.scoring(case), self.decision, case.judged.prepared.classes)
        return (*judge.class_figures(case, answers, self.rule()), *curves)

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, SequenceSamples)
        return judge.class_predictions(prepared, samples, values, self.rule())


class PooledHead(nn.Module):
    """A linear reading of one vector per sequence."""

    def __init__(self, pooling: PoolingName, feature_size: int, output_size: int):
        super().__init__()
        self.pool = Pooling(pooling, feature_size)
        self.read = nn.Linear(self.pool.output_size, output_size)

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """Scores (n, output_size)."""
        return self.read(self.pool(features))  # type: ignore[no-any-return]
