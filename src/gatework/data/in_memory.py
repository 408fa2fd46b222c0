"""Data frames of any library → polars: pandas, Arrow and polars itself, through narwhals."""

from typing import Protocol, cast

import narwhals as nw
import polars as pl

from gatework.data.formats.raw import RawFrame
from gatework.errors import DataError


class _Indexed(Protocol):
    """What pandas frames have: an index that may hold the time stamps."""

    index: object

    def reset_index(self) -> object: ...


def frame_in_memory(source: object) -> RawFrame:
    """The frame in polars. An index other than 0, 1, 2, … (pandas) becomes a column, said in the notes.

    Raises DataError for an object that is no data frame.
    """
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    notes: tuple[str, ...] = ()
    if hasattr(source, "reset_index") and type(getattr(source, "index", None)).__name__ not in ("RangeIndex", "NoneType"):
        source = cast(_Indexed, source).reset_index()
        notes = ("The index of the frame was made a column.",)
    try:
        frame = _to_polars(source)
    except TypeError as error:
        raise DataError(
            f"A {type(source).__name__} was given as data. Expected a path, an array, or a data frame (pandas, polars, Arrow). "
            f"Make a frame of it, such as polars.DataFrame(...)."
        ) from error
    if frame.is_empty():
        raise DataError(
            f"The frame has {frame.height} rows and {frame.width} columns. Expected at least two rows. Check how it was filtered."
        )
    twice = [name for name in frame.columns if frame.columns.count(name) > 1]
    if twice:
        raise DataError(f"The frame has two columns named '{twice[0]}'. Expected each name once. Rename one of them.")
    return RawFrame(frame, notes)


def _to_polars(source: object) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    eager = nw.from_native(source, eager_only=True)  # type: ignore[call-overload]
    try:
        return cast(pl.DataFrame, eager.to_polars())
    except ImportError:  # pandas without pyarrow: value by value
        return pl.DataFrame({str(name): eager[name].to_list() for name in eager.columns}, strict=False)
