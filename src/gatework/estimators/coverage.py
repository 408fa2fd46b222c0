"""Which ranges a fitted estimator carries."""

from gatework.errors import InputError
from gatework.model import TrainedModel


def check_coverage(trained: TrainedModel, coverage: float) -> None:
    """InputError, with the option that gives it, where a fitted model carries no range of this coverage."""
    asked = trained.plan.ranges
    if trained.calibration is None:
        raise InputError(
            f"A range was asked for, and this estimator has none: it was fitted with output={asked.output} and "
            f"calibrate={asked.calibrate}. Expected ranges that errors have measured. Fit with "
            f"options=Request(calibrate='split')."
        )
    if not 0 < coverage < 1:
        raise InputError(
            f"coverage is {coverage:g}; expected the share of cases in which the range holds the truth, above 0 and below 1. "
            f"Give for example coverage=0.8."
        )
    if coverage not in asked.intervals:
        known = ", ".join(f"{share:g}" for share in asked.intervals)
        wanted = ", ".join(f"{share:g}" for share in sorted({*asked.intervals, coverage}))
        raise InputError(
            f"coverage is {coverage:g}, and this estimator has the ranges {known}. Expected one of these, or one that "
            f"was asked for in fit. Fit with options=Request(intervals=({wanted}))."
        )
