"""look: what gatework sees in a file, before anything is trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gatework.cli import show
from gatework.cli.request_options import as_command, make_request_from, takes_request
from gatework.cli.train import Config, Data, source_of
from gatework.errors import GateworkError

if TYPE_CHECKING:
    import polars as pl

    from gatework.data.look import ColumnFacts, Look
    from gatework.train import Request

MOST_CANDIDATES = 30
USUAL_TARGETS = {"target", "label", "class", "y"}
"""Names that say themselves what is to be predicted; else the first candidate stands in the example."""
ROLES = {"past": "input", "known_future": "input, known ahead", "static": "one value a series", "label": "judges, no input"}


@takes_request
def look(data: Data, config: Config = None, *, asked: Mapping[str, object]) -> None:
    """Show what gatework sees in your data; nothing is trained.

    Columns and their kinds, series, time step, gaps, the split, suspected leaks, and
    how long a training would take. Without --target it lists what could be predicted.
    Example:  gatework look data.csv
              gatework look data.csv --target load
    """
    request = make_request_from(asked, config)
    if request.targets and request.targets[0]:
        look_with_target(data, request)
    else:
        look_for_targets(data, request)


def look_with_target(data: list[str], request: "Request") -> None:
    """Everything that a training would do with this data."""
    from gatework.cli.estimate import seconds_per_epoch
    from gatework.cli.plan import show_plan
    from gatework.data.look import describe
    from gatework.report.numbers import duration
    from gatework.train import plan_run

    plan, dataset = plan_run(source_of(data), request)
    facts = describe(dataset.table, plan.data, plan.horizon)
    show_columns(facts.columns)
    show_series_and_time(facts)
    show_plan(plan, dataset)
    if facts.leaks:
        show.heading("Suspected leaks: columns that may hold the answer")
        show.bullets(leak.warning for leak in facts.leaks)
    notes = (*facts.notes, *dataset.split.record.notes, *dataset.preparation.notes)
    if notes:
        show.heading("Note")
        show.bullets(dict.fromkeys(notes))
    epoch_s = seconds_per_epoch(plan, dataset)
    show.heading("Estimated training time")
    most = f", at most {duration(plan.training.epochs * epoch_s)} for {plan.training.epochs}"
    show.paragraph(f"about {duration(epoch_s)} an epoch{most}; early stopping often ends it sooner.")
    show.next_commands([(as_command("train", data, request), "train")])


def show_columns(columns: tuple["ColumnFacts", ...]) -> None:
    """One row for each column."""
    from gatework.data.read import PART

    show.heading("Columns")
    rows = [
        (column.name, column.kind, ROLES.get(column.role, column.role), gaps_text(column.missing_share), values_text(column))
        for column in columns
        if column.name != PART  # no column of the data: which file a row comes from
    ]
    show.table(("column", "kind", "role", "missing", "values"), rows, numbers_from=5)


def gaps_text(share: float) -> str:
    """A share of missing values; a dash for none."""
    return "–" if share == 0 else "< 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def values_text(column: "ColumnFacts") -> str:
    """What a column holds: its range and median, or its categories."""
    if column.num_categories:
        more = column.num_categories - len(column.categories)
        return f"{column.num_categories}: {', '.join(column.categories)}{', …' if more > 0 else ''}"
    unit = f" {column.unit}" if column.unit else ""
    return f"{column.low} … {column.middle} … {column.high}{unit}" if column.low else ""


def show_series_and_time(facts: "Look") -> None:
    """How many series, how long; from when to when, and where steps are missing."""
    from gatework.data.table import STEP
    from gatework.report.numbers import counted

    series, time = facts.series, facts.time
    span = (
        f"{series.shortest}"
        if series.shortest == series.longest
        else f"{series.shortest} to {series.longest}, median {series.median:g}"
    )
    rows = [("series", f"{counted(series.count, 'series', 'series')} of {span} steps")]
    if time.name == STEP:
        rows.append(("time", "none: the rows in their order"))
    else:
        rows.append(("time", f"'{time.name}' from {time.first} to {time.last}, one step every {time.step or '?'}"))
        if time.irregular:
            rows.append(("steps", f"irregular: {time.irregular}; the time since the step before is an input"))
        rows.append(("gaps", f"{counted(time.num_gaps, 'gap')} in time" if time.num_gaps else "no step is missing"))
        for start, end, name in time.largest:
            of = f" (series {name})" if series.count > 1 else ""
            rows.append(("", f"from {start} to {end}{of}"))
    show.heading("Series and time")
    show.pairs(rows)


def look_for_targets(data: list[str], request: "Request") -> None:
    """The columns, and which of them could be predicted, by which task."""
    from gatework.data.kinds import kind_of
    from gatework.data.read import read_frame

    frame = read_frame(source_of(data))
    labels = None if request.labels is None else read_frame(request.labels)
    tables = [frame] if labels is None else [labels, frame]  # what is to be predicted stands in the labels
    show.heading(f"{len(frame.columns)} columns, {frame.height} rows")
    columns = {column.name: column for table in tables for column in table}
    rows = [
        (name, kind_of(column)[0], gaps_text(column.null_count() / max(1, len(column))), sample_text(column))
        for name, column in columns.items()
    ]
    show.table(("column", "kind", "missing", "first values"), rows, numbers_from=4)
    tasks = tasks_of(frame, labels, request, list(columns)[:MOST_CANDIDATES])
    show.heading("What could be predicted")
    if not tasks:
        show.paragraph("No column can be a target: none holds numbers or classes that vary.")
        return
    show.pairs([(name, task) for name, task in tasks.items()])
    target = next((name for name in tasks if name.lower() in USUAL_TARGETS), next(iter(tasks)))
    show.next_commands(
        [
            (as_command("look", data, request.model_copy(update={"target": target})), "how it would be trained"),
            (as_command("train", data, request.model_copy(update={"target": target})), "train"),
        ]
    )


def tasks_of(frame: "pl.DataFrame", labels: "pl.DataFrame | None", request: "Request", names: list[str]) -> dict[str, str]:
    """The task that each column would get as the target; columns that cannot be one are left out."""
    from gatework.data.kinds import why_useless
    from gatework.data.recognise import recognise
    from gatework.train.planning import wishes

    found: dict[str, str] = {}
    for name in names:
        column = frame[name] if name in frame.columns else labels[name] if labels is not None else None
        if column is None or why_useless(column):
            continue
        try:
            plan = recognise(frame, wishes(request.model_copy(update={"target": name}), None), labels).plan
        except GateworkError:
            continue
        found[name] = plan.task
    return found


def sample_text(column: "pl.Series") -> str:
    """The first few values of a column."""
    return ", ".join(str(value)[:24] for value in column.drop_nulls().head(3).to_list())
