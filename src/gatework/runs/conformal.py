"""conformal.json: what the errors on the validation part say about the ranges of a forecast."""

from gatework.runs.record import SCHEMA_VERSION, RangeMethod, Record


class Conformal(Record):
    """How ranges are corrected.

    intervals: the shares that they should hold. shift: [interval][side][target][step], by how much the ends move outwards, on
    the model's scale (times the window's own deviation where `is_scaled`); None where there were too few windows for a bound.
    Two sides, below and above; of counts one, by which both ends move.
    num_windows: windows whose errors were measured. until: the last time stamp or order among their truths. notes: what a
    reader must know. The errors themselves are in conformal.safetensors.
    """

    schema_version: int = SCHEMA_VERSION
    method: RangeMethod
    intervals: tuple[float, ...]
    shift: tuple[tuple[tuple[tuple[float | None, ...], ...], ...], ...]
    is_scaled: bool = False
    num_windows: int
    until: str = ""
    notes: tuple[str, ...] = ()
