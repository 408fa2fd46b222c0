"""An evaluation as a table: the best first, each score with its interval, and in words who wins."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gatework.cli import show
from gatework.cli.ranges import show_ranges
from gatework.report.numbers import column_decimals, fixed, whole
from gatework.runs import STEP_TASKS

if TYPE_CHECKING:
    from gatework.runs import Evaluation, MetricInfo, Score, ScoreRow
    from gatework.runs.evaluation import Differences

PART_NAMES = {"train": "the training part", "validation": "the validation part", "test": "the test part", "new": "other data"}


def show_evaluation(evaluation: "Evaluation") -> None:
    """The table, the verdict and the notes. `*` marks the best value of a column."""
    from gatework.runs import leaderboard

    unit = {"forecast": "windows", "anomaly": "steps", **dict.fromkeys(STEP_TASKS, "steps")}.get(evaluation.task, "sequences")
    show.heading(f"Scores on {PART_NAMES[evaluation.part]}: {whole(evaluation.num_samples)} {unit}")
    header = ["", *(metric_title(metric) for metric in evaluation.metrics)]
    rows = leaderboard(evaluation)
    may_win = [not row.num_samples for row in rows]
    columns = [score_column([row.scores.get(metric.name) for row in rows], metric, may_win) for metric in evaluation.metrics]
    names = [row_name(row, evaluation.num_samples) for row in rows]
    show.wide_table(header, [[name, *(column[i] for column in columns)] for i, name in enumerate(names)])
    show.paragraph(f"[low, high]: 95 % interval; the bootstrap draws {evaluation.resampled}. *: best of its column. Best first.")
    show.say()
    for sentence in evaluation.verdict:
        show.paragraph(sentence)
    if evaluation.uncertainty is not None:
        show_ranges(evaluation.uncertainty)
    for each in evaluation.differences:
        show_differences(each, evaluation.metrics)
    if evaluation.notes:
        show.heading("Note")
        show.bullets(evaluation.notes)


def show_differences(found: "Differences", metrics: "Sequence[MetricInfo]") -> None:
    """The model's scores for each value of an attribute, the largest difference of each metric, and the worst in words."""
    told = [metric for metric in metrics if any(metric.name in group.scores for group in found.groups)]
    gaps = {gap.metric: gap for gap in found.gaps}
    show.heading(f"By {found.attribute}")
    columns = []
    for metric in told:
        gap = gaps.get(metric.name)
        scores = [*(group.scores.get(metric.name) for group in found.groups), gap.difference if gap else None]
        decimals = column_decimals([score.value for score in scores if score is not None and score.value is not None])
        columns.append([score_text(score, decimals).rstrip() for score in scores])
    names = [*(f"{group.value} ({whole(group.num_samples)})" for group in found.groups), "largest difference"]
    header = ["", *(metric_title(metric) for metric in told)]
    show.wide_table(header, [[name, *(column[i] for column in columns)] for i, name in enumerate(names)])
    show.paragraph(found.sentence)


def row_name(row: "ScoreRow", num_samples: int) -> str:
    """What a row is called; of one that was not run on all samples, on how many."""
    if row.kind == "model":
        return f"{row.name} (this model)"
    return f"{row.name} ({row.num_samples} of {num_samples})" if row.num_samples else row.name


def metric_title(metric: "MetricInfo") -> str:
    """A metric's name with its unit."""
    unit = metric.unit if metric.unit.startswith("(") else f"({metric.unit})"
    return f"{metric.name} {unit}" if metric.unit else metric.name


def score_column(scores: Sequence["Score | None"], metric: "MetricInfo", may_win: Sequence[bool]) -> list[str]:
    """One column of the table, its decimals agreed on; the best value is marked, of the rows that were run on all samples."""
    values = [None if score is None else score.value for score in scores]
    decimals = column_decimals([value for value in values if value is not None])
    contenders = [value for value, may in zip(values, may_win, strict=True) if may and value is not None]
    best = (min if metric.better == "lower" else max)(contenders, default=None)
    return [
        score_text(score, decimals, may and value is not None and value == best)
        for score, value, may in zip(scores, values, may_win, strict=True)
    ]


def score_text(score: "Score | None", decimals: int, is_best: bool = False) -> str:
    """A value with its interval; a dash where it is not defined."""
    if score is None or score.value is None:
        return "–  "
    interval = ""
    if score.low is not None and score.high is not None:
        interval = f" [{fixed(score.low, decimals)}, {fixed(score.high, decimals)}]"
    return f"{fixed(score.value, decimals)}{interval}{' *' if is_best else '  '}"


def show_comparison(metrics: Sequence[str], rows: Sequence[tuple[str, Mapping[str, "Score"]]], notes: Sequence[str]) -> None:
    """Runs side by side, one row each."""
    columns = []
    for metric in metrics:
        scores = [row[1].get(metric) for row in rows]
        decimals = column_decimals([score.value for score in scores if score is not None and score.value is not None])
        columns.append([score_text(score, decimals).rstrip() for score in scores])
    show.wide_table(["", *metrics], [[name, *(column[i] for column in columns)] for i, (name, _) in enumerate(rows)])
    if notes:
        show.heading("Note")
        show.bullets(notes)
