"""Everything that a report is made of, read from the run folder."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from gatework.errors import RunError
from gatework.runs import Evaluation, HistoryRow, LinesFigure, Manifest, Plan, RunFolder, SplitRecord

PREVIEW_ROWS = 6
PREVIEW_COLUMNS = 8
MOST_HEADER_BYTES = 10_000_000


@dataclass(frozen=True)
class PredictionsPreview:
    """The first rows of predictions.parquet, as text."""

    num_rows: int
    columns: tuple[str, ...]
    num_columns: int
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Material:
    """The files of a run. evaluation and predictions are None where that stage has not run.

    step_s: length of one step of the data in seconds, None when unknown.
    weights_sha256: what model.safetensors says of its weights, None when it is not there or says nothing.
    """

    run: RunFolder
    plan: Plan
    split: SplitRecord
    history: list[HistoryRow]
    manifest: Manifest
    evaluation: Evaluation | None
    predictions: PredictionsPreview | None
    preparation_notes: tuple[str, ...]
    step_s: float | None
    weights_sha256: str | None

    @property
    def best_row(self) -> HistoryRow | None:
        """The epoch whose weights were kept: the last one marked best."""
        return next((row for row in reversed(self.history) if row.is_best), None)

    @property
    def is_other_model(self) -> bool:
        """Whether the evaluation is of other weights than those in the folder."""
        scored = self.evaluation.model_sha256 if self.evaluation else ""
        return bool(self.weights_sha256 and scored and self.weights_sha256 != scored)


def read_material(run: RunFolder) -> Material:
    """Reads all files of a run.

    Raises RunError when a file that every trained run has is missing, or when any file is damaged.
    """
    plan = run.read("config.json", Plan)
    evaluation = run.read("evaluation.json", Evaluation) if run.has("evaluation.json") else None
    return Material(
        run=run,
        plan=plan,
        split=run.read("split.json", SplitRecord),
        history=run.read_history(),
        manifest=run.read("run.json", Manifest),
        evaluation=evaluation,
        predictions=_read_preview(run),
        preparation_notes=_read_preparation_notes(run),
        step_s=_step_seconds(evaluation) if plan.data.task == "forecast" else None,
        weights_sha256=_weights_sha256(run),
    )


def _read_preparation_notes(run: RunFolder) -> tuple[str, ...]:
    if not run.has("prepare.json"):
        return ()
    try:
        content = json.loads(run.read_text("prepare.json"))
    except json.JSONDecodeError as error:
        raise _damaged(run.file("prepare.json"), f"it is not complete JSON (line {error.lineno})") from error
    notes = content.get("notes", ()) if isinstance(content, dict) else ()
    return tuple(note for note in notes if isinstance(note, str)) if isinstance(notes, list) else ()


def _weights_sha256(run: RunFolder) -> str | None:
    """The hash in the header of model.safetensors: 8 bytes with the length of the header, then the header as JSON."""
    if not run.has("model.safetensors"):
        return None
    with run.file("model.safetensors").open("rb") as weights:
        length = int.from_bytes(weights.read(8), "little")
        text = weights.read(min(length, MOST_HEADER_BYTES))
    try:
        header = json.loads(text)
    except ValueError:
        return None  # Loading the model says what is wrong with it; the report only compares.
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return metadata.get("sha256") if isinstance(metadata, dict) else None


def _read_preview(run: RunFolder) -> PredictionsPreview | None:
    if not run.has("predictions.parquet"):
        return None
    import polars as pl

    try:
        frame = pl.read_parquet(run.file("predictions.parquet"))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(run.file("predictions.parquet"), "it cannot be read as Parquet") from error
    columns = frame.columns[:PREVIEW_COLUMNS]
    head = frame.select(columns).head(PREVIEW_ROWS)
    rows = tuple(tuple(_cell_text(value) for value in row) for row in head.rows())
    return PredictionsPreview(frame.height, tuple(columns), frame.width, rows)


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)[:80]


def _step_seconds(evaluation: Evaluation | None) -> float | None:
    """The commonest distance between time stamps of a figure of forecasts, if nine in ten distances agree."""
    for figure in evaluation.figures if evaluation else ():
        if not isinstance(figure, LinesFigure) or not any(line.style == "truth" for line in figure.lines):
            continue
        times = iso_times(figure.x)
        if times is None or len(times) < 3:
            continue
        gaps = Counter((later - earlier).total_seconds() for earlier, later in pairwise(times))
        commonest, occurrences = gaps.most_common(1)[0]
        if commonest > 0 and occurrences >= 0.9 * (len(times) - 1):
            return commonest
    return None


def iso_times(values: tuple[float, ...] | tuple[str, ...]) -> list[datetime] | None:
    """The values as times, or None when one of them is not an ISO time stamp; zones are brought to that of the first."""
    times: list[datetime] = []
    for value in values:
        if not isinstance(value, str) or value.isdigit():
            return None
        try:
            times.append(datetime.fromisoformat(value))
        except ValueError:
            return None
    if not times or len({time.tzinfo is None for time in times}) != 1:
        return None
    zone = times[0].tzinfo
    return times if zone is None else [time.astimezone(zone).replace(tzinfo=None) for time in times]


def _damaged(path: Path, what: str) -> RunError:
    return RunError(
        f"'{path}' is damaged: {what}. Expected the file as gatework wrote it. "
        f"Run 'gatework evaluate {path.parent}' to write it again, or train again."
    )
