"""The tables and figures that folds and backtests share."""

from collections.abc import Sequence

import numpy as np

from gatework.evaluate.bootstrap import Resampled
from gatework.runs import MetricInfo, RunFolder, Score, ScoreRow, SplitRecord
from gatework.runs.study import RangeSeries, RangesFigure, StudyRecord, StudyResult, StudyRow, StudyTable
from gatework.study.compare import Duel, duel, duel_in_words
from gatework.study.job import Fold
from gatework.study.pool import drawn_words, lead_of, pooled_rows, pooled_verdict, score_of

Pooled = list[tuple[ScoreRow, Resampled]]


def summarise_folds(study: RunFolder, record: StudyRecord, folds: Sequence[Fold]) -> StudyResult:
    """Means over folds beside the baselines, every fold, and every configuration against the first."""
    by_variant = {variant.name: [fold for fold in folds if fold.job.variant == variant.name] for variant in record.variants}
    pooled = {name: pooled_rows(own) for name, own in by_variant.items()}
    first, names = by_variant[record.variants[0].name], [variant.name for variant in record.variants]
    is_backtest = record.wish.kind == "backtest"
    ratio = None if is_backtest else test_to_train(study, first)
    duels = [
        duel((shown(names[0]), name), list(zip(first, by_variant[name], strict=True)), means(pooled, names[0], name), ratio)
        for name in names[1:]
    ]
    word = "window" if is_backtest else "fold"
    tables = [table_of_means(pooled, f"Mean over {len(first)} {word}s", drawn_words(first)), table_of_folds(by_variant, word)]
    tables += [table_of_duels(duels, first)] if duels else []
    notes = tuple(dict.fromkeys(note for fold in first for note in fold.evaluation.notes))
    return StudyResult(
        metrics=first[0].evaluation.metrics,
        tables=tuple(tables),
        figures=(figure_of_folds(by_variant, word),),
        verdict=(*(duel_in_words(each) for each in duels), *pooled_verdict(best_variant(pooled))),
        notes=(*record.notes, *notes),
        run=first[-1].job.model,
    )


def best_variant(pooled: dict[str, Pooled]) -> Pooled:
    """The means of the configuration that is best on the leading metric, under its name."""
    info = next(iter(pooled.values()))[0][1].metrics[0]
    sign = 1.0 if info.better == "lower" else -1.0
    name = min(pooled, key=lambda each: np.nan_to_num(sign * pooled[each][0][1].point[0], nan=np.inf))
    (row, mean), *baselines = pooled[name]
    return [(row.model_copy(update={"name": name or row.name}), mean), *baselines]


def shown(variant: str) -> str:
    """What a configuration is called; the one without a name is the only one."""
    return variant or "this model"


def means(pooled: dict[str, Pooled], one: str, other: str) -> tuple[Resampled, Resampled]:
    """The models' means over folds of two configurations."""
    return pooled[one][0][1], pooled[other][0][1]


def test_to_train(study: RunFolder, folds: Sequence[Fold]) -> float:
    """How many rows or sequences are tested for each one that is trained on, on average over folds."""
    ratios = []
    for fold in folds:
        counts = RunFolder(study.file(fold.job.folder)).read("split.json", SplitRecord).counts
        ratios.append(counts["test"] / counts["train"])
    return sum(ratios) / len(ratios)


def heads(metrics: Sequence[MetricInfo]) -> tuple[str, ...]:
    """Titles of columns: each metric with its unit."""
    return tuple(
        f"{info.name} ({info.unit})" if info.unit and "(" not in info.unit else f"{info.name} {info.unit}".strip()
        for info in metrics
    )


def table_of_means(pooled: dict[str, Pooled], title: str, drawn: str) -> StudyTable:
    """The configurations and the baselines, all metrics."""
    metrics = next(iter(pooled.values()))[0][1].metrics
    rows = []
    for number, (variant, own) in enumerate(pooled.items()):
        for row, _ in own if number == 0 else own[:1]:
            name = variant if variant and row.kind == "model" else row.name
            cells: list[Score | str | None] = [row.scores.get(info.name) for info in metrics]
            rows.append(StudyRow(name=name, kind=row.kind, cells=tuple(cells)))
    rows.sort(key=lambda row: row.kind != "model")
    return StudyTable(
        title=title,
        caption=f"95 % intervals: the bootstrap draws {drawn}.",
        first="method",
        columns=heads(metrics),
        better=tuple(info.better for info in metrics),
        rows=tuple(rows),
    )


def table_of_folds(by_variant: dict[str, list[Fold]], word: str) -> StudyTable:
    """The leading metric of every fold: each configuration, each baseline, and how many were judged."""
    first = next(iter(by_variant.values()))
    lead = lead_of(first)
    baselines = [row.name for row in first[0].evaluation.rows[1:]]
    models = [variant or first[0].evaluation.rows[0].name for variant in by_variant]
    rows = []
    for number, fold in enumerate(first):
        own = [folds[number] for folds in by_variant.values()]
        cells: list[Score | str | None] = [score_of(each, each.evaluation.rows[0].name, lead.name) for each in own]
        cells += [score_of(fold, name, lead.name) for name in baselines]
        rows.append(StudyRow(name=fold.job.label, cells=(str(fold.evaluation.num_samples), *cells)))
    noun = "forecasts" if first[0].evaluation.task == "forecast" else "sequences"
    return StudyTable(
        title=f"{heads([lead])[0]} of every {word}",
        first="from" if word == "window" else word,
        columns=(noun, *models, *baselines),
        is_one_quantity=True,
        rows=tuple(rows),
    )


def table_of_duels(duels: Sequence[Duel], folds: Sequence[Fold]) -> StudyTable:
    """By how much the first configuration is better than each other one, fold by fold."""
    rows = [
        StudyRow(name=fold.job.label, cells=tuple(each.by_fold[number] for each in duels)) for number, fold in enumerate(folds)
    ]
    rows.append(StudyRow(name="mean", kind="model", cells=tuple(each.over_all for each in duels)))
    if all(each.test for each in duels):
        rows.append(StudyRow(name="p, corrected t-test", cells=tuple(f"{each.test.p_value:.3f}" for each in duels if each.test)))
    lead = duels[0].metric
    what = "share of its error that is avoided" if lead.better == "lower" else "difference"
    return StudyTable(
        title=f"{duels[0].first} against the others: {lead.name}",
        caption=f"Above 0 the first is better: the {what}, with its 95 % interval.",
        columns=tuple(f"against {each.second}" for each in duels),
        is_one_quantity=True,
        rows=tuple(rows),
    )


def figure_of_folds(by_variant: dict[str, list[Fold]], word: str) -> RangesFigure:
    """The leading metric of every fold with its interval, models and baselines side by side."""
    first = next(iter(by_variant.values()))
    lead = lead_of(first)
    series = [
        range_series(
            name or first[0].evaluation.rows[0].name, [score_of(fold, fold.evaluation.rows[0].name, lead.name) for fold in own]
        )
        for name, own in by_variant.items()
    ]
    for row in first[0].evaluation.rows[1:]:
        scores = [score_of(fold, row.name, lead.name) for fold in first]
        series.append(range_series(row.name, scores, "baseline"))
    return RangesFigure(
        name=f"{word}s",
        title=f"{lead.name} of every {word}",
        caption=f"Each {word} with the 95 % interval of its own test part; {lead.better} is better.",
        x_label="first time stamp of the window" if word == "window" else word,
        y_label=heads([lead])[0],
        x=tuple(fold.job.label.removeprefix("fold ") for fold in first),
        series=tuple(series),
    )


def range_series(name: str, scores: Sequence[Score], style: str = "prediction") -> RangeSeries:
    """Scores as points with their ranges."""
    return RangeSeries.model_validate(
        {
            "name": name,
            "style": style,
            "y": tuple(score.value for score in scores),
            "low": tuple(score.low for score in scores),
            "high": tuple(score.high for score in scores),
        }
    )
