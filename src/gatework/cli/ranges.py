"""Ranges around numbers as a small table: how many truths they held, how that changes with the step, how wide they are."""

from typing import TYPE_CHECKING

from gatework.cli import show
from gatework.report.numbers import column_decimals, fixed
from gatework.report.sections.ranges import by_step, share_text

if TYPE_CHECKING:
    from gatework.runs import UncertaintyScores

CALIBRATED = {
    "split": "widened by the errors on the validation part",
    "adaptive": "widened by the errors that were known when each forecast was made",
    "none": "as the network gives them",
}


def show_ranges(uncertainty: "UncertaintyScores") -> None:
    """One row for each target and interval."""
    show.heading("Ranges")
    several = len({one.target for one in uncertainty.intervals}) > 1
    has_steps = any(len(one.coverage_by_step) > 1 for one in uncertainty.intervals)
    header = ["", "truths inside", *(["lowest and highest step"] if has_steps else []), "mean width", "interval score"]
    widths = number_column([one.width for one in uncertainty.intervals])
    scores = number_column([one.score for one in uncertainty.intervals])
    rows = [
        [
            f"{100 * one.level:g} %{f' of {one.target}' if several else ''}",
            share_text(one.coverage),
            *([by_step(one)] if has_steps else []),
            width,
            score,
        ]
        for one, width, score in zip(uncertainty.intervals, widths, scores, strict=True)
    ]
    show.table(header, rows)
    show.paragraph(
        f"The ranges of the output {uncertainty.output}, {CALIBRATED[uncertainty.calibration]}. The interval score is the width "
        f"and a penalty for each truth outside; lower is better."
    )
    for note in uncertainty.notes:
        show.paragraph(note)


def number_column(values: list[float | None]) -> list[str]:
    """Numbers with decimals agreed on; a range without an end has no width."""
    decimals = column_decimals([value for value in values if value is not None])
    return ["no end" if value is None else fixed(value, decimals) for value in values]
