"""Formats that know their own types: Parquet, Arrow (Feather) and JSON Lines."""

import io

import polars as pl

from gatework.data.formats.raw import RawFrame
from gatework.errors import DataError


def read_parquet(content: bytes, name: str) -> RawFrame:
    """A Parquet file; DataError when it is damaged."""
    try:
        return RawFrame(pl.read_parquet(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(name, "Parquet", error) from error


def read_arrow(content: bytes, name: str) -> RawFrame:
    """An Arrow IPC (Feather version 2) file; DataError when it is damaged."""
    try:
        return RawFrame(pl.read_ipc(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(name, "Arrow", error) from error


def read_json_lines(content: bytes, name: str) -> RawFrame:
    """One JSON object a line, or one JSON list of objects; DataError when it is neither."""
    try:
        if content.lstrip()[:1] == b"[":
            return RawFrame(pl.read_json(content, infer_schema_length=None))
        return RawFrame(pl.read_ndjson(content, infer_schema_length=None))
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise _damaged(name, "JSON Lines", error) from error


def _damaged(name: str, form: str, error: Exception) -> DataError:
    return DataError(
        f"'{name}' cannot be read as {form}: {str(error).splitlines()[0]}. Expected a complete {form} file. "
        f"Write or copy the file again; if it has another format, let its name end accordingly."
    )
