"""What a column holds (numeric, categorical, boolean, timestamp) and whether it is of any use."""

from typing import Literal

import polars as pl

from gatework.data.column_types import share_of_numbers
from gatework.data.find_order import as_time, counts_rows
from gatework.data.strict import FALSE_WORDS, TRUE_WORDS

Kind = Literal["numeric", "categorical", "boolean", "timestamp"]

MOSTLY = 0.8
"""The share of numbers from which text is taken for numbers with mistakes among them."""
MANY_CATEGORIES = 50
FEW_ROWS = 10


def kind_of(column: pl.Series) -> tuple[Kind, str]:
    """The kind of a column, and why in words that complete "Column 'x' is …"."""
    if column.dtype == pl.Boolean:
        return "boolean", "boolean: it holds true and false"
    if column.dtype.is_numeric():
        return "numeric", "numeric: it holds numbers"
    if column.dtype != pl.String:
        return "timestamp", "a time stamp"
    words = column.drop_nulls().unique().str.to_lowercase()
    if not words.is_empty() and len(words) <= 4 and words.is_in([*TRUE_WORDS[:-1], *FALSE_WORDS[:-1]]).all():
        return "boolean", f"boolean: it holds {' and '.join(sorted(words.to_list()))}"
    share = share_of_numbers(column)
    if share == 1.0 and (len(words) <= MANY_CATEGORIES or words.str.contains(r"^0\d").any()):
        return "categorical", f"categorical: numbers written as text, {len(words)} different ones"
    if share >= MOSTLY:
        return "numeric", f"numeric: {share:.1%} of its values are numbers, the others are refused"
    if as_time(column) is not None:
        return "timestamp", "a time stamp"
    return "categorical", f"categorical: text with {len(words)} different values"


def why_useless(column: pl.Series) -> str | None:
    """Why a column is left out unless asked for, or None: empty, constant, a mere count of rows, free text, a second time."""
    present = column.drop_nulls()
    if present.is_empty():
        return "it is empty"
    distinct = present.n_unique()
    if distinct == 1 and present.len() == column.len():
        return f"it is always {present[0]}"
    if counts_rows(column):
        return "it only counts the rows"
    if kind_of(column)[0] == "timestamp":
        return "it is a second time stamp"
    too_many = distinct > max(MANY_CATEGORIES, 0.2 * len(present)) or (distinct == len(present) and distinct > FEW_ROWS)
    if column.dtype == pl.String and share_of_numbers(column) < MOSTLY and too_many:
        return f"it is text with {distinct} different values, too many for categories"
    return None
