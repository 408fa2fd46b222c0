"""From data to a plan and a divided dataset: read, recognise, plan, divide, prepare. Nothing is trained or written."""

from collections.abc import Sequence
from dataclasses import replace

from gatework.cells import Cell, find_cell
from gatework.data.clock import why_irregular
from gatework.data.dataset import Dataset, Source, source_names
from gatework.data.layout import build_table
from gatework.data.leaks import silent_series, suspected_leaks
from gatework.data.prepare import Preparation
from gatework.data.read import PART, read_frame, read_parts
from gatework.data.recognise import recognise
from gatework.data.samples import ForecastSamples
from gatework.data.series import has_clock, listed
from gatework.data.split import PARTS, Split, make_split
from gatework.data.table import Table
from gatework.data.wishes import Wishes
from gatework.errors import ConfigError
from gatework.runs import DataPlan, Part, Plan
from gatework.tasks import planned_task
from gatework.tasks.task import Samples
from gatework.train.plan import make_plan
from gatework.train.request import Request
from gatework.train.start import read_start


def plan_run(source: Source, request: Request) -> tuple[Plan, Dataset]:
    """Read the data and decide everything; nothing is written.

    Raises DataError and ConfigError for whatever cannot be trained on.
    """
    plan, table = plan_table(source, request)
    return plan, divide(plan, table, make_split(table, plan.split))


def plan_table(source: Source, request: Request) -> tuple[Plan, Table]:
    """Read the data and decide everything but which rows are in which part; nothing is written or fitted."""
    if request.task != "anomaly" and (not request.targets or not request.targets[0]):
        tables = [read_frame(table) for table in (request.labels, source) if table is not None]
        columns = dict.fromkeys(name for table in tables for name in table.columns)
        raise ConfigError(
            f"No target was given; the data has the columns {', '.join([*columns][:20])}. "
            f"Expected the column to predict. Give it with --target NAME."
        )
    names = source_names(source)
    if names or request.test or request.validation:
        frame, has_parts = read_parts(names or (source,), request.validation, request.test)
    else:
        frame, has_parts = read_frame(source), False
    labels = None if request.labels is None else read_frame(request.labels)
    recognised = recognise(frame, wishes(request, PART if has_parts else None), labels)
    data = recognised.plan.model_copy(
        update={
            "sources": names,
            "validation_sources": request.validation,
            "test_sources": request.test,
            "labels": request.labels,
        }
    )
    table = build_table(frame, data, labels)
    data, table, reasons = with_clock(data, table, find_cell(request.cell))
    plan = make_plan(request, data, table, recognised.reasons | reasons)
    leaks = (leak.warning for leak in suspected_leaks(table, plan.horizon))
    return plan, replace(table, notes=(*table.notes, *silent_series(table), *leaks))


def with_clock(data: DataPlan, table: Table, cell: Cell) -> tuple[DataPlan, Table, dict[str, str]]:
    """What the time stamps give as inputs: how long each step took where they differ, and what the cell reads past its gates.

    Also the reasons. Raises ConfigError for a cell that reads something else.
    """
    unknown = [name for name in cell.inputs if name not in ("elapsed", "time")]
    if unknown:
        raise ConfigError(
            f"The cell '{cell.name}' reads '{unknown[0]}' past its gates, which no data gives it here; expected a cell that "
            f"reads elapsed or time. Choose another --cell, or use it as a layer: gatework.Recurrent."
        )
    why, reasons = why_irregular(table), {}
    if why:
        reasons["time.elapsed"] = f"The time since the step before is an input: {why}."
    if cell.inputs:
        source = f"'{table.time}'" if has_clock(table) else "steps that count 1 each, since the data has no time stamps"
        reasons["cell.clock"] = f"The cell {cell.name} reads {' and '.join(cell.inputs)} in usual steps, from {source}."
    given = {"clock": cell.inputs, "elapsed": bool(why)}
    return data.model_copy(update=given), replace(table, clock=cell.inputs, elapsed=bool(why)), reasons


def divide(plan: Plan, table: Table, split: Split, parts: Sequence[Part] = PARTS) -> Dataset:
    """The table divided as given, with a preparation fitted on the training rows of that split.

    parts: those that must give samples. Raises DataError when one gives none, or a target cannot be learned there.
    """
    like = read_start(plan.training.init_from).preparation.record if plan.training.init_from else None
    preparation = Preparation.fit(table, split, like, plan.training.keep_scales)
    prepared = preparation.apply(table, split)
    samples = {part: planned_task(plan).samples(prepared, split, part) for part in parts}  # what gives none is refused now
    train = samples["train"]
    if isinstance(train, ForecastSamples) and not plan.training.init_from:  # a window that was taken over may be too long
        train.check_whole(split)
    for note in length_notes(train):
        split = with_note(split, note)
    return Dataset(table, split, preparation, prepared)


def length_notes(train: Samples) -> list[str]:
    """The series that are too short for a whole window, and those that are too short to be trained on, by name."""
    if not isinstance(train, ForecastSamples):
        return []
    notes = []
    if train.short:
        notes.append(
            f"{len(train.short)} series have fewer than {train.window + train.horizon} steps (window and horizon) in the "
            f"training part: what is read of them begins at their first step: {listed(train.short)}."
        )
    if train.skipped:
        notes.append(
            f"{len(train.skipped)} series have fewer than {train.shortest + train.horizon} steps in the training part and are "
            f"not trained on: {listed(train.skipped)}."
        )
    return notes


def with_note(split: Split, note: str) -> Split:
    """The split, whose record says one thing more; an empty note is none."""
    return replace(split, record=split.record.model_copy(update={"notes": (*split.record.notes, note)})) if note else split


def wishes(request: Request, part_column: str | None) -> Wishes:
    """The part of a request that is about reading."""
    return Wishes(
        task=request.task,
        targets=request.targets,
        time=request.time_columns or None,
        series=request.series,
        known_future=request.known_future,
        static=request.static,
        ignore=request.ignore,
        kinds=dict(request.kinds),
        missing=request.missing,
        gaps_fade=request.cell == "gru_d",
        constant=request.constant,
        bins=request.bins,
        layout=request.layout,
        split_column=request.split_column or part_column,
        group=request.group,
        variable=request.variable,
        value=request.value,
        labels_column=request.labels_column,
    )
