"""What every run file is made of: a frozen record that knows its keys."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

Part = Literal["train", "validation", "test"]
Normalisation = Literal["none", "last", "mean", "standard", "scale", "season"]
DecoderName = Literal["direct", "position", "sequence", "recursive"]
LossName = Literal["mae", "mse", "huber", "mase", "cross-entropy", "focal"]
OutputName = Literal["point", "quantiles", "gaussian", "student-t", "negative-binomial", "zero-inflated"]
RangeMethod = Literal["split", "adaptive", "none"]
PoolingName = Literal["last", "mean", "max", "attention", "summary"]
TaskName = Literal["forecast", "classify", "regress", "classify_steps", "regress_steps", "anomaly"]
STEP_TASKS: tuple[TaskName, ...] = ("classify_steps", "regress_steps")
"""One answer for each step, from that step and those before it; the answers are no inputs."""
CLASS_TASKS: tuple[TaskName, ...] = ("classify", "classify_steps")
"""The answer is one of the classes that training showed."""
HISTORY_TASKS: tuple[TaskName, ...] = ("forecast", "anomaly")
"""Tasks whose targets vary along the steps and whose past is an input."""


class Record(BaseModel):
    """A frozen record of a run file: unknown keys are an error, numbers must be finite unless declared otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")
