"""What is said beside single numbers: the output of a forecast, the shares of the ranges, and how they are calibrated."""

from gatework.errors import ConfigError
from gatework.runs import RangePlan, TaskName
from gatework.train.choices import Choices
from gatework.train.request import Request

WITH_RANGES: tuple[TaskName, ...] = ("forecast", "regress")
"""Tasks whose answers are numbers with ranges around them."""


def plan_ranges(request: Request, choices: Choices, task: TaskName) -> RangePlan:
    """What is said beside the single numbers. Raises ConfigError for shares that are none, and for a loss or method of no use."""
    if task == "regress" and request.calibrate == "adaptive":
        raise ConfigError(
            "calibrate is adaptive and the task is regress: whole sequences come in no order of time, in which errors could be "
            "followed. Expected --calibrate split or none. Leave it out."
        )
    output: object = "point"
    if task == "forecast":
        output = choices.pick("output", request.output, output, "single numbers; their ranges come from the errors in validation")
    wrong = [share for share in request.intervals if not 0 < share < 1]
    if wrong:
        raise ConfigError(f"intervals has {wrong[0]:g}; expected shares between 0 and 1. Give --intervals 0.8,0.95.")
    if request.loss is not None and output != "point":
        raise ConfigError(
            f"loss is {request.loss} and output is {output}, which has a loss of its own; expected --loss with --output point. "
            f"Leave one of them out."
        )
    intervals = tuple(sorted(set(request.intervals))) or RangePlan().intervals
    why = "ranges that the errors on the validation part have measured"
    calibrate = choices.pick("calibrate", request.calibrate, "split", f"{why}; --intervals gives other shares")
    if request.calibration_share and calibrate == "none":
        raise ConfigError(
            f"calibration_share is {request.calibration_share:g} and calibrate is none; expected windows to calibrate with "
            f"--calibrate split or adaptive. Leave one of them out."
        )
    return RangePlan(
        output=output,  # type: ignore[arg-type]
        intervals=intervals,
        calibrate=calibrate,  # type: ignore[arg-type]
        calibration_share=request.calibration_share or 0.0,
    )
