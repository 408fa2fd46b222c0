"""Training anew on the training and the validation part together, once the number of epochs is known.

The validation part says how long to train, and what the threshold and the calibration are; then it is too good to stay unused
where sequences are few. Nothing is left to stop early by, so the second training runs for as many epochs as the first was of use
(see `useful_epochs`), the schedule falling to zero over them. The scales stay those of the training part; the test part is never
seen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from gatework.data.split import PARTS, Split
from gatework.model import SequenceModel
from gatework.runs import HistoryRow, Plan, RunFolder
from gatework.tasks.task import Samples, Task
from gatework.train.loop import batches_in_order

REFIT = "refit"
"""The folder inside a run that holds the second training's history and checkpoint."""
MOST_SAMPLES = 1024
"""Of a validation part, whose losses tell how much they scatter: more than few sequences have, and soon read."""
AS_GOOD = 0.5
"""Standard errors of the validation loss within which two epochs are as good as each other."""


def joined(split: Split) -> Split:
    """The same split with the validation part as part of train."""

    def join(parts: np.ndarray) -> np.ndarray:
        return np.where(parts == PARTS.index("validation"), np.int8(PARTS.index("train")), parts)

    return replace(split, steps=join(split.steps), sequences=join(split.sequences))


def useful_epochs(history: Sequence[HistoryRow], standard_error: float) -> int:
    """The last epoch whose validation loss is within half a standard error of the best.

    A few sequences cannot tell these epochs apart, and the best of them is often an early one by chance; the rate of a shorter
    training falls to zero before it has learned. What overfits is told: its loss rises by more. After the rule of Breiman et
    al., "Classification and regression trees", 1984, section 3.4.3, which likewise takes the far end of what is as good; the
    error of a difference between two epochs is smaller than that of either, so half of it is taken (docs/classification.md).
    """
    best = min(row.validation_loss for row in history)
    return max(row.epoch for row in history if row.validation_loss <= best + AS_GOOD * standard_error)


def standard_error(network: SequenceModel, task: Task, samples: Samples) -> float:
    """Of the mean loss over the samples, from the loss of each (of MOST_SAMPLES, evenly spaced); 0 where there is one alone."""
    network.eval()
    with torch.inference_mode():
        alone = batches_in_order(samples, batch_size=1, most=MOST_SAMPLES)
        losses = [task.loss(network.predict(batch), batch).item() for batch in alone]
    return float(np.std(losses, ddof=1) / np.sqrt(len(samples))) if len(losses) > 1 else 0.0


def refit_plan(plan: Plan, epochs: int) -> Plan:
    """The plan of the second training: just so many epochs, none stopped early."""
    training = plan.training.model_copy(update={"epochs": epochs, "patience": epochs + 1, "minutes": None})
    return plan.model_copy(update={"training": training})


def refit_folder(folder: RunFolder) -> RunFolder:
    """Where the second training keeps its files; made when it is not there."""
    inner = RunFolder(folder.path / REFIT)
    inner.path.mkdir(exist_ok=True)
    return inner
