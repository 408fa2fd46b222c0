"""A forecast that is kept up to date: rows come in one by one, nothing is read again.

Where the network reads every step by itself on the training scale, its state is carried from row to row and never begins anew;
a forecast then costs microseconds. Other networks put each window on its own level, so the window is read again, from memory.
"""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from gatework.data.encode_row import RowEncoder, Value
from gatework.data.prepared import Prepared
from gatework.errors import ConfigError, DataError
from gatework.model import Ensemble, SequenceModel, TrainedModel
from gatework.ragged import Ragged
from gatework.tasks.forecast import shortest_window
from gatework.tasks.forecasters.entry import WindowEntry
from gatework.tasks.forecasters.quick import QuickHead, can_be_quick

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LiveState:
    """Where a live forecast stands.

    rows: the last ones that are kept. layers: the states of each layer by name, (1, hidden_size); output: of the last layer;
    both empty where the state is not carried. last: of each column what fills a gap. time: the stamp of the last row.
    """

    rows: Float32Array
    layers: list[dict[str, Float32Array]]
    output: Float32Array
    last: tuple[float, ...]
    time: datetime | None


class LiveForecast:
    """One series of a trained forecast, followed row by row. Made by `Predictor.live`.

    carries_state: whether the network's state is carried; else the last window is read again for each forecast.
    columns: what a row must hold. time: the stamp of the last row, None where the data has no clock.
    """

    def __init__(self, trained: TrainedModel, prepared: Prepared, steps: int | None = None):
        """prepared: the history of one series, a window or what there is of it. steps: of its end that are read; None: all.

        Raises ConfigError for a clock without a fixed step; DataError for a history from which nothing is forecast.
        """
        plan, network = trained.plan, trained.network
        if isinstance(network, Ensemble):
            raise ConfigError(
                "A live forecast was asked of an ensemble, which has several states. Expected a single model. "
                "Load one of its members, or use predict."
            )
        entry = network.entry
        assert isinstance(entry, WindowEntry)
        self.trained, self.window, self.horizon = trained, plan.window, plan.horizon
        record = trained.preparation.record
        self.encoder = RowEncoder(record, prepared.static[0])
        self._static: list[float] = self.encoder.static.tolist()
        self.columns = (*self.encoder.inputs, *self.encoder.known)
        self._time_name = plan.data.time
        self.time, self.step = clock_of(prepared, plan.window, shortest_window(plan.model, plan.window, plan.period))
        features = np.concatenate([prepared.inputs, prepared.future], axis=1)
        rows = np.concatenate([features, np.repeat(prepared.static, len(features), axis=0)], axis=1)
        rows = rows if steps is None else rows[-max(steps, plan.window) :]
        self.carries_state = can_be_quick(plan.model, network.head)
        fitted = {field.name: field.scale for field in record.fields if field.role == "target"}
        scales = [fitted[name] for name in record.targets]
        self._mean, self._std = np.array([scale.mean for scale in scales]), np.array([scale.std for scale in scales])
        self._logs = [(number, scale) for number, scale in enumerate(scales) if scale.is_log]
        self._rows = Rolling(self.window, rows.shape[1])
        self._ahead = Rolling(self.horizon, prepared.future.shape[1])
        self._ahead_from: datetime | None = None
        if self.carries_state:
            self._start_carrying(entry, rows)
        else:
            for row in rows[-self.window :]:
                self._rows.add(row)

    def _start_carrying(self, entry: WindowEntry, rows: Float32Array) -> None:
        network = self.trained.network
        assert isinstance(network, SequenceModel)
        head = network.head
        self._head = QuickHead(head)  # type: ignore[arg-type]
        self._order: list[int] = entry.order.tolist()
        self._rows = Rolling(max(1, self._head.recent_steps), rows.shape[1])
        self._stream = network.recurrent.stream()
        self._x = torch.zeros(rows.shape[1])
        self._state = torch.zeros(network.recurrent.hidden_size)
        self._x_array, self._state_array = self._x.numpy(), self._state.numpy()
        for row in rows[:, self._order]:
            self._read(row)

    def _read(self, row: Float32Array | list[float]) -> None:
        """One more row, targets first, through the network."""
        self._x_array[:] = row
        self._rows.add(self._x_array)
        self._stream.step(self._x, self._state)

    def update(self, row: Mapping[str, Value], time: datetime | None = None) -> None:
        """One more row of the series.

        row: a value for each of `columns`, in the units of the data; None where it is missing. time: its stamp; left out, that
        in the time column of the row; without one, a step after the last one.
        Raises DataError for a column that is not there, a number that is none, or a stamp not later; such a row is not read.
        """
        if not isinstance(row, Mapping):
            raise DataError(
                f"A row was given as {type(row).__name__}; expected column → value, such as {{'{self.columns[0]}': 31.5}}. "
                f"Give the rows of a frame one by one: for row in frame.iter_rows(named=True)."
            )
        stamp = self._next_time(row.get(self._time_name) if time is None and self._time_name else time)
        numbers = self.encoder.encode(row, stamp) + self._static
        self.time = stamp
        if self.carries_state:
            self._read([numbers[place] for place in self._order])
        else:
            self._rows.add(numbers)

    def forecast(self, known: Sequence[Mapping[str, Value]] = ()) -> npt.NDArray[np.float64]:
        """The next steps after the last row: (horizon, num_targets) in the units of the data.

        known: what is planned for each step of the horizon, where the model was trained with columns known in the future.
        Raises DataError when something is not planned for every step.
        """
        future = self._future(known)
        scaled: npt.NDArray[np.floating]
        if self.carries_state:
            scaled = self._head.read(self._state_array, self._rows.all(), future)
        else:
            window = torch.from_numpy(self._rows.all().copy())
            with torch.inference_mode():
                inputs = Ragged.one(window)
                output = self.trained.network(inputs, torch.from_numpy(future)[None]).numpy()
            decoded: npt.NDArray[np.float64] = self.trained.task.decode(output, self.trained.preparation)[0]
            return decoded
        values: npt.NDArray[np.float64] = scaled * self._std
        values += self._mean
        for number, scale in self._logs:
            values[:, number] = scale.inverse(scaled[:, number])
        return values

    def state(self) -> LiveState:
        """What was read so far, in arrays."""
        layers: list[dict[str, Float32Array]] = []
        output = np.zeros(0, dtype=np.float32)
        if self.carries_state:
            layers = [{name: states.numpy() for name, states in layer.items()} for layer in self._stream.state()]
            output = self._state_array.copy()
        encoders = (*self.encoder.observed, *self.encoder.planned)
        return LiveState(self._rows.all().copy(), layers, output, tuple(encoder.last for encoder in encoders), self.time)

    def restore(self, state: LiveState) -> None:
        """Go on from what another live forecast of the same model has read."""
        self._rows.end = 0  # a short history has fewer rows than are kept
        for row in state.rows:
            self._rows.add(row)
        if self.carries_state:
            self._stream.restore([{name: torch.from_numpy(own) for name, own in layer.items()} for layer in state.layers])
            self._state_array[:] = state.output
        for encoder, last in zip((*self.encoder.observed, *self.encoder.planned), state.last, strict=True):
            encoder.last = last
        self.time, self._ahead_from = state.time, None

    def _next_time(self, given: Value | None) -> datetime | None:
        """The stamp of the next row: as given, or a step after the last one; None where the data has no clock."""
        if self.time is None or self.step is None:
            return None
        if given is None:
            return self.time + self.step
        time = moment(given)
        if time <= self.time:
            raise DataError(
                f"The row has the time {time.isoformat()}, and the last one was {self.time.isoformat()}. "
                f"Expected a later one. Give the rows in their order."
            )
        return time

    def _future(self, known: Sequence[Mapping[str, Value]]) -> Float32Array:
        """(horizon, num_future) what is known of the steps to come."""
        if self.encoder.known:
            if len(known) != self.horizon:
                raise DataError(
                    f"{len(known)} steps are planned; the forecast needs {', '.join(self.encoder.known)} for each of its "
                    f"{self.horizon} steps. Give forecast(known=[{{'{self.encoder.known[0]}': …}}, …])."
                )
            rows = [self.encoder.encode_known(row, self._stamp(number)) for number, row in enumerate(known, 1)]
            return np.array(rows, dtype=np.float32)
        if not self.encoder.periods:
            return np.zeros((self.horizon, 0), dtype=np.float32)
        self._look_ahead()
        return self._ahead.all()

    def _look_ahead(self) -> None:
        """The calendar of the horizon; one step on, only its last row is new."""
        if self.time == self._ahead_from:
            return
        is_next = self._ahead_from is not None and self.step is not None and self.time == self._ahead_from + self.step
        for number in [self.horizon] if is_next else range(1, self.horizon + 1):
            self._ahead.add(self.encoder.encode_known({}, self._stamp(number)))
        self._ahead_from = self.time

    def _stamp(self, number: int) -> datetime | None:
        return None if self.time is None or self.step is None else self.time + number * self.step


class Rolling:
    """The last rows, always next to each other in memory: written into twice the space, moved to its front when it is full."""

    def __init__(self, size: int, width: int):
        self.size, self.end = size, 0
        self.space = np.zeros((4 * size, width), dtype=np.float32)

    def add(self, row: Float32Array | list[float]) -> None:
        """One more row; the oldest falls out."""
        if self.end == len(self.space):
            self.space[: self.size] = self.space[-self.size :]
            self.end = self.size
        self.space[self.end] = row
        self.end += 1

    def all(self) -> Float32Array:
        """(size, width) the last rows."""
        return self.space[max(0, self.end - self.size) : self.end]


def moment(given: Value) -> datetime:
    """A time stamp in local time; DataError for what is none."""
    if isinstance(given, str):
        with contextlib.suppress(ValueError):  # what is no time stamp is refused below
            given = datetime.fromisoformat(given)
    if isinstance(given, date):  # a datetime is one, too
        return given.replace(tzinfo=None) if isinstance(given, datetime) else datetime(given.year, given.month, given.day)
    raise DataError(
        f"The row has {given!r} as its time. Expected a time stamp, such as datetime(2026, 1, 31, 23) or "
        f"'2026-01-31 23:00:00'. Correct it, or leave it out: the row is then one step after the last one."
    )


def clock_of(prepared: Prepared, window: int, shortest: int) -> tuple[datetime | None, timedelta | None]:
    """The last time stamp in local time and the step from one to the next; None where the data has no clock.

    Raises DataError for a history shorter than the shortest window; ConfigError where the steps of the last window are not all
    alike.
    """
    times = prepared.times
    if len(times) < shortest:
        raise DataError(
            f"The history has {len(times)} steps; the model reads windows of {window}, and no fewer than {shortest} steps. "
            f"Give at least {shortest} rows of the series."
        )
    if not times.dtype.is_temporal():
        return None, None
    local = times.dt.replace_time_zone(None) if getattr(times.dtype, "time_zone", None) else times
    stamps = local.cast(pl.Datetime("us")).tail(max(2, window)).to_list()
    steps = {later - earlier for earlier, later in itertools.pairwise(stamps)}
    if len(steps) != 1:
        raise ConfigError(
            f"The last {len(stamps)} time stamps are {len(steps)} different distances apart; a live forecast goes on by one "
            f"fixed step. Give a history without gaps in its last window, or forecast with predict."
        )
    return stamps[-1], steps.pop()
