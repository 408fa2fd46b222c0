"""The series of a Forecaster as their further steps come in: one live forecast for each."""

import numpy as np
import numpy.typing as npt

from gatework.estimators.history import History
from gatework.evaluate import Predictor
from gatework.evaluate.live import LiveForecast, LiveState
from gatework.model import TrainedModel

FloatArray = npt.NDArray[np.float64]


class Following:
    """What was read of each series. Copies and pickles hold it as arrays."""

    def __init__(self, predictor: Predictor, history: History):
        """history: at least a window of each series; its last window is read.

        Raises ConfigError for a model that is not followed row by row.
        """
        window = predictor.trained.plan.window
        self._lives: list[LiveForecast] | None = [predictor.live(frame, steps=window) for frame in history.apart()]
        self._states: list[LiveState] = []

    def lives(self, predictor: Predictor, history: History) -> list[LiveForecast]:
        """The live forecasts; made anew after copying, from a history of the same series."""
        if self._lives is None:
            self._lives = [predictor.live(frame) for frame in history.apart()]
            for live, state in zip(self._lives, self._states, strict=True):
                live.restore(state)
        return self._lives

    def __getstate__(self) -> list[LiveState]:
        return self._states if self._lives is None else [live.state() for live in self._lives]

    def __setstate__(self, states: list[LiveState]) -> None:
        self._states, self._lives = states, None


def moved(trained: TrainedModel, ends: FloatArray, read: FloatArray, carried: FloatArray) -> FloatArray:
    """Ends of ranges around forecasts from a window, moved to those from a carried state; all (..., num_targets).

    On the model's scale: there the width of a range does not depend on the forecast where this is a single number.
    """
    record = trained.preparation.record
    fitted = {field.name: field.scale for field in record.fields if field.role == "target"}
    scales = [fitted[name] for name in record.targets]
    columns = [
        scale.inverse(scale.scale(ends[..., i]) - scale.scale(read[..., i]) + scale.scale(carried[..., i]))
        for i, scale in enumerate(scales)
    ]
    return np.stack(columns, axis=-1)
