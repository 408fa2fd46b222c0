"""What is decided where every step has an answer: how the steps are divided, and in which pieces sequences are read."""

import numpy as np
import polars as pl

from gatework.data.table import Table
from gatework.runs import CLASS_TASKS, TaskName

WHOLE_STEPS, CONTEXT_STEPS = 512, 128
"""Sequences up to the first length are read whole, longer ones in pieces, each after the second number of steps."""

WANTED_PIECES, SHORTEST_PIECE = 512, 16
"""Long sequences are cut into about so many pieces, none shorter than this number of steps."""

MANY_SERIES = 10
"""Series from which whole ones are divided; the later steps of fewer are judged."""


def split_of_steps(task: TaskName, table: Table) -> tuple[str, str]:
    """How steps that have an answer each are divided, and why."""
    if table.sequences.height < MANY_SERIES:
        return "time", f"{table.sequences.height} series are too few to divide whole ones: the later steps of each are judged"
    if task in CLASS_TASKS:
        return "stratified", "whole sequences only, every class in every part; --split-by time judges the later steps instead"
    return "group", "whole sequences, so that no sequence is in two parts; --split-by time judges the later steps instead"


def plan_pieces(wanted: int | None, table: Table, reasons: dict[str, str]) -> tuple[int, int]:
    """How many earlier steps are read before a piece of a sequence is judged, and how long a piece is, in steps.

    wanted: the steps that the user asked for. reasons: receives why, where nothing was asked for.
    """
    longest = int(lengths_of(table).max(initial=0))
    if wanted is None and longest <= WHOLE_STEPS:
        reasons["window"] = f"{WHOLE_STEPS}: every sequence is read from its beginning, the longest has {longest} steps"
        return WHOLE_STEPS, WHOLE_STEPS
    window = CONTEXT_STEPS if wanted is None else wanted
    if wanted is None:
        reasons["window"] = f"{window}: sequences of up to {longest} steps are read in pieces, each after so many earlier steps"
    # a piece re-reads `window` steps: short pieces cost time, and few pieces give few steps of training
    return window, int(np.clip(table.steps.height // WANTED_PIECES, SHORTEST_PIECE, max(window, SHORTEST_PIECE)))


def num_pieces(table: Table, piece: int) -> int:
    """Pieces of all sequences."""
    return int(-(-lengths_of(table) // piece).sum())


def lengths_of(table: Table) -> np.ndarray:
    """(num_sequences,) int64, the steps of each sequence that has any."""
    return table.steps.group_by(table.series, maintain_order=True).len().get_column("len").cast(pl.Int64).to_numpy()
