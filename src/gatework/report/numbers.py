"""Numbers in words and in columns: rounding, spans of time, sizes."""

import math
import re
from collections.abc import Sequence

THIN_SPACE = "\u202f"
FIXED_SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""

UNITS_S = (("year", 365.25 * 86400), ("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "step"), counted(2, "category", "categories")
    ('1 step', '2 categories')
    """
    return f"{whole(number)} {noun if number == 1 else plural or noun + 's'}"


def whole(number: int) -> str:
    """An integer with thin spaces between thousands, from five digits on."""
    return f"{number:,}".replace(",", THIN_SPACE) if abs(number) >= 10_000 else str(number)


def fixed(number: float, decimals: int) -> str:
    """A number with so many decimals, thin spaces and a real minus sign.

    >>> fixed(-0.5, 2)
    '−0.50'
    """
    text = f"{number:,.{decimals}f}" if abs(number) >= 10_000 else f"{number:.{decimals}f}"
    return text.replace(",", THIN_SPACE).replace("-", "\u2212")


def short(number: float) -> str:
    """About three significant digits: for prose and labels."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    if 1e-4 <= abs(number) < 1e7:
        return fixed(number, max(0, 2 - math.floor(math.log10(abs(number)))))
    return f"{number:.2e}".replace("-", "\u2212")


def column_decimals(values: Sequence[float]) -> int:
    """Decimals for one column of a table, so that its smallest magnitude that matters keeps three significant digits.

    >>> column_decimals([37.9123, 44.4])
    1
    """
    magnitudes = sorted(abs(value) for value in values if value and math.isfinite(value))
    if not magnitudes:
        return 2
    # The median, not the minimum: one value near zero must not give the whole column seven decimals.
    typical = magnitudes[len(magnitudes) // 2]
    return min(6, max(0, 2 - math.floor(math.log10(typical))))


def percent(share: float) -> str:
    """A share as a percentage; one decimal below 10 %."""
    return f"{fixed(100 * share, 0 if share == 0 or share >= 0.0995 else 1)}{THIN_SPACE}%"


def duration(seconds: float) -> str:
    r"""A wall time.

    >>> duration(42.3)
    '42\xa0s'
    """
    if seconds < 10:
        return f"{seconds:.1f}{FIXED_SPACE}s"
    if seconds < 100:
        return f"{seconds:.0f}{FIXED_SPACE}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}{FIXED_SPACE}min"
    return f"{minutes // 60}{FIXED_SPACE}h {minutes % 60}{FIXED_SPACE}min"


def time_span(seconds: float) -> str:
    """A span of data time in the largest unit of which it holds more than two.

    >>> time_span(24 * 3600), time_span(168 * 3600)
    ('24 hours', '7 days')
    """
    for unit, unit_s in UNITS_S:
        amount = seconds / unit_s
        is_whole = math.isclose(amount, round(amount))
        if amount > 2 or (amount >= 1 and is_whole and unit != "day") or (amount == 2 and unit == "year"):
            return f"{round(amount) if is_whole else round(amount, 1):g} {unit}{'' if amount == 1 else 's'}"
    return f"{seconds:g} seconds"


def steps(number: int, step_s: float | None) -> str:
    """So many steps, with their length in time where it is known.

    >>> steps(168, 3600.0)
    '168 steps (7 days)'
    """
    words = counted(number, "step")
    return words if step_s is None or number == 0 else f"{words} ({time_span(number * step_s)})"


def plain_times(text: str) -> str:
    """The text with its ISO time stamps as people write them.

    >>> plain_times("made at 2014-05-17T12:00:00.000000")
    'made at 2014-05-17 12:00'
    """
    return re.sub(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?", _plain_time, text)


def _plain_time(stamp: re.Match[str]) -> str:
    seconds = "" if stamp[3] in (None, ":00") else stamp[3]
    fraction = "" if stamp[4] is None or not stamp[4].strip(".0") else stamp[4]
    return f"{stamp[1]} {stamp[2]}{seconds or (':00' if fraction else '')}{fraction}"


def size(size_bytes: int) -> str:
    """The size of a file."""
    amount, unit = float(size_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
