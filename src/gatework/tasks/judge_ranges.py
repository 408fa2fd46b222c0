"""How the ranges of answers are judged: observed coverage, width and score per step ahead, and the figures of them."""

from gatework.runs import Curve, CurvesFigure, Figure, IntervalScores, Line, LinesFigure, RangePlan, UncertaintyScores
from gatework.runs.figures import RANGE_RELIABILITY
from gatework.tasks.conformal import Array
from gatework.tasks.forecast_figures import label
from gatework.tasks.metrics import interval_scores, quantile_loss
from gatework.tasks.ranges import percent
from gatework.tasks.task import Answer, Case


def range_scores(case: Case, answer: Answer, asked: RangePlan, truth: Array) -> UncertaintyScores | None:
    """Coverage, width and score of every interval on the judged samples; None without ranges.

    truth: (n, horizon, num_targets) in the units of the data, NaN where unknown.
    """
    ranges = answer.ranges
    if ranges is None:
        return None
    ends, targets = ranges.ends, case.judged.prepared.target_names
    scores = [
        interval_scores(truth, ends[..., number, 0], ends[..., number, 1], share, targets)
        for number, share in enumerate(ranges.intervals)
    ]
    return UncertaintyScores(
        output=asked.output,
        calibration=asked.calibrate,
        intervals=tuple(record for records in scores for record in records),
        quantile_levels=ranges.levels,
        quantile_loss=quantile_loss(truth, ranges.values, ranges.levels, targets),
        coverage=answer.coverage,
    )


def range_figures(case: Case, answer: Answer, asked: RangePlan, truth: Array) -> tuple[Figure, ...]:
    """Observed against nominal coverage, and both it and the mean width at each step ahead where there are several, of the first
    target; nothing without ranges. truth: as for `range_scores`.
    """
    if answer.ranges is None:
        return ()
    truth = truth[..., :1]
    ends = answer.ranges.ends[..., :1, :, :]
    found = [
        interval_scores(truth, ends[..., number, 0], ends[..., number, 1], share, case.judged.prepared.target_names[:1])[0]
        for number, share in enumerate(answer.ranges.intervals)
    ]
    reliability = reliability_figure(case, answer, asked, found)
    if truth.shape[1] == 1:
        return (reliability,)
    steps = tuple(float(step) for step in range(1, truth.shape[1] + 1))
    covered = [
        Line(name=f"{percent(one.level)} observed", style="prediction", y=in_percent(one.coverage_by_step)) for one in found
    ]
    wanted = [Line(name=f"{percent(one.level)} wanted", style="truth", y=(100.0 * one.level,) * len(steps)) for one in found]
    widths = [Line(name=percent(one.level), style="prediction", y=one.width_by_step) for one in found]
    return (
        reliability,
        LinesFigure(
            name="coverage-by-horizon",
            title="How many truths the ranges hold",
            caption="The share of truths inside each range, at each step ahead, beside the share that it should hold.",
            x_label="steps ahead",
            y_label=f"truths of {case.judged.prepared.target_names[0]} inside (%)",
            x=steps,
            lines=(*covered, *wanted),
        ),
        LinesFigure(
            name="width-by-horizon",
            title="How wide the ranges are",
            caption="The mean width at each step ahead. Of two forecasts that hold as many truths, the narrower is better.",
            x_label="steps ahead",
            y_label=f"width in {label(case)}",
            x=steps,
            lines=tuple(widths),
        ),
    )


def reliability_figure(case: Case, answer: Answer, asked: RangePlan, found: list[IntervalScores]) -> CurvesFigure:
    """The share of truths inside ranges of every share, beside the share that they should hold. found: of the ranges given."""
    name = "from past errors" if asked.output == "point" else "as the network gives them"
    x, y = (tuple(pair[side] for pair in answer.coverage) for side in (0, 1))
    target = case.judged.prepared.target_names[0]
    return CurvesFigure(
        name=RANGE_RELIABILITY,
        title="Do the ranges hold what they promise?",
        caption=f"The share of truths of {target} inside ranges, against the share that these should hold: the curve for ranges "
        f"of all shares, {name}; circles for those that are given. On the diagonal they are honest, below it too narrow, above "
        "it too wide.",
        x_label="share that should be inside",
        y_label="share inside",
        curves=(Curve(name=name, x=x, y=y),) if x else (),
        points=tuple((one.level, one.coverage, percent(one.level)) for one in found if one.coverage is not None),
        has_diagonal=True,
    )


def in_percent(shares: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Shares as percentages."""
    return tuple(None if share is None else 100.0 * share for share in shares)
