"""The folder of one run: typed reading, atomic writing."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from gatework.errors import RunError
from gatework.runs.history import HistoryRow, Manifest
from gatework.runs.notebook import Shown
from gatework.runs.record import SCHEMA_VERSION, Record

AnyRecord = TypeVar("AnyRecord", bound=Record)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there replaces `path` when the block ends without an error."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


CURES = {
    "history.jsonl": "Finish the training with 'gatework resume {run}'.",
    "evaluation.json": "Score the run with 'gatework evaluate {run}'.",
    "study.json": "Start the study anew in an empty folder.",
}
"""What writes a missing file. The others are written before training, so that without them there is no run."""


class RunFolder(Shown):
    """One run on disk: typed reading and atomic writing of its files.

    Raises RunError with the file's name when a file is missing, damaged, truncated or from a newer schema.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether that file is there."""
        return self.file(name).is_file()

    def remove_leftovers(self) -> None:
        """Delete what a killed process left half-written; see `atomic_write`."""
        for path in self.path.glob(".*.part"):
            path.unlink(missing_ok=True)

    def read(self, name: str, schema: type[AnyRecord]) -> AnyRecord:
        """One JSON file as its record."""
        text = self.read_text(name)
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise self._damaged(name, f"it is not complete JSON (line {error.lineno})") from error
        self._check_version(name, data)
        try:
            return schema.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise self._damaged(name, f"'{where}': {first['msg']}") from error

    def read_text(self, name: str) -> str:
        """One file as text; RunError when the folder or the file is missing or not UTF-8."""
        if not self.path.is_dir():
            raise RunError(
                f"'{self.path}' is not a run folder: it does not exist. "
                f"Expected a folder written by 'gatework train'. Check the path, or train first."
            )
        try:
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            if name != "study.json" and self.has("study.json"):
                runs = sorted(path.parent.relative_to(self.path) for path in self.path.glob("**/config.json"))
                raise RunError(
                    f"'{self.path}' is the folder of a study. Expected that of one training. Give one of those in it"
                    f"{f', such as {self.path / runs[0]}' if runs else ''}."
                ) from error
            cure = CURES.get(name, "Restore it from a copy, or train again.").format(run=self.path)
            raise RunError(
                f"The run folder '{self.path}' has no '{name}'. Expected the file that an earlier stage writes. {cure}"
            ) from error
        except UnicodeDecodeError as error:
            raise self._damaged(name, "it is not text") from error
        except OSError as error:
            raise self._damaged(name, f"it cannot be read ({error.strerror})") from error

    def write(self, name: str, record: Record) -> None:
        """One record as a JSON file, atomically."""
        self.write_text(name, record.model_dump_json(indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Text as a file, atomically."""
        with atomic_write(self.file(name)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_history(self) -> list[HistoryRow]:
        """history.jsonl, one row per epoch."""
        try:
            return [HistoryRow.model_validate_json(line) for line in self.read_text("history.jsonl").splitlines()]
        except ValidationError as error:
            raise self._damaged("history.jsonl", "a line is not an epoch") from error

    def write_history(self, rows: list[HistoryRow]) -> None:
        """All rows, atomically: a killed training never leaves half a line."""
        self.write_text("history.jsonl", "".join(row.model_dump_json() + "\n" for row in rows))

    def update_manifest(self, **changes: object) -> Manifest:
        """run.json with some of its properties changed; `wall_time_s` and `files` are merged, not replaced."""
        old = self.read("run.json", Manifest)
        merged = dict(changes)
        for name in ("wall_time_s", "files"):
            if name in merged:
                merged[name] = {**getattr(old, name), **merged[name]}  # type: ignore[dict-item]
        new = Manifest.model_validate({**old.model_dump(), **merged})
        self.write("run.json", new)
        return new

    def _check_version(self, name: str, data: object) -> None:
        version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, dict) else None
        if not isinstance(version, int):
            raise self._damaged(name, "it has no schema version")
        if version > SCHEMA_VERSION:
            raise RunError(
                f"'{self.file(name)}' has schema version {version}; this gatework reads versions up to {SCHEMA_VERSION}. "
                f"Upgrade gatework: pip install --upgrade gatework."
            )

    def _damaged(self, name: str, what: str) -> RunError:
        return RunError(
            f"'{self.file(name)}' is damaged: {what}. Expected the file as gatework wrote it. "
            f"{CURES.get(name, 'Restore it from a copy, or train again.').format(run=self.path)}"
        )
