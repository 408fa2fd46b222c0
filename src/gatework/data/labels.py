"""The labels table: targets and attributes, one row per series, joined by the series id. Which one goes with which data."""

import polars as pl

from gatework.data.column_types import shortened
from gatework.data.read import read_frame
from gatework.data.strict import to_ids, to_kind
from gatework.errors import ConfigError, DataError
from gatework.runs import DataPlan


def typed_labels(labels: pl.DataFrame, plan: DataPlan, is_new: bool) -> pl.DataFrame:
    """The labels table with its planned columns in their types; DataError for a missing id column or an id that occurs twice."""
    if plan.series is None or plan.series not in labels.columns:
        raise DataError(
            f"The labels table has the columns {shortened(labels.columns, 12)} and no id '{plan.series}'. "
            f"Expected the series column of the data under the same name. Rename it, or name the series with --series."
        )
    twice = labels.filter(labels[plan.series].is_duplicated())
    if twice.height:
        raise DataError(
            f"The labels table has id '{twice[plan.series][0]}' {twice[plan.series].eq(twice[plan.series][0]).sum()} times. "
            f"Expected one row for each id. Remove the others."
        )
    planned = {p.name: p for p in plan.fields if p.name in labels.columns and p.role in ("target", "static", "split", "group")}
    columns = [
        labels[name].cast(pl.String) if p.role in ("split", "group") else to_kind(labels[name], p, is_new=is_new)
        for name, p in planned.items()
    ]
    return pl.DataFrame([to_ids(labels[plan.series]), *columns])


def check_labels(plan: DataPlan, frame: pl.DataFrame, labels: object) -> None:
    """DataError when data to be judged lacks the labels table that its targets or attributes stand in; see `labels_refused`."""
    labels_refused(plan, labels)
    lacking = [] if plan.labels is None or labels is not None else lacking_columns(plan, frame, ("target", "static"))
    if lacking:
        raise DataError(
            f"The data has no column {shortened(lacking)}; at training it stood in the labels table '{plan.labels}'. "
            f"Expected a labels table for this data too. Give it with --labels FILE (in Python: labels=FILE)."
        )


def labels_refused(plan: DataPlan, labels: object) -> None:
    """ConfigError when labels are given to a run that knows none."""
    if labels is not None and plan.labels is None:
        raise ConfigError(
            "A labels table was given, and the run was trained without a labels table. "
            "Expected data in the form of the training data. Leave --labels out, or train with it."
        )


def lacking_columns(plan: DataPlan, frame: pl.DataFrame, roles: tuple[str, ...]) -> list[str]:
    """The planned columns with one of these roles that a frame does not have."""
    return [field.name for field in plan.fields if field.role in roles and field.name not in frame.columns]


def labels_to_predict(plan: DataPlan, frame: pl.DataFrame, labels: object) -> tuple[pl.DataFrame | None, tuple[str, ...]]:
    """The labels table that goes with data to be predicted, and what must be said about it.

    The one that is given, whole: whoever stands there is answered. Else, where attributes are needed, the rows that the table of
    the training has for the series of this data; None when that table cannot be read any more.
    """
    labels_refused(plan, labels)
    if labels is not None:
        return read_frame(labels), ()
    if plan.labels is None or plan.series is None or not (lacking := lacking_columns(plan, frame, ("static",))):
        return None, ()
    remedy = "Give the table of this data with --labels FILE."
    try:
        table = read_frame(plan.labels)
    except DataError:
        return None, (f"No labels table: {shortened(lacking)} are missing for every series. {remedy}",)
    if plan.series not in table.columns or plan.series not in frame.columns:
        return table, ()  # refused where the table is built
    ids = to_ids(frame[plan.series]).cast(pl.String).unique()
    known = table.filter(to_ids(table[plan.series]).cast(pl.String).is_in(ids.implode()))
    return known, (f"{shortened(lacking)} come from '{plan.labels}', the labels table of the training. {remedy}",)
