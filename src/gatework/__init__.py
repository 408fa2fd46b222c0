"""gatework: LSTM, compiled. Gated memories for your own sequences; README.md has the map.

The public names load when they are first used, so that `import gatework` is quick and loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatework.cells import CELLS, Cell
    from gatework.errors import (
        ConfigError,
        DataError,
        GateworkError,
        MissingExtra,
        RunError,
        ShapeError,
        SlowPath,
        TrainingError,
    )
    from gatework.estimators import AnomalyDetector, Classifier, Forecaster, Regressor
    from gatework.evaluate import evaluate_run, load
    from gatework.layers import GRU, LSTM, RNN, Recurrent
    from gatework.ragged import Ragged
    from gatework.report import write_report
    from gatework.train import Request, train_model

__version__ = "0.1.0"

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "AnomalyDetector",
    "Cell",
    "Classifier",
    "ConfigError",
    "DataError",
    "Forecaster",
    "GateworkError",
    "MissingExtra",
    "Ragged",
    "Recurrent",
    "Regressor",
    "Request",
    "RunError",
    "ShapeError",
    "SlowPath",
    "TrainingError",
    "evaluate_run",
    "load",
    "train_model",
    "write_report",
]

_NAMES_BY_ROOM = {
    "cells": ("CELLS", "Cell"),
    "errors": (
        "ConfigError",
        "DataError",
        "GateworkError",
        "MissingExtra",
        "RunError",
        "ShapeError",
        "SlowPath",
        "TrainingError",
    ),
    "estimators": ("AnomalyDetector", "Classifier", "Forecaster", "Regressor"),
    "evaluate": ("evaluate_run", "load"),
    "layers": ("GRU", "LSTM", "RNN", "Recurrent"),
    "ragged": ("Ragged",),
    "report": ("write_report",),
    "train": ("Request", "train_model"),
}
_SHOWN_ROOMS = {"evaluate", "report", "train"}
_ROOM_OF = {name: room for room, names in _NAMES_BY_ROOM.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'gatework' has no attribute '{name}'. Its public names: {', '.join(__all__)}.")
    value = getattr(import_module(f"gatework.{_ROOM_OF[name]}"), name)
    if _ROOM_OF[name] in _SHOWN_ROOMS:
        import_module("gatework.report.notebook")  # what these rooms give can then show itself in a notebook
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
