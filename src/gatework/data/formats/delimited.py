"""CSV and its relatives: comma, semicolon, tab or bar between the columns; the first line names them."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable

import polars as pl

from gatework.data.formats.raw import RawFrame
from gatework.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def read_delimited(content: bytes, name: str) -> RawFrame:
    """Every value as text, under the names of the first line.

    Raises DataError for bytes that are not text, a missing header, a name used twice, a row with too few or too many values.
    """
    text, notes = _decode(content, name)
    text, header_notes = _without_comments(text)
    sample = list(itertools.islice((line for line in text.splitlines() if line.strip()), 30))
    if not sample:
        raise DataError(
            f"'{name}' is empty. Expected a first line that names the columns and at least two rows below it. "
            f"Check how the file was exported."
        )
    delimiter = _delimiter(sample)
    header = [column.strip() for column in next(csv.reader(io.StringIO(text), delimiter=delimiter))]
    _check_header(header, name)
    frame = _parse(text, header, delimiter, name)
    frame, dropped = _without_empty_ends(frame, header)
    if frame.is_empty():
        raise DataError(
            f"'{name}' has a header and no rows below it. Expected at least two rows of values. Check how the file was exported."
        )
    return RawFrame(frame, (*notes, *header_notes, *dropped), is_text=True, has_decimal_comma=delimiter != ",")


def _decode(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The text, whatever its encoding: UTF-8, UTF-16 with its mark, else Windows-1252 (said)."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace"), ("The file is UTF-16 text.",)
    not_text = DataError(
        f"'{name}' is not text: it holds binary data. Expected a table as text, or a name that ends in the true format. "
        f"Rename the file after its format (.parquet, .npy, .gz, …), or export it as CSV."
    )
    if b"\x00" in content:
        raise not_text
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if sum((character < " " and character not in "\t\r\n\f") or character == "�" for character in text[:4096]) > 3:
        raise not_text
    return text, ("The file is not UTF-8; it was read as Windows-1252 text.",)


def _without_comments(text: str) -> tuple[str, tuple[str, ...]]:
    """The text from its header on. Lines that start with # are left out, unless the last of them is the header itself."""
    if not text.startswith("#"):
        return text, ()
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    body = "".join(lines[first:])
    if first < len(lines) and any(_is_header_of_numbers(lines[first].strip().split(mark)) for mark in DELIMITERS):
        return lines[first - 1].lstrip("# ") + body, ()
    return body, (f"{first} comment lines at the start of the file were skipped.",)


def _is_header_of_numbers(names: list[str]) -> bool:
    """Whether a first line is a row of numbers; 0, 1, 2, … are names (that is how arrays are exported)."""
    filled = [name for name in names if name]
    if not filled or not all(_NUMBER.fullmatch(name) for name in filled):
        return False
    counts = [int(name) for name in filled if name.isdigit()]
    return len(filled) < 2 or counts not in (list(range(len(filled))), list(range(1, len(filled) + 1)))


def _delimiter(sample: list[str]) -> str:
    """The mark that divides the lines into the same number of columns; the comma when none divides them."""
    best, most = ",", 1
    for mark in DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=mark)]
        agreeing = widths.count(widths[0]) / len(widths)
        if widths[0] > most and agreeing >= 0.8:
            best, most = mark, widths[0]
    if most == 1:  # no mark divides all lines alike: trust the header, so that the error can name the odd row
        best = max(DELIMITERS, key=sample[0].count)
    return best


def _check_header(header: list[str], name: str) -> None:
    if _is_header_of_numbers(header):
        raise DataError(
            f"The first line of '{name}' is numbers: {', '.join(header[:5])}. Expected a line that names the columns. "
            f"Add one above it, such as time,load."
        )
    names = [column for column in header if column]
    twice, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise DataError(f"'{name}' has {times} columns named '{twice}'. Expected each name once. Rename or remove the others.")


def _parse(text: str, header: list[str], delimiter: str, name: str) -> pl.DataFrame:
    """All values as text; the columns are named by position until the empty ones are dropped."""
    columns = [str(i) for i in range(len(header))]
    if '"' not in text:
        _check_widths(text, len(header), delimiter, name)
    try:
        return pl.read_csv(
            text.encode(),
            separator=delimiter,
            has_header=False,
            skip_lines=_header_lines(text),
            schema=dict.fromkeys(columns, pl.String),
        )
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    except pl.exceptions.PolarsError as error:
        _check_rows(csv.reader(io.StringIO(text), delimiter=delimiter), len(header), name)
        raise DataError(
            f"'{name}' cannot be read as text with columns: {str(error).splitlines()[0]}. "
            f"Expected one row a line, quotes in pairs. Look for an unpaired quotation mark, or export the file again."
        ) from error


def _header_lines(text: str) -> int:
    """How many lines the header takes: empty lines above it count, and a quoted name may run over several."""
    reader = csv.reader(iter(io.StringIO(text[:1_000_000])))
    while not any(next(reader)):
        pass
    return reader.line_num


def _check_widths(text: str, width: int, delimiter: str, name: str) -> None:
    """Cheap check that every line has as many values as the header; the line is looked for only when the sum is off."""
    lines = text.count("\n") + (not text.endswith("\n"))
    if text.count(delimiter) != lines * (width - 1):
        _check_rows((line.split(delimiter) if line.strip() else [] for line in text.splitlines()), width, name)


def _check_rows(rows: Iterable[list[str]], width: int, name: str) -> None:
    for number, row in enumerate(filter(None, rows)):
        if len(row) != width:
            raise DataError(
                f"Row {number} of '{name}' has {len(row)} values; the header names {width} columns. "
                f"Expected as many values as names in every row. Repair that row, or export the file again if it was cut short."
            )


def _without_empty_ends(frame: pl.DataFrame, header: list[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The frame under its names; columns without a name and without a value are dropped (a comma at the end of each line)."""
    notes = []
    for i, column in enumerate(header):
        if column:
            continue
        if frame[str(i)].null_count() == frame.height:
            frame = frame.drop(str(i))
            notes.append(f"Column {i + 1} has neither a name nor a value and was dropped.")
        else:
            header[i] = f"column_{i + 1}"
            notes.append(f"Column {i + 1} has no name; it is called 'column_{i + 1}'.")
    kept = set(frame.columns)
    return frame.rename({str(i): column for i, column in enumerate(header) if str(i) in kept}), tuple(notes)
