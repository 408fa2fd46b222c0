"""Time in units of the usual step: how irregular it is, how long since the last step, and since a value was last measured."""

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.calendar import typical_step
from gatework.data.fill import Borders, previous_observed
from gatework.data.order import duration_text, is_regular, step_sizes
from gatework.data.prepared import Prepared
from gatework.data.series import BoolArray, IntArray, Rows, time_numbers
from gatework.data.table import Table

FloatArray = npt.NDArray[np.float64]

ELAPSED = "elapsed"
"""The input that says how long ago the last step was."""
NEAR = 0.25
"""Steps within this share of the usual one count as equally long: months and their 28 to 31 days, clocks that tremble."""
FEW = 0.1
"""The share of other steps from which the steps of a table are irregular; fewer are gaps in regular ones."""


def why_irregular(table: Table) -> str:
    """The lengths of the steps in words where they are not alike, else an empty text. Weekends without trading are no gaps."""
    if is_regular(table.steps, table.series, table.time):
        return ""
    sizes = step_sizes(table.steps, table.series, table.time)["size"].to_numpy()
    usual = float(np.median(sizes)) if len(sizes) else 0.0
    if usual <= 0 or float((np.abs(sizes / usual - 1) > NEAR).mean()) <= FEW:
        return ""
    is_number = table.steps[table.time].dtype.is_numeric()
    low, middle, high = (f"{size:g}" if is_number else duration_text(size) for size in np.quantile(sizes, (0.1, 0.5, 0.9)))
    return f"the steps are not equally long: usually {middle}, one in ten below {low} and one in ten above {high}"


def usual_step(times: pl.Series, rows: Rows, train: BoolArray) -> float:
    """The median step between training rows, in seconds or units of the order; 1 where there is none."""
    return typical_step(times, rows, train) or 1.0


def times_in_steps(times: pl.Series, rows: Rows, usual: float) -> FloatArray:
    """(total_steps,) the time since the first row of each series, in usual steps."""
    numbers = time_numbers(times)
    return (numbers - numbers[rows.start]) / usual if len(numbers) else numbers


def elapsed_steps(clock: FloatArray, rows: Rows) -> FloatArray:
    """(total_steps,) the time since the row before, in usual steps; 0 at the first row of a series."""
    gaps = np.diff(clock, prepend=0.0)
    return np.where(np.arange(len(clock)) == rows.start, 0.0, gaps)


def since_observed(observed: BoolArray, clock: FloatArray, rows: Rows, borders: Borders | None = None) -> FloatArray:
    """(total_steps,) the time since a value was last measured before each row; since the first row where it never was.

    borders: measurements that a row must not know count as none.
    The δ of Che et al. 2018, doi:10.1038/s41598-018-24271-9, Methods.
    """
    if not len(clock):
        return clock.copy()
    if borders is None:
        before = np.concatenate([[-1], previous_observed(observed, rows)[:-1]])
    else:  # up to the row before, as far as this row may know
        part, reach = np.concatenate([[-1], borders.part[:-1]]), borders.reach
        seen = np.concatenate([[False], observed[:-1]])
        before = previous_observed(seen, rows, Borders(part, reach)) - 1
    source = np.where(before >= rows.start, before, rows.start)
    gaps: FloatArray = clock - clock[source]
    return gaps


def clock_columns(prepared: Prepared, rows: IntArray, offsets: IntArray) -> npt.NDArray[np.float32]:
    """(len(rows), inputs of the cell) what the cell reads past its gates: `elapsed` or `time`, in usual steps.

    rows: of `prepared`, sample after sample. offsets: (num_samples + 1,) where each begins. Both are counted from the first
    row of the sample, so what lies before it changes nothing.
    """
    lengths = np.diff(offsets)
    first = np.repeat(offsets[:-1], lengths)
    time = prepared.clock[rows] - prepared.clock[rows[first]] if len(rows) else np.zeros(0)
    columns = {"time": time, ELAPSED: elapsed_steps(time, Rows(offsets))}
    return np.stack([columns[name] for name in prepared.clock_names], axis=1).astype(np.float32)
