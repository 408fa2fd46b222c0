"""What an anomaly detector watches, and which column says where the anomalies were."""

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.column_types import shortened
from gatework.data.findings import Findings
from gatework.data.kinds import kind_of, why_useless
from gatework.data.strict import FALSE_WORDS, to_categories
from gatework.errors import ConfigError

NORMAL_WORDS = (*FALSE_WORDS, "normal", "ok", "good", "benign", "none", "regular", "nominal", "healthy")
"""Labels of a normal step; every other word of such a column says anomaly."""
LABEL_NAMES = (
    "is_anomaly",
    "anomaly",
    "anomalous",
    "is_outlier",
    "outlier",
    "is_attack",
    "attack",
    "label",
    "labels",
    "is_abnormal",
)
MOST_LABELS = 20


def label_column(found: Findings) -> str | None:
    """The column of labels: the one that the user named, or one whose name and values say so.

    Raises ConfigError when the named column holds no labels.
    """
    columns = {column.name: column for column in found.value_columns() if column.name in found.steps.columns}
    wished = found.wishes.labels_column
    if wished is not None:
        if wished not in columns:
            raise ConfigError(
                f"Column '{wished}' is the time or the series column and cannot hold labels. Expected a column that says which "
                f"steps are anomalies. Name another one with --labels-column, or leave it out."
            )
        check_labels_readable(columns[wished])
        return wished
    taken = {*found.wishes.targets, *found.wishes.ignore, *found.wishes.static, *found.wishes.known_future}
    for name in LABEL_NAMES:
        match = next((column for column in columns.values() if column.name.casefold() == name and column.name not in taken), None)
        if match is not None and not _why_no_labels(match):
            found.reasons["labels_column"] = f"'{match.name}' says where the anomalies are: it is no input, it only judges."
            return match.name
    return None


def check_labels_readable(column: pl.Series) -> None:
    """ConfigError when a column does not say of each step whether it is an anomaly."""
    why = _why_no_labels(column)
    if why:
        raise ConfigError(
            f"Column '{column.name}' cannot be read as labels: {why}. Expected 0 and 1, true and false, or words of which one "
            f"is a "
            f"normal step's ({', '.join(NORMAL_WORDS[len(FALSE_WORDS) :])}). Rewrite the column, or leave --labels-column out."
        )


def _why_no_labels(column: pl.Series) -> str:
    words = _words(column).drop_nulls().unique().sort()
    if words.is_empty():
        return "it is empty"
    if len(words) > MOST_LABELS:
        return f"it has {len(words)} different values"
    if column.dtype.is_numeric() and not words.is_in(["0", "1"]).all():
        return f"it holds the numbers {shortened(words.to_list(), 5)}"
    if not words.is_in([*NORMAL_WORDS, "1", "true"]).any():
        return f"none of its values {shortened(words.to_list(), 5)} stands for a normal step"
    return ""


def _words(column: pl.Series) -> pl.Series:
    return to_categories(column).str.strip_chars().str.to_lowercase()


def label_numbers(column: pl.Series) -> npt.NDArray[np.float64]:
    """(rows,) 1 for an anomaly, 0 for a normal step, NaN where nothing is said."""
    words = _words(column)
    is_normal = words.is_in(NORMAL_WORDS).cast(pl.Float64)
    return np.array((1.0 - is_normal).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def watched_columns(found: Findings, label: str | None) -> tuple[str, ...]:
    """The columns that the user named, or else every numeric one that varies along the steps; the reason is added to `found`.

    Raises ConfigError when there is none.
    """
    if found.wishes.targets:
        return found.wishes.targets
    wishes = found.wishes
    taken = {*wishes.ignore, *wishes.static, *wishes.known_future, label, wishes.split_column}
    columns = [column for column in found.value_columns() if column.name in found.steps.columns and column.name not in taken]
    kinds = {column.name: wishes.kinds.get(column.name, kind_of(column)[0]) for column in columns}
    numeric = [column for column in columns if kinds[column.name] == "numeric"]
    watched = [column.name for column in numeric if column.name not in found.constants and why_useless(column) is None]
    if not watched:
        constant = f"; {shortened([column.name for column in numeric], 5)} never change" if numeric else ""
        raise ConfigError(
            f"There is no numeric column that varies, among {shortened([column.name for column in columns], 8) or 'no column'}"
            f"{constant}. Expected measurements to watch. Name them with --target, or say with --kind COLUMN=numeric what is a "
            f"number."
        )
    found.reasons["target"] = f"{', '.join(watched)}: every numeric column that varies is watched."
    return tuple(watched)
