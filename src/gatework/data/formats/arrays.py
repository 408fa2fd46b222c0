"""NumPy arrays: .npy (one array) and .npz (named arrays). Nothing that needs pickle is read."""

import io
import zipfile

import numpy as np
import polars as pl

from gatework.data.formats.raw import RawFrame
from gatework.errors import DataError

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def read_npy(content: bytes, name: str) -> RawFrame:
    """One array: (steps,), (steps, features) or (sequences, steps, features)."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(name, error) from error
    return frame_of_arrays({"x" if array.ndim > 1 else "value": array}, name)


def read_npz(content: bytes, name: str) -> RawFrame:
    """Named arrays that share their first axis; see `frame_of_arrays`."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return frame_of_arrays({key: archive[key] for key in archive.files}, name)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(name, error) from error


def frame_of_arrays(arrays: dict[str, Array], name: str) -> RawFrame:
    """Arrays as one table.

    With an array of three axes (sequences, steps, features): one row a step, with columns `series` and `step`; arrays of
    (sequences, steps) vary by step, others with one row a sequence are repeated along its steps; `lengths` (sequences,) cuts
    the ends off.
    Else: one row per entry of the first axis. A column of a wider array is named after the array and its position: x0, x1, …
    Raises DataError when the first axes disagree or an array has four axes or more.
    """
    if not arrays or any(array.ndim not in (1, 2, 3) or array.shape[0] == 0 for array in arrays.values()):
        shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "no array"
        raise DataError(
            f"'{name}' holds {shapes}. Expected arrays of one to three axes, none of them empty: (steps,), (steps, features) or "
            f"(sequences, steps, features). Reshape them before saving."
        )
    heights = {key: array.shape[0] for key, array in arrays.items()}
    if len(set(heights.values())) > 1:
        raise DataError(
            f"The arrays of '{name}' have different first axes: {', '.join(f'{k} {n}' for k, n in heights.items())}. "
            f"Expected the same number of rows or sequences in each. Save one file for each kind of array."
        )
    deep = [array for array in arrays.values() if array.ndim == 3]
    if not deep:
        return RawFrame(pl.DataFrame(_columns(arrays)))
    return RawFrame(_steps_of_sequences(arrays, deep[0].shape[0], deep[0].shape[1], name), is_numbered=True)


def _steps_of_sequences(arrays: dict[str, Array], num_sequences: int, num_steps: int, name: str) -> pl.DataFrame:
    total = num_sequences * num_steps
    columns: dict[str, Array] = {
        "series": np.repeat(np.arange(num_sequences), num_steps),
        "step": np.tile(np.arange(num_steps), num_sequences),
    }
    for key, array in arrays.items():
        if array.ndim == 3 and array.shape[1] != num_steps:
            raise DataError(
                f"Array '{key}' of '{name}' has {array.shape[1]} steps, another has {num_steps}. "
                f"Expected the same number of steps in each. Pad the shorter one with NaN."
            )
        if array.ndim == 3:
            columns |= _columns({key: array.reshape(total, array.shape[2])})
        elif array.ndim == 2 and array.shape[1] == num_steps:
            columns[key] = array.reshape(total)
        elif key != "lengths":
            columns |= {column: np.repeat(values, num_steps) for column, values in _columns({key: array}).items()}
    frame = pl.DataFrame(columns)
    if "lengths" in arrays and arrays["lengths"].ndim == 1:
        frame = frame.filter(pl.Series(columns["step"] < np.repeat(arrays["lengths"], num_steps)))
    return frame


def _columns(arrays: dict[str, Array]) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for key, array in arrays.items():
        if array.ndim == 1:
            columns[key] = array
        else:
            columns |= {f"{key}{i}": np.ascontiguousarray(array[:, i]) for i in range(array.shape[1])}
    return columns


def _unreadable(name: str, error: Exception) -> DataError:
    return DataError(
        f"'{name}' cannot be read as NumPy arrays: {str(error).splitlines()[0] if str(error) else 'it ends too early'}. "
        f"Expected arrays of numbers, booleans or text, saved without pickled objects. "
        f"Save them again with numpy.save or numpy.savez, text as a string type and not as objects."
    )
