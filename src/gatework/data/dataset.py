"""Everything numeric about one run's data: the table, its split, the fitted preparation, the prepared arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from gatework.data.labels import check_labels
from gatework.data.layout import build_table
from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.read import read_frame, read_parts
from gatework.data.split import Split, apply_split
from gatework.data.table import Table
from gatework.errors import DataError, RunError
from gatework.runs import DataPlan, Manifest, Plan, RunFolder, SourceFile, SplitRecord, file_sha256

Source = str | Path | Sequence[str | Path] | Any
"""A path, several paths, a glob, a folder, `bundled:NAME`, or a frame in memory."""


@dataclass(frozen=True)
class Dataset:
    """One run's data, ready for samples."""

    table: Table
    split: Split
    preparation: Preparation
    prepared: Prepared


def source_names(source: Source) -> tuple[str, ...]:
    """A source as the texts that config.json keeps; empty for a frame in memory."""
    if isinstance(source, str | Path):
        return (str(source),)
    if isinstance(source, Sequence) and all(isinstance(item, str | Path) for item in source):
        return tuple(str(item) for item in source)
    return ()


def fingerprint(names: Sequence[str]) -> tuple[SourceFile, ...]:
    """Path, hash and size of every plain file among the sources."""
    files = [Path(name) for name in names if Path(name).is_file()]
    return tuple(SourceFile(path=str(file), sha256=file_sha256(file), size_bytes=file.stat().st_size) for file in files)


def read_planned(
    plan: DataPlan, source: Source | None = None, labels: Source | None = None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The frame (and the labels table) that a plan names; `source` and `labels` stand in for the plan's own."""
    table = plan.labels if labels is None else labels
    return read_rows(plan, source), None if table is None else read_frame(table)


def read_rows(plan: DataPlan, source: Source | None = None) -> pl.DataFrame:
    """The frame that a plan names, without its labels table; `source` stands in for the plan's own sources."""
    if source is not None and not source_names(source):
        return read_frame(source)
    names = source_names(source) if source is not None else plan.sources
    if not names:
        raise RunError(
            "This run was trained on a frame in memory, which it cannot read again. "
            "Expected the data. Give it: evaluate_run(run, data=frame), or a file after the run's name."
        )
    return read_parts(names, plan.validation_sources, plan.test_sources)[0]


def open_dataset(folder: RunFolder, source: Source | None = None) -> Dataset:
    """The data of a finished or interrupted run, divided and prepared exactly as it was for training.

    source: where the data is now, when it was a frame in memory or has moved.
    Raises RunError when a source file is gone or has changed, or `source` is other data.
    """
    if source is not None:
        own = own_data(folder, source)
        if own is None:
            raise RunError(
                f"The data given is not what '{folder.path}' was trained on: fitted again, it gives other numbers. "
                f"Expected the very rows of the training. Give that data, or train again."
            )
        return own
    plan = folder.read("config.json", Plan)
    record = folder.read("split.json", SplitRecord)
    preparation = Preparation.from_json(folder.read_text("prepare.json"))
    check_unchanged(folder.read("run.json", Manifest))
    frame, labels = read_planned(plan.data)
    table = build_table(frame, plan.data, labels)
    split = apply_split(record, table)
    return Dataset(table, split, preparation, preparation.apply(table, split))


def own_data(folder: RunFolder, source: Source, labels: Source | None = None) -> Dataset | None:
    """`source` divided and prepared as for training, when it is the run's own data; None when it is other data.

    It is the run's own when the split fits and fitting again gives prepare.json.
    """
    plan = folder.read("config.json", Plan)
    record = folder.read("split.json", SplitRecord)
    known = Preparation.from_json(folder.read_text("prepare.json"))
    try:
        frame, known_labels = read_planned(plan.data, source, labels)
        table = build_table(frame, plan.data, known_labels)
        split = apply_split(record, table)
        again = Preparation.fit(table, split, known.record.like, known.record.keeps_scales)
    except (DataError, RunError):
        return None
    return Dataset(table, split, known, known.apply(table, split)) if again.to_json() == known.to_json() else None


def open_other(folder: RunFolder, source: Source, labels: Source | None = None) -> Dataset:
    """Data that the run has never seen, prepared with what it learned; all of it is the test part.

    Raises DataError when the answers or attributes stood in a labels table at training, and stand nowhere now.
    """
    plan = folder.read("config.json", Plan)
    known = Preparation.from_json(folder.read_text("prepare.json"))
    fields = tuple(field for field in plan.data.fields if field.role != "split")
    whole = plan.data.model_copy(update={"validation_sources": (), "test_sources": (), "fields": fields})
    frame = read_rows(whole, source)
    check_labels(whole, frame, labels)
    table = build_table(frame, whole, None if labels is None else read_frame(labels), is_new=True)
    split = Split.all_test(table)
    return Dataset(table, split, known, known.apply(table, split))


def rows_in_common(own: Dataset, other: Dataset) -> int:
    """How many steps of `other` the model was trained on: equal in series, time and every column that both have."""
    trained = own.table.steps.filter(pl.Series(own.split.rows_of("train")))
    columns = [name for name, dtype in trained.schema.items() if other.table.steps.schema.get(name) == dtype]
    if not {own.table.series, own.table.time} <= set(columns):
        return 0
    return other.table.steps.join(trained.select(columns).unique(), on=columns, how="semi", nulls_equal=True).height


def check_unchanged(manifest: Manifest) -> None:
    """RunError when a source file is gone or no longer what was trained on."""
    for known in manifest.sources:
        path = Path(known.path)
        if not path.is_file():
            raise RunError(
                f"The data file '{known.path}' of this run is gone. Expected it where it was at training. "
                f"Put it back, or give its new place after the run's name."
            )
        if file_sha256(path) != known.sha256:
            raise RunError(
                f"The data file '{known.path}' has changed since training. Expected sha256 {known.sha256[:12]}…. "
                f"Restore it (new series of a labels table go into a file of their own: --labels), or train again."
            )
