"""The numbers of the figures of a forecast: examples, the error at each step ahead, predictions against truth."""

import numpy as np

from gatework.data.samples import ForecastSamples
from gatework.runs import Figure, Line, LinesFigure, ScatterFigure
from gatework.tasks.judge_forecast import samples_of, stamp_texts, truth_of
from gatework.tasks.metrics import mae_by_horizon
from gatework.tasks.ranges import bands
from gatework.tasks.residual_figures import residual_figures, series_figure
from gatework.tasks.task import Answer, Case

NUM_EXAMPLES = 3
MOST_BASELINES = 4
MAX_POINTS = 400
"""Points of a scatter figure: more hide each other."""


def forecast_figures(case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
    """Examples of forecasts, the error at each step ahead and in each series, what is left; of the first target."""
    _, judged = samples_of(case)
    truth = truth_of(judged)
    by_series = series_figure(judged, truth, answers, label(case))
    return (
        *examples(case, judged, truth, answers),
        horizon_figure(case, truth, answers),
        *((by_series,) if by_series is not None else ()),
        scatter(case, truth, answers[0]),
        *residual_figures(judged, answers[0], case.period, label(case)),
    )


def label(case: Case) -> str:
    """The first target with its unit."""
    unit = case.target_units[0] if case.target_units else ""
    name = case.judged.prepared.target_names[0]
    return f"{name} ({unit})" if unit else name


def examples(case: Case, judged: ForecastSamples, truth: np.ndarray, answers: list[Answer]) -> list[LinesFigure]:
    """Windows at fixed places of the judged part, chosen without looking at the error: at 1/6, 3/6, 5/6 of it."""
    places = sorted({int(len(judged) * (2 * number + 1) / (2 * NUM_EXAMPLES)) for number in range(NUM_EXAMPLES)})
    prepared = judged.prepared
    figures = []
    for number, place in enumerate(places, start=1):
        origin, shown = int(judged.origin[place]), min(int(judged.lengths[place]), 3 * judged.horizon)
        rows = np.arange(origin - shown, origin + judged.horizon)
        stamps = stamp_texts(prepared.times.gather(rows))
        lines = [
            Line(name="past", style="history", y=texts(prepared.raw_targets[rows[:shown], 0], after=judged.horizon)),
            Line(name="truth", style="truth", y=texts(truth[place, :, 0], before=shown)),
            Line(name=answers[0].name, style="prediction", y=texts(answers[0].values[place, :, 0], before=shown)),
        ]
        lines += [
            Line(name=answer.name, style="baseline", y=texts(answer.values[place, :, 0], before=shown))
            for answer in answers[1:]
            if answer.name == "ridge on the window"
        ]
        figures.append(
            LinesFigure(
                name=f"example-{number}",
                title=f"Forecast made at {stamps[shown - 1]}",
                caption=example_caption(judged, place, shown),
                x_label="time" if prepared.times.dtype.is_temporal() else "step",
                y_label=label(case),
                x=tuple(stamps) if prepared.times.dtype.is_temporal() else tuple(float(item) for item in stamps),
                lines=tuple(lines),
                bands=bands(answers[0].ranges, place, before=shown),
            )
        )
    return figures


def example_caption(judged: ForecastSamples, place: int, shown: int) -> str:
    """What is shown: how much of the window, how far ahead, and of which series."""
    window, horizon = int(judged.lengths[place]), judged.horizon
    past = counted(window, "step") if shown == window else f"last {shown} of the {counted(window, 'step')}"
    ids = judged.prepared.ids
    of_series = f" of series {ids[int(judged.sequence[place])]}" if len(ids) > 1 else ""
    return f"The {past}{of_series} that the forecast is made from, then the {counted(horizon, 'step')} that it predicts."


def counted(number: int, noun: str) -> str:
    """A count with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def texts(values: np.ndarray, before: int = 0, after: int = 0) -> tuple[float | None, ...]:
    """Numbers for a line, None where there is none, padded to its axis."""
    inner = [float(value) if np.isfinite(value) else None for value in values]
    return (*[None] * before, *inner, *[None] * after)


def horizon_figure(case: Case, truth: np.ndarray, answers: list[Answer]) -> LinesFigure:
    """Mean absolute error at each step ahead, for the model and the best baselines."""
    lines = tuple(
        Line(
            name=answer.name,
            style="prediction" if answer is answers[0] else "baseline",
            y=texts(mae_by_horizon(truth, answer.values)[:, 0]),
        )
        for answer in [answers[0], *best_baselines(truth, answers)]
    )
    return LinesFigure(
        name="error-by-horizon",
        title="Error at each step ahead",
        caption="Mean absolute error over all forecasts that are scored, of the model and the best baselines. Where the curves "
        "meet, the model is of no more use than the simpler method.",
        x_label="steps ahead",
        y_label=f"MAE of {label(case)}",
        x=tuple(float(step) for step in range(1, truth.shape[1] + 1)),
        lines=lines,
    )


def best_baselines(truth: np.ndarray, answers: list[Answer]) -> list[Answer]:
    """The few baselines with the least error of the first target, in the order of the table; more would hide each other."""
    whole = [answer for answer in answers[1:] if answer.answered is None]
    errors = {answer.name: float(np.nanmean(np.abs(truth - answer.values)[..., 0])) for answer in whole}
    kept = sorted(errors, key=errors.__getitem__)[:MOST_BASELINES]
    return [answer for answer in whole if answer.name in kept]


def scatter(case: Case, truth: np.ndarray, model: Answer) -> ScatterFigure:
    """Predictions against truth, evenly spaced over the judged part."""
    observed = np.flatnonzero(np.isfinite(truth[..., 0]).ravel())
    chosen = observed[np.unique(np.linspace(0, len(observed) - 1, min(MAX_POINTS, len(observed))).astype(np.int64))]
    return ScatterFigure(
        name="prediction-against-truth",
        title="Prediction against truth",
        caption=f"{len(chosen)} of {counted(len(observed), 'predicted step')}, evenly spaced; on the diagonal the forecast "
        "is right.",
        x_label=f"truth, {label(case)}",
        y_label=f"prediction, {label(case)}",
        x=tuple(float(value) for value in truth[..., 0].ravel()[chosen]),
        y=tuple(float(value) for value in model.values[..., 0].ravel()[chosen]),
    )
