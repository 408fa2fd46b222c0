"""A trained model on new data: the next steps of every series, or an answer for every sequence or step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gatework.data.dataset import Source, read_rows
from gatework.data.encode_row import Value
from gatework.data.future import append_horizon
from gatework.data.labels import labels_to_predict
from gatework.data.layout import build_table
from gatework.data.prepared import Prepared
from gatework.data.samples import ForecastSamples, SequenceSamples
from gatework.data.series import without_column
from gatework.data.split import Split
from gatework.data.step_samples import StepSamples
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError, RunError
from gatework.evaluate.anomalies import judge_steps
from gatework.evaluate.live import LiveForecast
from gatework.evaluate.live_anomalies import LiveDetector
from gatework.evaluate.live_steps import LiveSteps
from gatework.evaluate.run import cut_note
from gatework.model import TrainedModel, load_trained, network_outputs
from gatework.runs import RunFolder
from gatework.runs.notebook import Shown
from gatework.tasks import ClassifySteps, RegressSteps, Task
from gatework.tasks.conformal import MEMORY, IntArray
from gatework.tasks.detectors.explain import range_rows, step_rows
from gatework.tasks.forecast import Draw, Forecast, shortest_window
from gatework.tasks.forecasters import ForecastHead
from gatework.tasks.ranges import with_ranges
from gatework.tasks.task import Samples

TRADING_WEEK = 5
"""The season of daily data without weekends (see `train.plan.season_steps`)."""


@dataclass(frozen=True)
class Prediction(Shown):
    """frame: one row per predicted value (see `Task.predictions`); of a detector one row per alarm (see `range_rows`).

    notes: what a reader must know about the data. steps: of a detector, one row per step with its score; else None.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...]
    steps: pl.DataFrame | None = None


class Predictor:
    """A trained run, loaded once and asked many times.

    >>> predictor = gatework.load("runs/load")         # doctest: +SKIP
    >>> predictor.predict("today.csv").frame           # doctest: +SKIP
    """

    def __init__(self, run: RunFolder | Path | str):
        """Raises RunError when the run is unfinished or damaged."""
        self.folder = run if isinstance(run, RunFolder) else RunFolder(run)
        self.trained: TrainedModel
        self.trained, _ = load_trained(self.folder)

    def predict(self, data: Source, labels: Source | None = None, horizon: int | None = None) -> Prediction:
        """Forecasts from the end of every series, or one answer per sequence, or per step.

        data: a file, files or a frame with the columns of the training data; the targets may be missing. A forecast reads the
        last `window` steps of each series, or all of a shorter one (see `tasks.forecast.shortest_window`); more are welcome
        (missing values are filled from them).
        labels: the labels table of this data, when the run was trained with one: attributes, and the answers where they are
            known. Every series of it is answered. Without it the attributes come from the table of the training, as far as it
            can be read and knows the series; others are filled, and the notes say so.
        horizon: of a forecast, in steps; by default that of the training. Another one needs a decoder that is not bound to it.
        Raises DataError when a column is missing or of another type, or when no series is long enough; ConfigError for a horizon
        that the model does not know.
        """
        ahead = self._horizon(horizon)
        if self.trained.plan.anomaly is not None:
            table, detected = self._read(data, labels)
            return self._detect(self.trained.preparation.apply(table, Split.all_test(table)), tuple(detected))
        samples, notes = self._samples(data, labels, ahead)
        task, preparation = self.trained.task, self.trained.preparation
        outputs = network_outputs(self.trained.network, samples)
        ranges = task.ranges(outputs, samples, preparation, self.trained.calibration)
        if isinstance(samples, ForecastSamples):
            final = samples.final
            samples, outputs, ranges = samples.only(final), outputs[final], None if ranges is None else ranges.only(final)
        answers = task.predictions(samples.prepared, samples, task.decode(outputs, preparation))
        answers = with_ranges(answers, ranges)
        notes += self._without_ranges()
        is_unknown = answers["truth"].null_count() == answers.height
        return Prediction(without_column(answers, "truth") if is_unknown else answers, tuple(notes))

    def _without_ranges(self) -> list[str]:
        """That the errors behind the ranges, which the plan asks for, are not in the run's folder."""
        asked = self.trained.plan.ranges
        if self.trained.calibration is not None or not asked.has_ranges:
            return []
        note = (
            f"The run was planned with ranges (--output {asked.output} --calibrate {asked.calibrate}), but "
            f"'{self.folder.path}' has no conformal.json, so that the answers have none. Restore the file from a copy, or train "
            f"again."
        )
        return [note]

    def sample_paths(self, data: Source, num_paths: int = 100, seed: int = 0, labels: Source | None = None) -> pl.DataFrame:
        """Courses of the future from the end of every series, whose steps err together as past forecasts did.

        data, labels: as for `predict`. num_paths: for each series. Returns one row a value: series, time, step, path, target,
        value. Sums and extremes over the horizon may be read off the paths. Series are drawn independently of each other.
        Raises ConfigError when the task is no forecast; RunError when the run knows too little of its errors.
        """
        task, calibration = self.trained.task, self.trained.calibration
        if not isinstance(task, Forecast) or num_paths < 1:
            raise ConfigError(
                f"{num_paths} paths are wanted and the task is {task.name}; expected at least one path of a forecast. "
                f"Give num_paths=100, or use predict."
            )
        if calibration is None:
            raise RunError(
                f"'{self.folder.path}' has no conformal.json, without which its errors are unknown. Expected a run that was "
                f"trained with --calibrate split or adaptive. Train again."
            )
        samples, _ = self._samples(data, labels, self.trained.plan.horizon)
        assert isinstance(samples, ForecastSamples)
        samples = samples.only(samples.final)
        outputs = network_outputs(self.trained.network, samples)
        paths = task.paths(outputs, samples, self.trained.preparation, calibration, Draw(num_paths, seed))
        return path_rows(samples, paths)

    def _read(self, data: Source, labels: Source | None) -> tuple[Table, list[str]]:
        """New data in its one form, and what a reader must know about it."""
        plan = self.trained.plan
        frame = read_rows(plan.data.model_copy(update={"validation_sources": (), "test_sources": ()}), data)
        own_labels, notes = labels_to_predict(plan.data, frame, labels)
        table = build_table(frame, plan.data, own_labels, targets_required=False, is_new=True)
        return table, [*notes, *table.notes]

    def _samples(self, data: Source, labels: Source | None, ahead: int) -> tuple[Samples, list[str]]:
        """The windows at the end of every series, or the sequences; and what a reader must know about the data.

        Where ranges follow past errors, also the windows since the validation part, whose truths are known by now.
        """
        plan, preparation = self.trained.plan, self.trained.preparation
        table, said = self._read(data, labels)
        if plan.data.task != "forecast":
            prepared = preparation.apply(table, Split.all_test(table))
            whole = whole_or_steps(self.trained.task, prepared)
            return whole, [*said, *prepared.notes, *cut_note(whole)]
        read = table
        table = append_horizon(table, ahead, weekdays_only=plan.period == TRADING_WEEK)
        said = [*said, *table.notes[len(read.notes) :]]  # what continuing the times adds
        prepared = preparation.apply(table, Split.all_test(table))
        shortest = shortest_window(plan.model, plan.window, plan.period)
        samples = ForecastSamples(prepared, None, "test", plan.window, ahead, shortest=shortest)
        notes = [*said, *prepared.notes, *short_notes(samples)]
        calibration = self.trained.calibration
        if calibration is None or calibration.record.method != "adaptive":
            return samples.only(samples.final), notes
        return samples.only(since(samples, calibration.record.until)), notes

    def _horizon(self, wanted: int | None) -> int:
        plan = self.trained.plan
        if wanted is None:
            return plan.horizon
        if plan.data.task != "forecast" or wanted < 1:
            raise ConfigError(
                f"The horizon is {wanted} and the task is {plan.data.task}; expected 1 or more steps of a forecast. "
                f"Leave --horizon out, or correct it."
            )
        for module in self.trained.network.modules():  # before the data is asked for rows of a horizon that no decoder knows
            if isinstance(module, ForecastHead):
                module.check_horizon(wanted)
        return wanted

    def live(self, history: Source, labels: Source | None = None, steps: int | None = None) -> LiveForecast:
        """A forecast of one series that is kept up to date row by row: `update(row)`, `forecast()`.

        history: rows of one series as for `predict`. steps: so many of its last rows are read, those before only fill gaps; None:
        all of them.
        Raises ConfigError for another task or several series; DataError as `predict` does.
        """
        plan = self.trained.plan
        if plan.data.task != "forecast":
            raise ConfigError(f"live() follows forecasts; this run's task is {plan.data.task}. Use predict for whole sequences.")
        frame = read_rows(plan.data.model_copy(update={"validation_sources": (), "test_sources": ()}), history)
        own_labels, _ = labels_to_predict(plan.data, frame, labels)
        table = build_table(frame, plan.data, own_labels, targets_required=False, is_new=True)
        if table.sequences.height != 1:
            raise ConfigError(
                f"live() follows one series; the history has {table.sequences.height}. "
                f"Give the rows of one, and make one live forecast for each series."
            )
        live = LiveForecast(self.trained, self.trained.preparation.apply(table, Split.all_test(table)), steps)
        live.encoder.remember(table.steps.select(pl.all().forward_fill()).row(-1, named=True))
        return live

    def stream(self, static: Mapping[str, Value] | None = None) -> LiveSteps:
        """An answer to each row of one series as it comes: `update(row)`, from the first row on.

        static: the attributes of the series, where the model was trained with any.
        Raises ConfigError where steps have no answers of their own or the network reads ahead; DataError for a lacking attribute.
        """
        return LiveSteps(self.trained, static or {})

    def detector(self) -> LiveDetector:
        """The scores and ranges of one series as its rows come: `update(rows)`, from the first row on.

        A reconstruction scores a row when a window of rows has followed it. Raises ConfigError for another task than anomaly
        detection.
        """
        return LiveDetector(self.trained)

    def _detect(self, prepared: Prepared, notes: tuple[str, ...]) -> Prediction:
        """The alarms in new data, and the score of each of its steps."""
        found = judge_steps(self.trained, prepared, np.arange(len(prepared.times), dtype=np.int64))
        unscored = [
            name
            for name, start, end in zip(prepared.ids, prepared.offsets[:-1], prepared.offsets[1:], strict=True)
            if not np.isfinite(found.found.scores[start:end]).any()
        ]
        if len(unscored) == len(prepared.ids):
            raise DataError(
                f"No series has a step that can be scored: the longest of {len(unscored)} has "
                f"{np.diff(prepared.offsets).max()} steps. "
                f"Expected values, and more than {self.trained.plan.window} steps of a series. Give more of the past with them."
            )
        short = f"{len(unscored)} series have no score, being too short or empty: {', '.join(unscored[:5])}."
        return Prediction(range_rows(found), (*notes, *prepared.notes, *([short] if unscored else [])), step_rows(found))


def short_notes(samples: ForecastSamples) -> list[str]:
    """What is said of series that are shorter than the window."""
    notes = []
    if samples.short:
        notes.append(
            f"{len(samples.short)} series are shorter than the window of {samples.window} steps; each is forecast from what it "
            f"has: {', '.join(samples.short[:5])}."
        )
    if samples.skipped:
        notes.append(
            f"{len(samples.skipped)} series have fewer than {samples.shortest} steps and no forecast: "
            f"{', '.join(samples.skipped[:5])}."
        )
    return notes


def whole_or_steps(task: Task, prepared: Prepared) -> SequenceSamples | StepSamples:
    """Every sequence, or every step where these have answers."""
    if isinstance(task, ClassifySteps | RegressSteps):
        return task.samples(prepared, None, "test")
    return SequenceSamples(prepared, None, "test")


def since(samples: ForecastSamples, until: str) -> IntArray:
    """The latest windows that begin after a time stamp or order, about MEMORY of each series at most, and the last of each."""
    times = samples.prepared.times.gather(samples.origin)
    after = times.cast(pl.String) > until if times.dtype.is_temporal() else times.cast(pl.Float64) > float(until)
    last = samples.final[np.searchsorted(samples.sequence[samples.final], samples.sequence)]
    number = np.arange(len(samples))
    return np.flatnonzero((after.to_numpy() & (last - number < MEMORY + samples.horizon)) | (number == last))


def path_rows(samples: ForecastSamples, paths: np.ndarray) -> pl.DataFrame:
    """Paths (n, num_paths, horizon, num_targets) as rows: series, time, step, path, target, value."""
    shape, prepared = paths.shape, samples.prepared
    sample, path, step, target = (axis.ravel() for axis in np.indices(shape))
    return pl.DataFrame(
        {
            "series": pl.Series(prepared.ids, dtype=pl.String)[samples.sequence[sample]],
            "time": prepared.times[samples.origin[sample] + step],
            "step": step + 1,
            "path": path + 1,
            "target": pl.Series(prepared.target_names, dtype=pl.String)[target],
            "value": paths.ravel(),
        }
    )


def predict_run(
    run: RunFolder | Path | str, data: Source, labels: Source | None = None, horizon: int | None = None
) -> Prediction:
    """Load a run and predict once; see `Predictor.predict`."""
    return Predictor(run).predict(data, labels, horizon)


def load(run: RunFolder | Path | str) -> Predictor:
    """A trained run, ready to predict."""
    return Predictor(run)
