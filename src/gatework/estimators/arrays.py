"""What a user gives as X → sequences of numbers in a table.

Sequences: a list of arrays, each (steps,) or (steps, channels); one array (num_sequences, steps, channels); or a Ragged.
Rows: an array or data frame of two axes, as scikit-learn gives them: each row is a sequence of one channel, each column a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils.validation import validate_data

from gatework.errors import InputError
from gatework.ragged import Ragged
from gatework.train import Request

FloatArray = npt.NDArray[np.float64]

SERIES = "series"


@dataclass(frozen=True)
class Sequences:
    """values: (total_steps, channels), one sequence below the other. lengths: (num_sequences,)."""

    values: FloatArray
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.lengths)

    @property
    def columns(self) -> list[str]:
        """The names of the channels in a table."""
        return channel_names(self.values.shape[1])

    def frame(self) -> pl.DataFrame:
        """One row a step: the number of the sequence, and its channels."""
        series = pl.Series(SERIES, np.repeat(np.arange(len(self)), self.lengths))
        channels = {name: pl.Series(self.values[:, i], nan_to_null=True) for i, name in enumerate(self.columns)}
        return pl.DataFrame({SERIES: series, **channels})


def channel_names(count: int) -> list[str]:
    """x0, x1, …"""
    return [f"x{number}" for number in range(count)]


def is_rows(X: object) -> bool:
    """Whether X has two axes and each of its rows is a sequence."""
    if isinstance(X, Ragged) or (isinstance(X, list | tuple) and any(np.ndim(item) > 0 for item in X)):
        return not isinstance(X, Ragged) and all(np.ndim(item) == 1 and isinstance(item, list | tuple) for item in X)
    return getattr(X, "ndim", 2) < 3


def is_object_array(X: object) -> bool:
    """Whether X is one array whose entries are sequences, as NumPy keeps those of unequal lengths."""
    return isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and any(np.ndim(item) > 0 for item in X)


def as_sequences(estimator: Any, X: object, reset: bool, allow_gaps: bool) -> Sequences:
    """X as sequences; sets or checks the estimator's `n_features_in_`.

    reset: True in fit. allow_gaps: NaN is a missing value and no mistake.
    Raises InputError for arrays of the wrong shape or with values that are no finite numbers; ValueError where scikit-learn
    itself finds fault with an array of two axes.
    """
    if X is None or (isinstance(X, list | tuple) and not X):
        raise InputError(
            f"X is {'None' if X is None else 'empty: it has no sequences'}. Expected sequences: a list of arrays (steps, "
            f"channels), or one array (sequences, steps, channels). Check how X was made."
        )
    if is_object_array(X):
        X = list(X)  # type: ignore[call-overload]
    if is_rows(X):
        finite: bool | str = "allow-nan" if allow_gaps else True
        rows = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=finite, ensure_min_samples=1 + reset)
        return Sequences(rows.reshape(-1, 1), np.full(len(rows), rows.shape[1], dtype=np.int64))
    sequences = checked_sequences(estimator, X, reset, allow_gaps)
    if len(sequences) < 1 + reset:
        raise InputError(
            f"X has {len(sequences)} sequences; expected at least {1 + reset}"
            f"{': one to learn from, one to stop by' if reset else ''}. Give more sequences."
        )
    return sequences


def checked_sequences(estimator: Any, X: object, reset: bool, allow_gaps: bool) -> Sequences:
    """Those of a Ragged, a list of arrays, or one array of three axes; sets or checks `n_features_in_`."""
    sequences = from_ragged(X) if isinstance(X, Ragged) else from_several(X)
    check_numbers(sequences, allow_gaps)
    channels = sequences.values.shape[1]
    if reset:
        estimator.n_features_in_ = channels
    elif channels != estimator.n_features_in_:
        raise InputError(
            f"X has {channels} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} features as "
            f"input: the channels of each step, as in fit. Give sequences of {estimator.n_features_in_} channels, or fit again."
        )
    return sequences


def from_ragged(X: Ragged) -> Sequences:
    """The sequences of a Ragged."""
    values = X.values.detach().cpu().numpy().astype(np.float64)
    return Sequences(values.reshape(len(values), -1), X.lengths.numpy())


def from_several(X: object) -> Sequences:
    """Those of a list of arrays, or of one array of three axes."""
    items = [np.asarray(item) for item in X] if isinstance(X, Sequence) else list(np.asarray(X))
    shaped = [item[:, None] if item.ndim == 1 else item for item in items]
    wrong = next((number for number, item in enumerate(shaped) if item.ndim != 2), None)
    if wrong is not None:
        raise InputError(
            f"Sequence {wrong} of X has {items[wrong].ndim} axes, shape {items[wrong].shape}; expected (steps,) or "
            f"(steps, channels). Reshape it, so that X is a list of such arrays or one array (sequences, steps, channels)."
        )
    if not shaped:
        raise InputError("X has no sequence; expected a list of at least one array (steps, channels). Check how X was made.")
    if any(np.iscomplexobj(item) for item in shaped):
        raise InputError(
            "X holds complex numbers: Complex data not supported. Expected real ones. Give for example their real and "
            "imaginary parts as two channels."
        )
    channels = {item.shape[1] for item in shaped}
    if len(channels) > 1:
        first = next(number for number, item in enumerate(shaped) if item.shape[1] != shaped[0].shape[1])
        raise InputError(
            f"Sequence {first} of X has {shaped[first].shape[1]} channels, sequence 0 has {shaped[0].shape[1]}; expected the "
            f"same channels in all. Transpose those that are (channels, steps), or leave them out."
        )
    try:
        values = np.concatenate(shaped).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"X holds what is no number: {error}. Expected numbers. Encode texts as numbers first.") from error
    return Sequences(values, np.array([len(item) for item in shaped], dtype=np.int64))


def check_numbers(sequences: Sequences, allow_gaps: bool) -> None:
    """InputError that names the first value that is no finite number."""
    bad = np.isinf(sequences.values) if allow_gaps else ~np.isfinite(sequences.values)
    if not bad.any():
        return
    row, channel = np.argwhere(bad)[0]
    sequence = int(np.searchsorted(np.cumsum(sequences.lengths), row, side="right"))
    step = int(row - np.sum(sequences.lengths[:sequence]))
    value = "NaN" if np.isnan(sequences.values[row, channel]) else "an infinite value"
    raise InputError(
        f"Input X contains {value}: sequence {sequence}, step {step}, channel {channel} ({int(bad.sum())} such values in all). "
        f"Expected finite numbers. "
        f"Fill gaps first, or say how: options=Request(missing='previous') makes NaN a missing value."
    )


def allows_gaps(options: Request | None) -> bool:
    """Whether NaN is a missing value: only when it was said how gaps are filled."""
    return isinstance(options, Request) and options.missing is not None


def check_options(options: object) -> None:
    """InputError for options that are no Request."""
    if options is not None and not isinstance(options, Request):
        raise InputError(
            f"options is {type(options).__name__} ({options!r}); expected a gatework.Request, or None. "
            f"Write for example options=Request(num_layers=2, zoneout=0.1)."
        )
