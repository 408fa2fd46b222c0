"""An evaluation as a table: the model beside its baselines, each score with its interval, and in words who wins."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gatework.cli import show
from gatework.report.numbers import column_decimals, fixed, whole

if TYPE_CHECKING:
    from gatework.runs import Evaluation, MetricInfo, Score

PART_NAMES = {"train": "the training part", "validation": "the validation part", "test": "the test part", "new": "other data"}


def show_evaluation(evaluation: "Evaluation") -> None:
    """The table, the verdict and the notes. `*` marks the best value of a column."""
    unit = "windows" if evaluation.task == "forecast" else "sequences"
    show.heading(f"Scores on {PART_NAMES[evaluation.part]}: {whole(evaluation.num_samples)} {unit}")
    header = ["", *(metric_title(metric) for metric in evaluation.metrics)]
    columns = [score_column([row.scores.get(metric.name) for row in evaluation.rows], metric) for metric in evaluation.metrics]
    names = [f"{row.name} (this model)" if row.kind == "model" else row.name for row in evaluation.rows]
    show.wide_table(header, [[name, *(column[i] for column in columns)] for i, name in enumerate(names)])
    show.paragraph(f"[low, high]: 95 % interval; the bootstrap draws {evaluation.resampled}. *: best of its column.")
    show.say()
    for sentence in evaluation.verdict:
        show.paragraph(sentence)
    if evaluation.notes:
        show.heading("Note")
        show.bullets(evaluation.notes)


def metric_title(metric: "MetricInfo") -> str:
    """A metric's name with its unit."""
    unit = metric.unit if metric.unit.startswith("(") else f"({metric.unit})"
    return f"{metric.name} {unit}" if metric.unit else metric.name


def score_column(scores: Sequence["Score | None"], metric: "MetricInfo") -> list[str]:
    """One column of the table, its decimals agreed on; the best value is marked."""
    values = [score.value for score in scores if score is not None and score.value is not None]
    decimals = column_decimals(values)
    best = (min if metric.better == "lower" else max)(values, default=None)
    return [
        score_text(score, decimals, score is not None and score.value is not None and score.value == best) for score in scores
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
