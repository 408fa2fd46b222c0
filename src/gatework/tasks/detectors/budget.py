"""A budget of false alarms in words, such as 1/week or 0.001, as a rate per step."""

import re
from dataclasses import dataclass
from typing import Literal

from gatework.errors import ConfigError

DAY_S = 86_400.0
UNITS_S = {
    "minute": 60.0, "hour": 3600.0, "day": DAY_S, "week": 7 * DAY_S, "month": 30.4375 * DAY_S, "year": 365.25 * DAY_S,
}  # fmt: skip
FORM = re.compile(r"(?P<count>[0-9.]+(?:e-?[0-9]+)?)\s*(?:/|per)\s*(?P<many>[0-9]*)\s*(?P<unit>[a-z]+?)s?")
LARGEST = 0.2
"""The largest share of steps that may be alarms: beyond it a score no longer tells unusual from usual."""


@dataclass(frozen=True)
class Budget:
    """rate: alarms per step. counts: ranges (as they reach a person) or steps. text: as it was asked for."""

    rate: float
    counts: Literal["ranges", "steps"]
    text: str


def read_budget(text: str, step_s: float | None) -> Budget:
    """The budget that a user wrote.

    text: a share of the steps (`0.001`), or ranges in a time: `1/week`, `2/day`, `3/100 hours`, `1/1000 steps`.
    step_s: the usual time from step to step in seconds; None where the data has no clock.
    Raises ConfigError when it cannot be read, is out of range, or needs a clock that is not there.
    """
    cure = "Write for example --false-alarms 0.001 (a share of the steps), 1/week, or 1/1000 steps."
    plain = text.strip().lower()
    try:
        return _checked(Budget(float(plain), "steps", text.strip()), cure)
    except ValueError:
        pass
    found = FORM.fullmatch(plain)
    unit = found["unit"] if found else ""
    if found is None or unit not in {*UNITS_S, "step"}:
        raise ConfigError(
            f"false_alarms is '{text}'. Expected a share of the steps, or a number of ranges in a time (minute, hour, day, week, "
            f"month, year) or in a number of steps. {cure}"
        )
    try:
        count, many = float(found["count"]), float(found["many"] or 1)
    except ValueError as error:
        raise ConfigError(f"false_alarms is '{text}'. Expected a number before the /. {cure}") from error
    if unit == "step":
        return _checked(Budget(count / max(many, 1e-300), "ranges", text.strip()), cure)
    if not step_s:
        raise ConfigError(
            f"false_alarms is '{text}', but the data has no time stamps that say how long a step is. "
            f"Expected a budget in steps. Write for example --false-alarms 1/1000 steps, or name the time column with --time."
        )
    return _checked(Budget(count * step_s / max(many * UNITS_S[unit], 1e-300), "ranges", text.strip()), cure)


def _checked(budget: Budget, cure: str) -> Budget:
    if not 0 < budget.rate <= LARGEST:
        raise ConfigError(
            f"false_alarms is '{budget.text}', which is {budget.rate:g} a step. "
            f"Expected more than 0 and at most {LARGEST:g}: an alarm is a rare thing. {cure}"
        )
    return budget
