"""Training batches varied anew each time they are drawn: noise, scale, tempo, mixtures; few sequences then teach more.

    jitter=σ   noise of standard deviation σ on every measured value, in standard deviations of its column (Um et al. 2017)
    scale=σ    each column of a sequence times a factor around 1, of standard deviation σ (Um et al. 2017)
    warp=s     a stretch of the share s of a sequence at half or double speed (Le Guennec, Malinowski and Tavenard 2016)
    mixup=α    a sequence mixed with another one, and so are their answers; the share from Beta(α, α) (Zhang et al. 2018)

In the order warp, scale, jitter, mixup. Only measured numbers get noise or a factor: never masks, categories, truth values,
time stamps, the calendar, covariates known in advance, attributes of a series; and values that were filled in get no noise.
Sequences of unequal length are mixed on their way from the first to the last step: the other one is stretched to the length of
the one with the larger share, so that any cell, head and pooling can follow. Everything is drawn from (seed, epoch, batch), for
training alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.data.series import BoolArray, IntArray
from gatework.errors import ConfigError, nearest
from gatework.ragged import Ragged
from gatework.runs import TaskName
from gatework.tasks import Task

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

USUAL: dict[str, float] = {"jitter": 0.05, "scale": 0.1, "warp": 0.1, "mixup": 0.2}
"""Every way to vary a batch, in the order in which they are listed, and its strength where none is given."""

OF_TASK: dict[str, tuple[str, ...]] = {
    "forecast": ("jitter", "scale", "mixup"),  # another tempo of the past would promise another tempo of the future
    "classify": tuple(USUAL),
    "regress": tuple(USUAL),
}
"""What keeps its meaning for a task; for tasks that are not here: what changes neither lengths nor answers."""

SHORTEST_TO_WARP = 4
"""Steps below which a sequence has no stretch to speak of."""


def augment_strengths(asked: Sequence[str], task: TaskName) -> dict[str, float]:
    """`["jitter", "mixup=0.4"]` as {"jitter": 0.05, "mixup": 0.4}; 0 leaves everything as it is.

    Raises ConfigError for an unknown name, one that means nothing to this task, or a strength that is no number in its range.
    """
    known = OF_TASK.get(task, ("jitter", "scale"))
    strengths: dict[str, float] = {}
    for item in asked:
        name, sign, text = (part.strip() for part in item.partition("="))
        if name not in USUAL:
            raise ConfigError(
                f"--augment has '{item}'; expected {', '.join(USUAL)}, each with =STRENGTH or without. "
                f"{nearest(name, USUAL)} Write for example --augment jitter,mixup=0.2."
            )
        if name not in known:
            why = (
                "the steps of a forecast keep their distances" if name == "warp" else f"it would not fit the answers of '{task}'"
            )
            raise ConfigError(
                f"--augment has '{name}', but the task is {task}: {why}. Expected {', '.join(known)}. Leave {name} out."
            )
        strengths[name] = strength_of(name, text) if sign else USUAL[name]
    return strengths


def strength_of(name: str, text: str) -> float:
    """A strength as it was typed; ConfigError when it is no number of at least 0, or for warp one above 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= (1.0 if name == "warp" else 10.0):
        most = "a share of the sequence, from 0 to 1" if name == "warp" else "a number from 0 to 10"
        raise ConfigError(f"--augment has '{name}={text}'; expected {most}. Write for example --augment {name}={USUAL[name]:g}.")
    return value


@dataclass(frozen=True)
class Columns:
    """What the input columns of a batch are.

    measured: (input_size,) which hold numbers that were measured. mask: (input_size,) the column that says whether such a number
    was observed, −1 where none does. target: (num_targets,) the column with the history of each target, −1 where there is none.
    """

    measured: BoolArray
    mask: IntArray
    target: IntArray

    @classmethod
    def of(cls, preparation: Preparation, prepared: Prepared) -> "Columns":
        """Those of the batches that are cut from `prepared`."""
        names = [*prepared.input_names, *prepared.future_names, *prepared.static_names, *prepared.clock_names]
        place = {name: number for number, name in enumerate(prepared.input_names)}
        numeric = {fitted.name for fitted in preparation.record.fields if fitted.kind == "numeric"} & set(place)
        measured = np.zeros(len(names), dtype=bool)
        mask = np.full(len(names), -1, dtype=np.int64)
        for name in numeric:
            measured[place[name]] = True
            mask[place[name]] = place.get(f"{name}:observed", -1)
        return cls(measured, mask, np.array([place.get(name, -1) for name in prepared.target_names], dtype=np.int64))


@dataclass(frozen=True)
class Varied:
    """A batch to learn from. partner: the same inputs with the answers of those mixed in, which count 1 − share; or None."""

    batch: Batch
    partner: Batch | None = None
    share: float = 1.0

    def loss(self, task: Task, output: Tensor) -> Tensor:
        """The task's loss. With a partner it is that of the mixed (soft) answers, since cross-entropy is linear in them."""
        own = task.loss(output, self.batch)
        if self.partner is None:
            return own
        return self.share * own + (1.0 - self.share) * task.loss(output, self.partner)


class Augmenter:
    """Varies the batches of one training.

    strengths: see `augment_strengths`. seed: with the numbers of epoch and batch it decides everything that is drawn.
    """

    def __init__(self, strengths: dict[str, float], columns: Columns, seed: int):
        self.strengths = {name: strength for name, strength in strengths.items() if strength > 0}
        self.columns = columns
        self.seed = seed

    def vary(self, batch: Batch, epoch: int, number: int) -> Varied:
        """The batch as it is learned from this time; without strengths it is the batch itself."""
        if not self.strengths:
            return Varied(batch)
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, epoch, number]))
        if "warp" in self.strengths:
            batch = warped(batch, self.columns, self.strengths["warp"], generator)
        if "scale" in self.strengths:
            batch = scaled(batch, self.columns, self.strengths["scale"], generator)
        if "jitter" in self.strengths:
            batch = jittered(batch, self.columns, self.strengths["jitter"], generator)
        if "mixup" in self.strengths:
            return mixed(batch, self.columns, self.strengths["mixup"], generator)
        return Varied(batch)


def jittered(batch: Batch, columns: Columns, sigma: float, generator: np.random.Generator) -> Batch:
    """Normal noise on every measured value that was observed."""
    values = batch.inputs.values.numpy()
    noise = sigma * generator.standard_normal((len(values), int(columns.measured.sum())), dtype=np.float32)
    added = np.zeros_like(values)
    added[:, columns.measured] = np.where(observed_of(values, columns), noise, np.float32(0))
    return replace(batch, inputs=batch.inputs.with_values(torch.from_numpy(values + added)))


def observed_of(values: Float32Array, columns: Columns) -> BoolArray:
    """(total_steps, measured columns) whether each value was observed; all are where no column says otherwise."""
    mask = columns.mask[columns.measured]
    result: BoolArray = np.where(mask >= 0, values[:, mask] > 0.5, True)
    return result


def scaled(batch: Batch, columns: Columns, sigma: float, generator: np.random.Generator) -> Batch:
    """Each measured column of each sequence times its own factor; a forecast's target goes with its history."""
    inputs = batch.inputs
    factors = np.ones((inputs.num_sequences, len(columns.measured)), dtype=np.float32)
    shape = (inputs.num_sequences, int(columns.measured.sum()))
    factors[:, columns.measured] += sigma * generator.standard_normal(shape, dtype=np.float32)
    values = inputs.values.numpy() * factors.repeat(inputs.lengths.numpy(), axis=0)
    batch = replace(batch, inputs=inputs.with_values(torch.from_numpy(values)))
    if not (columns.target >= 0).any() or not batch.targets.is_floating_point():
        return batch
    of_targets = np.where(columns.target >= 0, factors[:, columns.target], np.float32(1))
    steps = [1] * (batch.targets.dim() - 2)
    return replace(batch, targets=batch.targets * torch.from_numpy(of_targets).reshape(len(of_targets), *steps, -1))


def warped(batch: Batch, columns: Columns, share: float, generator: np.random.Generator) -> Batch:
    """A random stretch of each sequence at half or double speed; the sequence becomes longer or shorter by it."""
    offsets = batch.inputs.offsets.numpy()
    positions = [
        start + warped_positions(length, share, generator)
        for start, length in zip(offsets[:-1].tolist(), np.diff(offsets).tolist(), strict=True)
    ]
    return replace(batch, inputs=resampled(batch.inputs, columns, positions))


def warped_positions(length: int, share: float, generator: np.random.Generator) -> FloatArray:
    """Where in a sequence each step of the warped one is read: rising from 0 to length − 1."""
    if length < SHORTEST_TO_WARP:
        return np.arange(length, dtype=np.float64)
    stretch = min(length, max(2, round(share * length)))
    first = int(generator.integers(0, length - stretch + 1))
    count = max(2, round(stretch * (2.0 if generator.random() < 0.5 else 0.5)))
    inside = np.linspace(first, first + stretch - 1, count)
    return np.concatenate([np.arange(first), inside, np.arange(first + stretch, length)])


def mixed(batch: Batch, columns: Columns, alpha: float, generator: np.random.Generator) -> Varied:
    """Each sequence mixed with another one of the batch, all by one share of at least a half.

    Numbers to predict are mixed; of classes both answers are kept, see `Varied.loss`. A sequence of length zero is left alone.
    """
    share = float(generator.beta(alpha, alpha))
    share = max(share, 1.0 - share)
    lengths = batch.inputs.lengths.numpy()
    partner = np.arange(len(lengths))
    is_forecast = batch.future.shape[1] > 0
    # the past of a forecast keeps its tempo: it is mixed with one that is equally long
    for members in [np.flatnonzero(lengths == each) for each in np.unique(lengths)] if is_forecast else [np.flatnonzero(lengths)]:
        partner[members] = generator.permutation(members)
    starts = batch.inputs.offsets.numpy()[:-1]
    positions = [
        starts[other] + np.linspace(0.0, max(0, lengths[other] - 1), lengths[own]) for own, other in enumerate(partner.tolist())
    ]
    index = torch.from_numpy(partner)
    others = resampled(batch.inputs, columns, positions).values
    batch = replace(
        batch,
        inputs=batch.inputs.with_values(between(batch.inputs.values, others, share)),
        future=between(batch.future, batch.future[index], share),
    )
    weight = None if batch.weight is None else batch.weight[index]
    observed = batch.observed & batch.observed[index]
    if batch.targets.is_floating_point():
        targets = between(batch.targets, batch.targets[index], share).masked_fill(~observed, 0.0)
        both = None if weight is None or batch.weight is None else between(batch.weight, weight, share)
        return Varied(replace(batch, targets=targets, observed=observed, weight=both))
    other = replace(batch, targets=batch.targets[index], observed=batch.observed[index], weight=weight)
    return Varied(batch, other, share)


def between(own: Tensor, other: Tensor, share: float) -> Tensor:
    """share · own + (1 − share) · other; exactly `own` for a share of 1."""
    return own * share + other * (1.0 - share)


def resampled(inputs: Ragged, columns: Columns, positions: list[FloatArray]) -> Ragged:
    """The sequences read at other places: measured columns on the line between two steps, all others at the nearer one.

    positions: for each new sequence its places among all steps, within one sequence; whole numbers give the step itself.
    """
    values = inputs.values.numpy()
    places = np.concatenate(positions) if positions else np.zeros(0)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(np.ceil(places).astype(np.int64), max(0, len(values) - 1))
    weight = (places - below).astype(np.float32)[:, None]
    result = values[np.where(weight[:, 0] < 0.5, below, above)]
    measured = columns.measured
    result[:, measured] = values[below][:, measured] * (1 - weight) + values[above][:, measured] * weight
    return Ragged.from_lengths(torch.from_numpy(result), [len(own) for own in positions])
