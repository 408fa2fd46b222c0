"""One training, top to bottom.

for each epoch: for each batch: loss → gradient → clip → AdamW step;  then validate, look at the network's health, checkpoint
"""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gatework.data.samples import Batch, batch_order
from gatework.engine.threads import threads_for
from gatework.errors import TrainingError
from gatework.model import SequenceModel
from gatework.runs import HistoryRow, RunFolder, TrainingPlan
from gatework.tasks.task import Samples, Task
from gatework.train.augment import Augmenter, Varied
from gatework.train.checkpoint import CHECKPOINT, Checkpoint, Progress, optimizer_tensors, restore
from gatework.train.health import Health, examine
from gatework.train.schedule import learning_rate
from gatework.train.watch import Watch

EVALUATION_BATCH = 512
"""Samples per batch without gradients: large enough to hide Python, small enough for the cache."""
BACKWARD_TOO = 3
"""A step of training computes about three times what a pass without gradients does."""
FITTED_SAMPLES = 1024
"""Training samples on which the loss without dropout is measured after an epoch: two batches, a small share of it."""


@dataclass(frozen=True)
class EpochOutcome:
    """What one pass over the training samples gave; see `HistoryRow`."""

    train_loss: float
    gradient_norms: tuple[float, ...]
    learning_rate: float


@dataclass(frozen=True)
class Place:
    """Where a training stands within an epoch: batch `number` of `total`. last_norm: the gradient's norm one batch before."""

    epoch: int
    number: int
    total: int
    learning_rate: float
    last_norm: float | None


class Training:
    """The training of one network on one task's samples, epoch by epoch.

    folder: receives the checkpoint and the history after every epoch. augmenter: varies the batches that are learned from.
    """

    def __init__(
        self,
        network: SequenceModel,
        task: Task,
        train: Samples,
        validation: Samples,
        plan: TrainingPlan,
        folder: RunFolder,
        watch: Watch,
        augmenter: Augmenter | None = None,
    ):
        self.network = network
        self.task = task
        self.train = train
        self.validation = validation
        self.plan = plan
        self.folder = folder
        self.watch = watch
        self.augmenter = augmenter
        self.notes: tuple[str, ...] = ()  # what else its user must know
        self.optimizer = torch.optim.AdamW(parameter_groups(network, plan.weight_decay), lr=plan.learning_rate, fused=True)
        self.progress = Progress(planned_epochs=plan.epochs)
        self.best = own_copy(network)

    def resume(self) -> None:
        """Take up the checkpoint in the folder, when there is one."""
        path = self.folder.file(CHECKPOINT)
        if path.is_file():
            checkpoint = Checkpoint.load(path)
            restore(checkpoint, self.network, self.optimizer, path)
            self.progress, self.best = checkpoint.progress, checkpoint.best
            self.folder.write_history(list(self.progress.history))  # a kill may have come between checkpoint and history

    def run(self) -> Progress:
        """Train to the end; the network then has its best weights."""
        try:
            while not self.is_over():
                self._epoch()
        finally:
            self.watch.close()
        self.network.load_state_dict(self.best)
        self.network.eval()
        return self.progress

    def is_over(self) -> bool:
        """True when the planned epochs are done or the validation loss has not improved for `patience` epochs."""
        best = self.progress.best
        is_stale = best is not None and self.progress.epoch - best.epoch >= self.plan.patience
        return self.progress.is_finished or is_stale or self.progress.epoch >= self.progress.planned_epochs

    def _epoch(self) -> None:
        epoch = self.progress.epoch + 1
        started = time.perf_counter()
        before = self.progress.history[-1].elapsed_s if self.progress.history else 0.0
        outcome = self._pass_over(epoch)
        validation_loss = mean_loss(self.network, self.task, self.validation)
        if not math.isfinite(validation_loss):
            raise TrainingError(
                f"The validation loss became {validation_loss} after epoch {epoch}. Expected a finite number. "
                f"Lower the learning rate (now {self.plan.learning_rate:g}) with --learning-rate."
            )
        fitted_loss = mean_loss(self.network, self.task, self.train, FITTED_SAMPLES)
        health = examine(self.network, self.validation)
        best = self.progress.best
        is_best = best is None or validation_loss < best.validation_loss
        elapsed_s = before + time.perf_counter() - started
        row = history_row(epoch, outcome, validation_loss, health, is_best, self.plan.clip_norm, elapsed_s)
        row = row.model_copy(update={"fitted_loss": fitted_loss if math.isfinite(fitted_loss) else None})
        self._remember(row)
        self.watch.epoch(row)

    def _remember(self, row: HistoryRow) -> None:
        """Keep the best weights, fix the plan after the first epoch, write checkpoint and history."""
        planned = self.progress.planned_epochs
        if row.epoch == 1 and self.plan.minutes is not None:
            planned = max(1, min(planned, int(60.0 * self.plan.minutes / row.elapsed_s)))
        if row.is_best:
            self.best = own_copy(self.network)
        history = (*self.progress.history, row)
        self.progress = Progress(history=history, planned_epochs=planned)
        self.progress = self.progress.model_copy(update={"is_finished": self.is_over()})
        checkpoint = Checkpoint(self.progress, own_copy(self.network), self.best, optimizer_tensors(self.optimizer))
        checkpoint.save(self.folder.file(CHECKPOINT))
        self.folder.write_history(list(history))

    def _pass_over(self, epoch: int) -> EpochOutcome:
        """One epoch of steps. Everything random in it is drawn from (seed, epoch)."""
        batches = self._batches(epoch)
        total_steps = len(batches) * self.progress.planned_epochs
        losses: list[float] = []
        norms: list[float] = []
        rate = 0.0
        self.network.train()
        with seeded(self.plan.seed, epoch):
            for number, index in enumerate(batches, start=1):
                rate = learning_rate((epoch - 1) * len(batches) + number - 1, total_steps, self.plan.learning_rate)
                batch = self.train.batch(index)
                loss, norm = self._step(self._varied(batch, epoch, number), rate)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    place = Place(epoch, number, len(batches), rate, norms[-1] if norms else None)
                    raise not_a_number(self.network, batch, loss, norm, place)
                losses.append(loss)
                norms.append(norm)
                self.watch.batch(epoch, number, len(batches))
        return EpochOutcome(statistics.fmean(losses), tuple(norms), rate)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        batches = batch_order(len(self.train), self.plan.batch_size, seed=self.plan.seed, epoch=epoch, shuffle=True)
        wanted = self.plan.epoch_samples or len(self.train)
        return batches[: max(1, math.ceil(wanted / self.plan.batch_size))]

    def _varied(self, batch: Batch, epoch: int, number: int) -> Varied:
        return Varied(batch) if self.augmenter is None else self.augmenter.vary(batch, epoch, number)

    def _step(self, varied: Varied, rate: float) -> tuple[float, float]:
        """One optimiser step; the loss and the gradient's norm before clipping. A norm that is not finite changes no weight."""
        with threads_for(BACKWARD_TOO * self.network.work(varied.batch)):
            loss = varied.loss(self.task, self.network.predict(varied.batch))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip_norm).item()
            if math.isfinite(norm):
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self.optimizer.step()
        return loss.item(), norm


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay, biases do not: a decayed forget bias would shorten the memory."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learning if parameter.ndim > 1]
    biases = [parameter for parameter in learning if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]


def own_copy(network: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now, independent of the network."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@contextmanager
def seeded(seed: int, epoch: int) -> Iterator[None]:
    """Torch's random numbers drawn from (seed, epoch) inside the block; the caller's generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        # the CPU's generator alone: torch.manual_seed would reset those of every GPU, too
        torch.default_generator.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))
        yield


def batches_in_order(samples: Samples, batch_size: int = EVALUATION_BATCH, most: int | None = None) -> Iterator[Batch]:
    """All samples once, in their own order; at most so many of them, evenly spaced."""
    chosen = np.arange(len(samples))
    if most is not None and most < len(samples):
        chosen = np.linspace(0, len(samples) - 1, most).round().astype(np.int64)
    for start in range(0, len(chosen), batch_size):
        yield samples.batch(chosen[start : start + batch_size])


def mean_loss(network: SequenceModel, task: Task, samples: Samples, most: int | None = None) -> float:
    """The loss over all observed targets of all samples (of `most`, evenly spaced), without dropout and gradients."""
    network.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches_in_order(samples, most=most):
            observed = int(batch.observed.sum())
            total += task.loss(network.predict(batch), batch).item() * observed
            count += observed
    return total / max(1, count)


def history_row(
    epoch: int, outcome: EpochOutcome, validation_loss: float, health: Health, is_best: bool, clip_norm: float, elapsed_s: float
) -> HistoryRow:
    """One epoch as the record that is written."""
    norms = outcome.gradient_norms
    return HistoryRow(
        epoch=epoch,
        train_loss=outcome.train_loss,
        validation_loss=validation_loss,
        learning_rate=outcome.learning_rate,
        gradient_norm=statistics.median(norms),
        clip_rate=sum(norm > clip_norm for norm in norms) / len(norms),
        saturated_share=health.saturated_share,
        dead_units=health.dead_units,
        reach_steps=health.reach_steps,
        is_best=is_best,
        elapsed_s=elapsed_s,
    )


def not_a_number(network: SequenceModel, batch: Batch, loss: float, norm: float, place: Place) -> TrainingError:
    """Says where a loss or gradient stopped being a number, and what was last seen before."""
    what = f"The loss became {loss}" if not math.isfinite(loss) else f"The gradient's norm became {norm}"
    bad = [name for name, tensor in network.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if not bool(torch.isfinite(batch.inputs.values).all()):
        cause = "the inputs of this batch hold a value that is not finite"
    elif bad:
        cause = f"the weights {', '.join(bad)} are not finite"
    else:
        cause = "inputs and weights are finite, so it arose in the forward or backward pass"
    before = "it is the first batch of the epoch"
    if place.last_norm is not None:
        before = f"the last gradient norm was {place.last_norm:.3g}"
    samples = ", ".join(str(int(i)) for i in batch.index[:3])
    return TrainingError(
        f"{what} in epoch {place.epoch}, batch {place.number} of {place.total} (samples {samples}, …); {cause}; {before}. "
        f"Expected finite numbers. Lower the learning rate (now {place.learning_rate:.2g}) with --learning-rate, "
        f"or clip harder with --clip-norm."
    )
