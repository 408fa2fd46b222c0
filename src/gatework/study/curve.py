"""Learning curve: how much data does this question need?

The validation and the test part stay as they are; the training part is made smaller: the most recent stretch of it for forecasts,
some of the sequences otherwise, every smaller choice inside every larger one.
"""

from collections.abc import Sequence

import numpy as np

from gatework.data.series import has_clock
from gatework.data.split import PARTS, Split, make_split, split_by_intervals
from gatework.data.split_by_sequence import TRAIN, labels_of
from gatework.data.table import Table
from gatework.errors import ConfigError
from gatework.evaluate.bootstrap import NUM_RESAMPLES, Resampled
from gatework.runs import Bound, Interval, MetricInfo, Plan, RunFolder, Score, SplitRecord
from gatework.runs.study import Curve, RangeSeries, RangesFigure, StudyJob, StudyRecord, StudyResult, StudyRow, StudyTable
from gatework.study.backtest import axis_of
from gatework.study.job import Fold, Planned
from gatework.study.outlook import look_ahead
from gatework.study.pool import mean_of_defined
from gatework.study.show import heads, range_series


def plan_curve(table: Table, plans: dict[str, Plan], wish: Curve, seed: int) -> list[Planned]:
    """The jobs of a learning curve: one for each share and seed."""
    plan = next(iter(plans.values()))
    check_wish(wish, plan)
    whole = make_split(table, plan.split)
    jobs = []
    for share in sorted(wish.shares):
        split = smaller(table, plan, whole, share)
        for number in range(wish.seeds):
            folder = f"share-{100 * share:g}-seed-{number + 1}"
            job = StudyJob(
                folder=folder, model=folder, label=f"{100 * share:g} %, seed {number + 1}", x=float(split.counts["train"])
            )
            training = plan.training.model_copy(update={"seed": seed + number})
            jobs.append(Planned(job, plan.model_copy(update={"training": training}), split))
    return jobs


def check_wish(wish: Curve, plan: Plan) -> None:
    """ConfigError for shares and seeds that make no curve."""
    if len(set(wish.shares)) < 3 or not all(0 < share <= 1 for share in wish.shares):
        raise ConfigError(
            f"shares are {', '.join(f'{share:g}' for share in wish.shares)}; expected at least three different ones, above "
            f"0 and at most 1. Give for example --shares 0.1,0.3,1."
        )
    if wish.seeds < 1:
        raise ConfigError(f"seeds is {wish.seeds}; expected at least 1. Give --seeds 1 or more.")
    if plan.data.task == "forecast" and plan.split.kind != "time":
        raise ConfigError(
            "A learning curve was asked for and the data comes divided by a column or by files. Expected rows of which gatework "
            "chooses the parts, so that the training part can be shortened. Leave --split-column, --test and --validation out."
        )


def smaller(table: Table, plan: Plan, whole: Split, share: float) -> SplitRecord:
    """The division with a share of its training part."""
    if not table.is_forecast and not whole.record.sequences:
        raise ConfigError(
            "A learning curve was asked for and the parts are stretches within sequences. Expected parts of whole sequences, or "
            "a forecast. Use --split-by group."
        )
    if not table.is_forecast:
        return fewer_sequences(table, whole, share, plan.split.seed)
    axis = axis_of(table)
    stamps = {stamp: position for position, stamp in enumerate(axis.stamps)}
    if has_clock(table):
        cuts = [stamps[whole.record.boundaries[part]] for part in ("validation", "test")]
    else:
        cuts = [round(axis.length * float(whole.record.boundaries[part].split()[0])) for part in ("validation", "test")]
    begin = cuts[0] - max(1, round(share * cuts[0]))
    places = [axis.bound(begin), axis.bound(cuts[0]), axis.bound(cuts[1]), Bound(share=1.0)]
    intervals = [Interval(part=part, begin=places[number], end=places[number + 1]) for number, part in enumerate(PARTS)]
    return split_by_intervals(table, intervals, plan.split.seed).record


def fewer_sequences(table: Table, whole: Split, share: float, seed: int) -> SplitRecord:
    """A share of the training sequences of each class, at least one; the same order for all shares."""
    labels = labels_of(table)
    train = np.random.default_rng(seed).permutation(np.flatnonzero(whole.sequences == TRAIN))
    names = dict(enumerate(whole.record.sequences["train"]))
    place = {int(index): number for number, index in enumerate(np.flatnonzero(whole.sequences == TRAIN))}
    kept: list[int] = []
    for label in sorted({str(labels[index]) for index in train}):
        members = [int(index) for index in train if str(labels[index]) == label]
        kept += members[: max(1, round(share * len(members)))]
    ids = tuple(names[place[index]] for index in sorted(kept))
    sequences = {**whole.record.sequences, "train": ids}
    counts = {**whole.record.counts, "train": len(ids)}
    return whole.record.model_copy(update={"sequences": sequences, "counts": counts})


def summarise_curve(study: RunFolder, record: StudyRecord, folds: list[Fold]) -> StudyResult:
    """The curve of the model and of the best baseline, the law, and what more data would bring."""
    lead = folds[0].evaluation.metrics[0]
    sizes = sorted({fold.job.x or 0.0 for fold in folds})
    by_size = [[fold for fold in folds if fold.job.x == size] for size in sizes]
    model = [mean_over_seeds([fold.resampled[0] for fold in group]) for group in by_size]
    scores = [row.scores()[lead.name] for row in model]
    baselines = [row.name for row in folds[0].evaluation.rows[1:]]
    series = [range_series(folds[0].evaluation.rows[0].name, scores)]
    series += [range_series(name, [baseline_score(group, name, lead) for group in by_size], "baseline") for name in baselines]
    outlook = look_ahead(np.array(sizes), [row.point[0] for row in model], [row.draws[:, 0] for row in model], lead)
    columns = (*heads([lead]), "from seed to seed", *baselines)
    rows = [
        StudyRow(
            name=f"{size:.0f}",
            cells=(score, spread(group, lead), *(baseline_score(group, name, lead) for name in baselines)),
        )
        for size, score, group in zip(sizes, scores, by_size, strict=True)
    ]
    noun = "steps" if record.task == "forecast" else "sequences"
    table = StudyTable(
        title=f"{lead.name} against the size of the training part",
        caption="95 % intervals: the bootstrap draws the seeds and the units of the test part.",
        first=f"training {noun}",
        columns=columns,
        is_one_quantity=True,
        rows=tuple(rows),
    )
    figure = RangesFigure(
        name="learning-curve",
        title=f"{lead.name} against the size of the training part",
        caption="Mean over seeds with its 95 % interval. The thin line is a power law fitted to the points; beyond the last "
        "point it is a guess.",
        x_label=f"training {noun}",
        y_label=heads([lead])[0],
        x=(*sizes, *outlook.sizes),
        series=(*(padded(each, len(outlook.sizes)) for each in series), *outlook.series),
        is_joined=True,
        x_scale="log",
    )
    return StudyResult(
        metrics=folds[0].evaluation.metrics, tables=(table,), figures=(figure,), verdict=outlook.words(noun), notes=record.notes
    )


def mean_over_seeds(rows: Sequence[Resampled]) -> Resampled:
    """The mean over trainings of the same test part; each resample draws trainings and units together."""
    point = mean_of_defined(np.stack([row.point for row in rows]))
    if any(len(row.draws) < NUM_RESAMPLES for row in rows):
        return Resampled(rows[0].metrics, point, rows[0].draws[:0])
    draws = np.stack([row.draws for row in rows])
    chosen = np.random.default_rng(0).integers(0, len(rows), (NUM_RESAMPLES, len(rows)))
    return Resampled(rows[0].metrics, point, draws[chosen, np.arange(NUM_RESAMPLES)[:, None]].mean(axis=1))


def spread(group: Sequence[Fold], lead: MetricInfo) -> str:
    """The lowest and the highest value over seeds."""
    values = [value for fold in group if (value := fold.evaluation.rows[0].scores[lead.name].value) is not None]
    return f"{min(values):.4g} to {max(values):.4g}" if values else "–"


def baseline_score(group: Sequence[Fold], name: str, lead: MetricInfo) -> Score:
    """A baseline's score; it has no seed, so the first training's stands for all."""
    row = next((row for row in group[0].evaluation.rows if row.name == name), None)
    return row.scores[lead.name] if row else Score(value=None)


def padded(series: RangeSeries, more: int) -> RangeSeries:
    """The same points, with nothing at the further sizes."""
    nothing = (None,) * more
    changes = {name: (*getattr(series, name), *nothing) for name in ("y", "low", "high")}
    return series.model_copy(update=changes)
