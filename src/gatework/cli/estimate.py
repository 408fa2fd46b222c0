"""How long a training would take, measured by doing a little of it."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatework.data.dataset import Dataset
    from gatework.runs import Plan

STEPS_MEASURED = 3
VALIDATION_SHARE = 0.4
"""A sample without gradients costs about this much of one with them: forward is a third of forward and backward, and a little."""


def seconds_per_epoch(plan: "Plan", dataset: "Dataset") -> float:
    """Seconds of one epoch: a few steps of a network that is thrown away, scaled to all of its samples."""
    from gatework.data.samples import batch_order
    from gatework.runs import RunFolder
    from gatework.train.run import make_training
    from gatework.train.watch import Silent

    numbers = plan.training
    training = make_training(plan, dataset, RunFolder("."), Silent())  # writes nothing until it runs
    samples = training.train
    batches = batch_order(len(samples), numbers.batch_size, seed=numbers.seed, epoch=1, shuffle=True)[: STEPS_MEASURED + 1]
    done = 0
    for number, index in enumerate(batches):
        if number == min(1, len(batches) - 1):  # the first step also warms up
            started = time.perf_counter()
        batch = samples.batch(index)
        training.task.loss(training.network.predict(batch), batch).backward()  # type: ignore[no-untyped-call]
        done += len(index) if number or len(batches) == 1 else 0
    a_sample_s = (time.perf_counter() - started) / max(1, done)
    trained = min(len(samples), numbers.epoch_samples or len(samples))
    return a_sample_s * (trained + VALIDATION_SHARE * len(training.validation))
