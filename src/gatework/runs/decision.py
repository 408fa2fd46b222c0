"""How probabilities are corrected and turned into decisions: what was asked for, and decision.json, what was fitted."""

from typing import Literal

from gatework.runs.record import SCHEMA_VERSION, Record

DECISION = "decision.json"
CalibrationName = Literal["none", "temperature", "platt"]


class DecisionPlan(Record):
    """What was asked for.

    calibration: how probabilities are corrected after training. positive: of two classes, the one that is looked for; empty with
    more. costs: what it costs not to decide for a class that it was; empty when nothing was said. sensitivity, precision: of the
    positive class, at least so much on the validation part, 0–1. top: the k of precision at k.
    """

    calibration: CalibrationName = "none"
    positive: str = ""
    costs: dict[str, float] = {}
    sensitivity: float | None = None
    precision: float | None = None
    top: int | None = None


class Decision(Record):
    """decision.json: fitted on the validation part alone, applied to everything that is predicted later.

    classes: in the order of the lists. scale: what the network's scores are multiplied by (1 / temperature). shifts: what is then
    added to the score of each class. threshold: the probability of `positive` from which on it is decided for; None: the most
    probable class, weighed by `costs` where there are any. num_sequences: validation sequences that it was fitted on.
    log_loss: on them, before and after the correction; the second is what was minimised, so it flatters. notes: for the reader.
    """

    schema_version: int = SCHEMA_VERSION
    calibration: CalibrationName
    classes: tuple[str, ...]
    scale: float = 1.0
    shifts: tuple[float, ...] = ()
    positive: str = ""
    threshold: float | None = None
    costs: tuple[float, ...] = ()
    num_sequences: int = 0
    log_loss: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
