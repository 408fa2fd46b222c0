"""How the ranges of a forecast are judged: observed coverage, width and score per step ahead, and the figures of them."""

from gatework.runs import Figure, Line, LinesFigure, RangePlan, UncertaintyScores
from gatework.tasks.forecast_figures import label
from gatework.tasks.judge_forecast import samples_of, truth_of
from gatework.tasks.metrics import interval_scores, quantile_loss
from gatework.tasks.ranges import percent
from gatework.tasks.task import Answer, Case


def range_scores(case: Case, answer: Answer, asked: RangePlan) -> UncertaintyScores | None:
    """Coverage, width and score of every interval on the judged windows; None without ranges."""
    ranges = answer.ranges
    if ranges is None:
        return None
    truth, targets = truth_of(samples_of(case)[1]), case.judged.prepared.target_names
    ends = ranges.ends
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
    )


def range_figures(case: Case, answer: Answer) -> tuple[Figure, ...]:
    """Observed coverage and mean width at each step ahead, of the first target; nothing without ranges."""
    if answer.ranges is None:
        return ()
    truth = truth_of(samples_of(case)[1])[..., :1]
    ends = answer.ranges.ends[..., :1, :, :]
    found = [
        interval_scores(truth, ends[..., number, 0], ends[..., number, 1], share, case.judged.prepared.target_names[:1])[0]
        for number, share in enumerate(answer.ranges.intervals)
    ]
    steps = tuple(float(step) for step in range(1, truth.shape[1] + 1))
    covered = [
        Line(name=f"{percent(one.level)} observed", style="prediction", y=in_percent(one.coverage_by_step)) for one in found
    ]
    wanted = [Line(name=f"{percent(one.level)} wanted", style="truth", y=(100.0 * one.level,) * len(steps)) for one in found]
    widths = [Line(name=percent(one.level), style="prediction", y=one.width_by_step) for one in found]
    return (
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


def in_percent(shares: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Shares as percentages."""
    return tuple(None if share is None else 100.0 * share for share in shares)
