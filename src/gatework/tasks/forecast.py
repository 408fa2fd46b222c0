"""Forecast: the next `horizon` steps of every target, from a window of the past and what is known of the future."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, ForecastSamples
from gatework.data.split import Split
from gatework.errors import DataError
from gatework.runs import Figure, LossName, ModelPlan, Part, RangePlan, TaskName, UncertaintyScores
from gatework.tasks import judge_forecast as judge
from gatework.tasks import judge_ranges
from gatework.tasks.conformal import quantile_levels
from gatework.tasks.forecast_baselines import baseline_answers, classical_answers
from gatework.tasks.forecast_figures import forecast_figures
from gatework.tasks.forecasters import ForecastHead, WindowEntry, lane_sizes
from gatework.tasks.metrics import Measured, seasonal_scale
from gatework.tasks.outputs import Output, Point, PointLoss, make_output
from gatework.tasks.range_calibration import RangeCalibration, deviations, fit_range_calibration, model_truth
from gatework.tasks.range_reliability import Coverage
from gatework.tasks.ranges import Ranges
from gatework.tasks.task import Answer, Case, Samples, Sizes, Task


@dataclass(frozen=True)
class Draw:
    """How many courses of the future are drawn for each series, and from which seed."""

    num_paths: int
    seed: int


LEAST_STEPS = 8
"""Of a window that begins where its series does: fewer say too little of where a series stands and how far it moves."""

LEAST_CHANGE = 0.1
"""Of the usual change over a season: a series that hardly moves does not drown the others in the loss `mase`."""


class Forecast(Task):
    """Multi-step forecasting from a window of the past; how the window is read and the horizon decoded stands in the plan.

    horizon, window: in steps. season: steps of one season, 0 unknown. loss: on the scaled targets; left out, the mean absolute
    error, whose optimum is the median, which few bad readings cannot move. asked: what is said beside the single numbers; an
    output that is a distribution has a loss of its own.
    """

    name: TaskName = "forecast"

    def __init__(
        self,
        horizon: int,
        window: int,
        model: ModelPlan | None = None,
        season: int = 0,
        loss: LossName | None = None,
        asked: RangePlan | None = None,
    ):
        self.horizon = horizon
        self.window = window
        self.model = model or ModelPlan()
        self.season = season
        self.asked = asked or RangePlan()
        self.is_mase = loss == "mase"
        self.output = self._output(loss if loss == "mse" or loss == "huber" else "mae")  # noqa: PLR1714 - mypy narrows this

    def _output(self, loss: PointLoss) -> Output:
        if self.asked.output == "point":
            return Point(loss)
        return make_output(self.asked.output, quantile_levels(self.asked.intervals))

    def samples(self, prepared: Prepared, split: Split, part: Part) -> ForecastSamples:
        shortest = shortest_window(self.model, self.window, self.season)
        samples = ForecastSamples(prepared, split, part, window=self.window, horizon=self.horizon, shortest=shortest)
        if self.is_mase:
            samples.weights = series_weights(prepared, split, self.season)
        if self.output.is_count:
            samples.targets = counts_of(prepared, self.output.name)
        return samples

    def entry(self, sizes: Sizes) -> WindowEntry:
        return WindowEntry(self.model, sizes, self.season)

    def head(self, sizes: Sizes) -> nn.Module:
        own_targets, own_size = lane_sizes(self.model, sizes)
        plan = self.model.model_copy(update={"linear_steps": min(self.window, self.model.linear_steps)})
        return ForecastHead(plan, sizes, self.horizon, own_targets, own_size, self.output)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        parameters = output[..., None] if self.output.num_parameters == 1 else output
        return self.output.loss(parameters, batch.targets, batch.observed, batch.weight)

    def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
        """Forecasts (n, horizon, num_targets) in the units of the data: medians, where the output has them."""
        points = self.output.point(self._numbers(output))
        return points if self.output.is_count else preparation.inverse_targets(points)

    def _numbers(self, output: np.ndarray) -> np.ndarray:
        """(n, horizon, num_targets, num_parameters) in float64."""
        return (output[..., None] if self.output.num_parameters == 1 else output).astype(np.float64)

    def _targets(self, prepared: Prepared) -> np.ndarray:
        """(total_steps, num_targets) what the network forecasts, float64; NaN where unobserved."""
        return prepared.raw_targets if self.output.is_count else prepared.targets.astype(np.float64)

    def calibrate(self, output: np.ndarray, samples: Samples) -> RangeCalibration | None:
        assert isinstance(samples, ForecastSamples)
        clock = judge.forecast_clock(samples)
        return fit_range_calibration(
            self.output, self._numbers(output), samples, self._targets(samples.prepared), clock, self.asked
        )

    def ranges(
        self, output: np.ndarray, samples: Samples, preparation: Preparation, calibration: RangeCalibration | None
    ) -> Ranges | None:
        assert isinstance(samples, ForecastSamples)
        if calibration is None or samples.horizon > self.horizon:  # beyond the trained horizon no error was ever measured
            return None
        targets = self._targets(samples.prepared)
        numbers, scale, shift = self._numbers(output), deviations(samples, targets), None
        if calibration.record.method == "adaptive":
            clock = judge.forecast_clock(samples)
            shift, _ = calibration.adapted(self.output, numbers, scale, model_truth(samples, targets), clock)
        found = calibration.ranges(self.output, numbers, scale, shift)
        return found if self.output.is_count else found.mapped(preparation.inverse_targets)

    def coverage(self, output: np.ndarray, samples: Samples, calibration: RangeCalibration | None) -> Coverage:
        assert isinstance(samples, ForecastSamples)
        if calibration is None or samples.horizon > self.horizon:
            return ()
        targets = self._targets(samples.prepared)
        truth = model_truth(samples, targets)
        return calibration.coverage(self.output, self._numbers(output), deviations(samples, targets), truth)

    def paths(
        self, output: np.ndarray, samples: ForecastSamples, preparation: Preparation, calibration: RangeCalibration, draw: Draw
    ) -> np.ndarray:
        """(n, num_paths, horizon, num_targets) courses of the future in the units of the data; see `RangeCalibration.paths`."""
        scale = deviations(samples, self._targets(samples.prepared))
        drawn = calibration.paths(self.output, self._numbers(output), scale, draw.num_paths, np.random.default_rng(draw.seed))
        return drawn if self.output.is_count else preparation.inverse_targets(drawn)

    def range_scores(self, case: Case, answer: Answer) -> UncertaintyScores | None:
        return judge_ranges.range_scores(case, answer, self.asked, judge.truth_of(judge.samples_of(case)[1]))

    def baselines(self, case: Case) -> list[Answer]:
        return baseline_answers(case)

    def measure(self, case: Case, answers: list[Answer]) -> list[Measured]:
        return judge.errors(case, answers)

    def notes(self, case: Case) -> tuple[str, ...]:
        return judge.mase_notes(case)

    def clock(self, case: Case) -> np.ndarray | None:
        return judge.origin_clock(case)

    def moved_share(self, case: Case, answers: list[Answer]) -> float | None:
        last = next(answer for answer in answers if answer.name == judge.SIMPLE[0])
        return judge.moved_from_last(case, answers[0], last)

    def follows_last(self, case: Case, answers: list[Answer]) -> tuple[float, float] | None:
        last = next(answer for answer in answers if answer.name == judge.SIMPLE[0])
        return judge.follows_last(case, answers[0], last)

    def classical_baselines(self, case: Case) -> list[Answer]:
        return classical_answers(case)

    def figures(self, case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
        truth = judge.truth_of(judge.samples_of(case)[1])
        return (*forecast_figures(case, answers), *judge_ranges.range_figures(case, answers[0], self.asked, truth))

    def predictions(self, prepared: Prepared, samples: Samples, values: np.ndarray) -> pl.DataFrame:
        assert isinstance(samples, ForecastSamples)
        return judge.prediction_rows(prepared, samples, values)


def shortest_window(model: ModelPlan, window: int, season: int) -> int:
    """The fewest steps that a forecast is made from where there is no whole window: a few, a segment, what `season` needs."""
    return min(window, max(LEAST_STEPS, model.segment, 2 * season if model.normalise == "season" else 0))


def series_weights(prepared: Prepared, split: Split, season: int) -> np.ndarray:
    """(num_sequences, num_targets) one over the mean change of each series over a season of its training rows, 1 on average.

    With them the absolute error becomes MASE on the model's scale: every series counts by how far it moves by itself.
    """
    assert prepared.targets.ndim == 2  # a forecast's
    is_train = split.rows_of("train")[prepared.rows]
    change = seasonal_scale(prepared.targets.astype(np.float64), prepared.offsets, is_train, season)
    usual = np.nanmedian(change, axis=0)
    weights = usual / np.where(np.isfinite(change), np.maximum(change, LEAST_CHANGE * usual), usual)
    weights /= weights.mean(axis=0)
    balanced: np.ndarray = weights.astype(np.float32)
    return balanced


def counts_of(prepared: Prepared, output: str) -> np.ndarray:
    """(total_steps, num_targets) float32, the targets as they are. Raises DataError when one is no count."""
    raw = prepared.raw_targets
    for number, name in enumerate(prepared.target_names):
        seen = raw[:, number]
        wrong = seen[~np.isnan(seen) & ((seen < 0) | (seen != np.round(seen)))]
        if len(wrong):
            raise DataError(
                f"'{name}' holds {wrong[0]:g} ({len(wrong)} values in all are below 0 or no whole numbers). Expected counts for "
                f"--output {output}. Give another --output, such as student-t, or a target that counts something."
            )
    return raw.astype(np.float32)
