"""What every task answers: samples, head, loss, decoding, baselines, metrics, figures. The list is `gatework.tasks.TASKS`."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, ForecastSamples, SequenceSamples
from gatework.data.split import Split
from gatework.data.step_samples import StepSamples
from gatework.ragged import Ragged
from gatework.runs import Figure, Part, TaskName, UncertaintyScores
from gatework.tasks.detectors.windows import DetectorWindows, JudgedSteps
from gatework.tasks.metrics import Measured
from gatework.tasks.outputs.output import masked_mean
from gatework.tasks.range_calibration import RangeCalibration
from gatework.tasks.range_reliability import Coverage
from gatework.tasks.ranges import Ranges

__all__ = ["Answer", "Case", "Entry", "Features", "Samples", "Sizes", "Task", "masked_mean"]

Samples = ForecastSamples | SequenceSamples | StepSamples | DetectorWindows


@dataclass(frozen=True)
class Features:
    """What the recurrent layers hand to a head.

    steps: Ragged (total_steps, num_directions · output_size), the last layer's output at every step.
    last: (num_sequences, num_directions · output_size), the final state of each direction; zeros for an empty sequence.
    inputs: Ragged (total_steps, input_size), the samples as they came, before the entry.
    states: every state after the last step, (num_layers · num_directions, num_sequences, size) each, in the order of the cell.
    window: what the entry says about the samples, for the head of the same task; None when it says nothing.
    """

    steps: Ragged
    last: Tensor
    inputs: Ragged
    states: tuple[Tensor, ...] = ()
    window: object = None


@dataclass(frozen=True)
class Sizes:
    """The sizes that an entry and a head are built for.

    target_columns: of a forecast: which inputs hold the history of each target. target_zeros: where the zero of each target's
    data is on the model's scale. target_means: the mean of each over the training rows, in the units of the data. num_clock: the
    last columns of a sample, which the cell reads past its gates; they are not counted in input_size. fading_values,
    fading_masks, fading_since, resting: see `layers.Decay`.
    """

    input_size: int
    feature_size: int
    num_future: int
    num_targets: int
    num_classes: int
    target_columns: tuple[int, ...] = ()
    target_zeros: tuple[float, ...] = ()
    target_means: tuple[float, ...] = ()
    num_clock: int = 0
    fading_values: tuple[int, ...] = ()
    fading_masks: tuple[int, ...] = ()
    fading_since: tuple[int, ...] = ()
    resting: tuple[float, ...] = ()

    def to_json(self) -> str:
        """As text, for the header of the weights."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Sizes":
        """The sizes that `to_json` wrote; TypeError or ValueError for anything else."""
        sizes: dict[str, Any] = json.loads(text)
        return cls(**{name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()})  # type: ignore[arg-type]


class Entry(nn.Module):
    """What stands before the recurrent layers; as it is, nothing: they read the inputs themselves.

    output_size: columns of what the layers read.
    forward(inputs, horizon) → what the layers read, and what the head must know of it.
    """

    def __init__(self, output_size: int):
        super().__init__()
        self.output_size = output_size

    def forward(self, inputs: Ragged, horizon: int) -> tuple[Ragged, object]:
        return inputs, None


@dataclass(frozen=True)
class Answer:
    """What the model or a baseline says of the judged samples, decoded (see `Task.decode`), and how it came to it.

    answered: (n,) bool, the samples that it says something of; None: of all.
    decided: (n,) the class that a baseline decides for, where decisions were asked for; None: by the rule of the task.
    ranges: those that were asked for. coverage: how many truths ranges of all shares hold; see `RangeCalibration.coverage`.
    """

    name: str
    description: str
    values: np.ndarray
    answered: np.ndarray | None = None
    decided: np.ndarray | None = None
    ranges: Ranges | None = None
    coverage: Coverage = ()


@dataclass(frozen=True)
class Case:
    """What is judged: the samples of one part, and the training part for whatever a baseline has to learn.

    split: of the training data (`train.prepared`); `judged` may come from other data. period: steps of one season, 0 when
    unknown. target_units: the unit of each target, empty texts when unknown.
    """

    preparation: Preparation
    split: Split
    train: Samples
    judged: Samples | JudgedSteps
    period: int
    target_units: tuple[str, ...]


class Task(ABC):
    """WHAT is asked of a sequence. Holds no data: the same task serves training, evaluation and prediction."""

    name: TaskName

    @abstractmethod
    def samples(self, prepared: Prepared, split: Split, part: Part) -> Samples:
        """The samples of one part of the data."""

    def entry(self, sizes: Sizes) -> Entry:
        """A module from the samples' inputs to what the recurrent layers read."""
        return Entry(sizes.input_size)

    @abstractmethod
    def head(self, sizes: Sizes) -> nn.Module:
        """A module from (Features, future (n, horizon, num_future)) to the raw output that `loss` and `decode` take.

        Where every step has an answer it gives one row for each step, of which `loss` and `decode` get the judged ones.
        """

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean loss over the observed targets of a batch, a scalar."""

    @abstractmethod
    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """The output of many samples in the user's units: predictions, or probabilities of the classes."""

    def calibrate(self, output: np.ndarray, samples: Samples) -> RangeCalibration | None:
        """What the errors on the validation part say about ranges; None for a task without ranges."""
        return None

    def ranges(
        self, output: np.ndarray, samples: Samples, preparation: Preparation, calibration: RangeCalibration | None
    ) -> Ranges | None:
        """Between which values the truth will lie, in the units of the data; None for a task without ranges."""
        return None

    def coverage(self, output: np.ndarray, samples: Samples, calibration: RangeCalibration | None) -> Coverage:
        """How many truths ranges of all shares hold; empty for a task without ranges."""
        return ()

    def range_scores(self, case: Case, answer: Answer) -> UncertaintyScores | None:
        """How well an answer's ranges hold the truth; None without ranges."""
        return None

    @abstractmethod
    def baselines(self, case: Case) -> list[Answer]:
        """What simple methods say of the judged samples, fitted on the training part."""

    @abstractmethod
    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        """The errors of each answer, in their order; the same truth for all."""

    def notes(self, case: Case) -> tuple[str, ...]:
        """What must be said beside the errors; nothing for most tasks."""
        return ()

    @abstractmethod
    def clock(self, case: Case) -> np.ndarray | None:
        """(n,) when each judged sample begins, in steps that all series share; None where whole sequences are the units."""

    @abstractmethod
    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        """How far the model moves from the last value, as a share of how far the truth does; None where that means nothing."""

    def follows_last(self, case: Case, answers: list[Answer]) -> tuple[float, float] | None:
        """How the model correlates with the last value, and with the truth; None where that means nothing."""
        return None

    def classical_baselines(self, case: Case) -> list[Answer]:
        """What slower methods of further packages say, asked for by name; none for most tasks."""
        return []

    @abstractmethod
    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        """The numbers of the task's figures; the model's answer comes first."""

    @abstractmethod
    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        """Every prediction as a row with its series, time stamps and the truth where it is known."""
