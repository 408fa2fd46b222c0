"""Training anew on the training and the validation part together, once the number of epochs is known.

The validation part says how long to train, and what the threshold and the calibration are; then it is too good to stay unused
where sequences are few. Nothing is left to stop early by, so the second training runs for as many epochs as the first needed to
its best one, the schedule falling to zero over them. The scales stay those of the training part; the test part is never seen.
"""

from dataclasses import replace

import numpy as np

from gatework.data.split import PARTS, Split
from gatework.runs import Plan, RunFolder

REFIT = "refit"
"""The folder inside a run that holds the second training's history and checkpoint."""


def joined(split: Split) -> Split:
    """The same split with the validation part as part of train."""

    def join(parts: np.ndarray) -> np.ndarray:
        return np.where(parts == PARTS.index("validation"), np.int8(PARTS.index("train")), parts)

    return replace(split, steps=join(split.steps), sequences=join(split.sequences))


def refit_plan(plan: Plan, best_epoch: int) -> Plan:
    """The plan of the second training: just so many epochs, none stopped early."""
    training = plan.training.model_copy(update={"epochs": best_epoch, "patience": best_epoch + 1, "minutes": None})
    return plan.model_copy(update={"training": training})


def refit_folder(folder: RunFolder) -> RunFolder:
    """Where the second training keeps its files; made when it is not there."""
    inner = RunFolder(folder.path / REFIT)
    inner.path.mkdir(exist_ok=True)
    return inner
