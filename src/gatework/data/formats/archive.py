"""The `.ts` files of the time-series classification and regression archive (timeseriesclassification.com).

Lines that start with # are comments, lines that start with @ describe the data; after @data one case a line: channels divided by
colons, steps by commas, the class label or the target value last. With @timeStamps true each step is a pair (time, value).
"""

import re

import numpy as np
import polars as pl

from gatework.data.formats.raw import RawFrame
from gatework.errors import DataError

_PAIR = re.compile(r"\(([^,()]*),([^()]*)\)")
Columns = dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]] | list[str]"]
Case = tuple[Columns, str | None]


def read_ts(content: bytes, name: str) -> RawFrame:
    """One row a step: `series`, `step` (or `time`), the channels (`value`, or `x1`, `x2`, …), and `class` or `target`."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(
            f"'{name}' has no line '@data'. Expected the archive's .ts form: lines with @, then @data, then the cases. "
            f"Let its name end in .csv if it is a table."
        )
    header = dict(([*line[1:].strip().lower().split(maxsplit=1), ""])[:2] for line in lines[:start] if line.startswith("@"))
    label = "class" if header.get("classlabel", "").startswith("true") else None
    label = "target" if header.get("targetlabel", "").startswith("true") else label
    cases = [
        _case(line, header.get("timestamps", "") == "true", label is not None, f"Line {number} of '{name}'")
        for number, line in enumerate(lines[start + 1 :], start=start + 2)
        if line.strip()
    ]
    if not cases:
        raise DataError(f"'{name}' has no case after '@data'. Expected one case a line. Check whether the file was cut short.")
    return _table(cases, label, name)


def _case(line: str, has_times: bool, has_label: bool, where: str) -> Case:
    channels = _split_channels(line.strip(), has_times)
    label = channels.pop().strip() if has_label else None
    try:
        columns = _timed(channels) if has_times else _plain(channels)
    except ValueError as error:
        raise DataError(
            f"{where} has a value that is no number ({error}). Expected numbers, '?' or NaN between the commas. Repair that line."
        ) from error
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise DataError(
            f"{where} has channels of {min(lengths, default=0)} to {max(lengths, default=0)} steps. "
            f"Expected the same number of steps in each channel of a case. Fill the shorter ones with '?'."
        )
    return columns, label


def _split_channels(line: str, has_times: bool) -> list[str]:
    """Colons divide the channels, but those inside a time stamp (10:30:00) do not."""
    return re.split(r":(?![^()]*\))", line) if has_times else line.split(":")


def _plain(channels: list[str]) -> Columns:
    names = ["value"] if len(channels) == 1 else [f"x{i}" for i in range(1, len(channels) + 1)]
    return {
        name: np.array(["nan" if value.strip() == "?" else value for value in text.split(",") if text.strip()], np.float64)
        for name, text in zip(names, channels, strict=True)
    }


def _timed(channels: list[str]) -> Columns:
    pairs = [_PAIR.findall(text) for text in channels]
    times = [time.strip() for time, _ in pairs[0]]
    if any([time.strip() for time, _ in channel] != times for channel in pairs):
        raise ValueError("the channels have different time stamps")
    return {"time": times} | _plain([",".join(value for _, value in channel) for channel in pairs])


def _table(cases: list[Case], label: str | None, name: str) -> RawFrame:
    widths = [len(columns) for columns, _ in cases]
    odd = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if odd is not None:
        raise DataError(
            f"Case {odd + 1} of '{name}' has {widths[odd]} channels, the first case has {widths[0]}. "
            f"Expected the same channels in every case. Repair that line."
        )
    lengths = [len(next(iter(columns.values()))) for columns, _ in cases]
    data: dict[str, pl.Series] = {
        "series": pl.Series(np.repeat(np.arange(len(cases)), lengths)),
        "step": pl.Series(np.concatenate([np.arange(length) for length in lengths])),
    }
    for column in cases[0][0]:
        parts = [columns[column] for columns, _ in cases]
        is_text = isinstance(parts[0], list)
        data[column] = pl.Series([time for part in parts for time in part]) if is_text else pl.Series(np.concatenate(parts))
    if "time" in data:
        del data["step"]
    if label is not None:
        values = pl.Series([text for _, text in cases])
        target = values.cast(pl.Float64) if label == "target" else values
        data[label] = target.gather(data["series"])
    empty = lengths.count(0)
    notes = (f"{empty} cases without a step were left out.",) if empty else ()
    return RawFrame(pl.DataFrame(data), notes, is_numbered=True)
