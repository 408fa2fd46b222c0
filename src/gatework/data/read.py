"""Any source → one polars frame with the columns as the source has them. Nothing is recognised here beyond number or text."""

import glob
import gzip
import lzma
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from gatework.data.bundled import PREFIX, bundled_bytes, find_bundled
from gatework.data.column_types import plain_frame, shortened, typed_frame
from gatework.data.formats.archive import read_ts
from gatework.data.formats.arrays import frame_of_arrays, read_npy, read_npz
from gatework.data.formats.columnar import read_arrow, read_json_lines, read_parquet
from gatework.data.formats.delimited import read_delimited
from gatework.data.formats.raw import RawFrame
from gatework.data.in_memory import frame_in_memory
from gatework.data.reshape import lists_to_steps
from gatework.errors import ConfigError, DataError, nearest

PART = "__part__"
"""The column that says train, validation or test where these are separate files."""

FORMATS: dict[str, Callable[[bytes, str], RawFrame]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".npy": read_npy,
    ".npz": read_npz,
    ".ts": read_ts,
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".xz": lzma.decompress}
FORMAT_LIST = (
    "CSV (.csv, .tsv, .txt), Parquet (.parquet), Arrow (.arrow, .feather), JSON Lines (.jsonl), NumPy (.npy, .npz) "
    "or .ts, each also with .gz or .xz after it"
)


@dataclass(frozen=True)
class Reading:
    """What a source holds. notes: what was changed or assumed while reading, one sentence each, for the user."""

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def read_frame(source: object) -> pl.DataFrame:
    """The frame of one source; see `read_source`."""
    return read_source(source).frame


def read_source(source: object) -> Reading:
    """A file, a folder or glob (one file a sequence), several files, `bundled:NAME`, a NumPy array, or any data frame.

    Raises DataError for what cannot be read: missing, empty, damaged, of another format, without a header.
    """
    return _settled(_read_raw(source), str(source) if isinstance(source, (str, Path)) else "the frame")


def read_parts(
    sources: Sequence[object], validation_sources: Sequence[object] = (), test_sources: Sequence[object] = ()
) -> tuple[pl.DataFrame, bool]:
    """All parts in one frame, and whether there are parts (then column `PART` names them); see `read_all_parts`."""
    reading = read_all_parts(sources, validation_sources, test_sources)
    return reading.frame, PART in reading.frame.columns


def read_all_parts(
    sources: Sequence[object], validation_sources: Sequence[object] = (), test_sources: Sequence[object] = ()
) -> Reading:
    """`read_parts` with notes; `PART` says train, validation or test.

    Series that have no names of their own are named after their part: train/0, test/0, …

    Raises DataError when the parts have different columns.
    """
    given = {"train": sources, "validation": validation_sources, "test": test_sources}
    raws = {part: _read_raw(list(several)) for part, several in given.items() if several}
    if list(raws) == ["train"]:
        return _settled(raws["train"], "the data")
    if "train" not in raws:
        raise ConfigError(f"Only {' and '.join(raws)} files were given. Expected files to train on as well. Give them first.")
    return _settled(_stack(raws, PART, {part: f"The {part} data" for part in raws}), "the data")


def _read_raw(source: object) -> RawFrame:
    if isinstance(source, (list, tuple)):
        if not source:
            raise ConfigError("No data was given. Expected a file, a folder, a glob, a frame or bundled:NAME. Name one.")
        return _read_raw(source[0]) if len(source) == 1 else _read_several([_existing_file(Path(str(path))) for path in source])
    if isinstance(source, str) and source.startswith(PREFIX):
        return _read_bundled(source)
    if isinstance(source, (str, Path)):
        return _read_path(source)
    if isinstance(source, np.ndarray):
        return frame_of_arrays({"x" if source.ndim > 1 else "value": source}, "the array")
    return frame_in_memory(source)


def _read_path(source: str | Path) -> RawFrame:
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_several(_files_in(path))
    if not path.exists() and glob.has_magic(str(path)):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file()]  # noqa: PTH207 (absolute patterns)
        if not matches:
            raise DataError(
                f"No file matches '{source}'. Expected a pattern of existing files, one a sequence. "
                f"Check the folder and the ending."
            )
        return _read_several(matches)
    return _read_file(_existing_file(path))


def _existing_file(path: Path) -> Path:
    path = path.expanduser()
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise DataError(f"'{path}' does not exist, nor does the folder '{path.parent}'. Expected a data file. Check the path.")
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    hint = nearest(path.name, names[:200]) if names else "That folder is empty."
    if hint.startswith("Known: "):
        hint = f"In that folder: {shortened(names, 8)}."
    raise DataError(f"'{path}' does not exist. Expected a data file, a folder, or a pattern of files. {hint}")


def _files_in(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    known = [path for path in files if _suffixes(path.name)[0] in FORMATS and not _is_about_data(path)]
    if not known:
        raise DataError(
            f"The folder '{folder}' has no data file. Expected one file a sequence, as {FORMAT_LIST}. "
            f"It holds {shortened(path.name for path in files) or 'no file'}; "
            f"give the right folder, or a pattern such as '{folder}/*.csv'."
        )
    return known


def _is_about_data(path: Path) -> bool:
    return path.suffix == ".txt" and re.match(r"(?i)(readme|licen[cs]e|source|notes)", path.stem) is not None


def _suffixes(name: str) -> tuple[str, str]:
    """The format's suffix and the compression's, lower case, empty where there is none."""
    path = Path(name.lower())
    return (Path(path.stem).suffix, path.suffix) if path.suffix in COMPRESSIONS else (path.suffix, "")


def _read_file(path: Path) -> RawFrame:
    suffix, _ = _suffixes(path.name)
    if suffix not in FORMATS:
        raise DataError(
            f"'{path}' ends in '{suffix or path.name}', which is no format that gatework reads. Expected {FORMAT_LIST}. "
            f"Export the data as CSV or Parquet, or rename the file after its true format."
        )
    try:
        return _read_bytes(path.read_bytes(), path.name)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}. Expected a readable file. Check its permissions.") from error


def _read_bytes(content: bytes, name: str) -> RawFrame:
    suffix, compression = _suffixes(name)
    if compression and content:
        try:
            content = COMPRESSIONS[compression](content)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise DataError(
                f"'{name}' cannot be decompressed: {error}. Expected a complete {compression} file. Copy or compress it again."
            ) from error
    if not content.strip():
        raise DataError(
            f"'{name}' is empty. Expected a header that names the columns and at least two rows of values. "
            f"Check how it was exported."
        )
    return FORMATS[suffix](content, name)


def _read_several(paths: list[Path]) -> RawFrame:
    """Files as one frame; the column `series` (`file` where that name is taken) holds the stem of each file's name."""
    paths = sorted(paths, key=_natural_order)
    raws: dict[str, RawFrame] = {}
    for path in paths:
        stem = path.name.removesuffix(_suffixes(path.name)[1]) if _suffixes(path.name)[1] else path.name
        stem = Path(stem).stem
        raws[stem if stem not in raws else str(path)] = _read_file(path)
    columns = next(iter(raws.values())).frame.columns
    name = "series" if "series" not in columns else "file"
    return _stack(raws, name, {stem: f"'{path}'" for stem, path in zip(raws, paths, strict=True)})


def _natural_order(path: Path) -> list[tuple[bool, int, str]]:
    """file2 before file10."""
    return [(not piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in re.split(r"(\d+)", str(path))]


def _stack(raws: dict[str, RawFrame], name: str, titles: dict[str, str]) -> RawFrame:
    """Frames below one another, with a column that holds the key of each; DataError when their columns differ."""
    first_key, first = next(iter(raws.items()))
    frames = []
    for key, raw in raws.items():
        _check_same_columns(first.frame, raw.frame, titles[first_key], titles[key])
        frame = raw.frame.select(first.frame.columns)
        if raw.is_numbered and name == PART:
            frame = frame.with_columns(pl.format("{}/{}", pl.lit(key), pl.col("series")).alias("series"))
        elif first.is_text and not raw.is_text:
            frame = frame.cast(pl.String)  # one folder may hold CSV beside Parquet
        frames.append(frame.with_columns(pl.lit(key).alias(name)))
    try:
        frame = pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"The files hold different types in the same column: {str(error).splitlines()[0]}. "
            f"Expected one type for each column in all files. Write them again with the same types."
        ) from error
    notes = tuple(dict.fromkeys(note for raw in raws.values() for note in raw.notes))
    return replace(first, frame=frame, notes=notes, has_decimal_comma=all(raw.has_decimal_comma for raw in raws.values()))


def _check_same_columns(expected: pl.DataFrame, frame: pl.DataFrame, first: str, title: str) -> None:
    missing = [column for column in expected.columns if column not in frame.columns]
    extra = [column for column in frame.columns if column not in expected.columns]
    if missing or extra:
        lacks = f" lacks {shortened(missing)}" if missing else ""
        has = f" has also {shortened(extra)}" if extra else ""
        raise DataError(
            f"{title}{lacks}{' and' if lacks and has else ''}{has}. Expected the columns of {first[0].lower() + first[1:]}: "
            f"{shortened(expected.columns, 12)}. Make the columns agree, or leave that file out."
        )


def _read_bundled(source: str) -> RawFrame:
    bundled, parts = find_bundled(source)
    raws = {part: _read_bytes(bundled_bytes(name), name) for part, name in parts.items()}
    if len(raws) == 1:
        return next(iter(raws.values()))
    names = {part: pl.format("{}-{}", pl.lit(part), pl.col("series").cast(pl.String).str.zfill(3)) for part in raws}
    frames = [raw.frame.with_columns(names[part].alias("series"), pl.lit(part).alias("part")) for part, raw in raws.items()]
    return RawFrame(pl.concat(frames), notes=(f"{bundled.title}: {bundled.source}, {bundled.licence}.",))


def _settled(raw: RawFrame, name: str) -> Reading:
    if not raw.is_text:
        return Reading(plain_frame(lists_to_steps(raw.frame), name), raw.notes)
    frame, notes = typed_frame(raw.frame, raw.has_decimal_comma)
    return Reading(frame, (*raw.notes, *notes))
