"""A table as arrays of numbers, ready to be cut into samples."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """All numbers of a table, on the scales that were fitted on training rows.

    inputs: (total_steps, num_inputs) float32, finite: past covariates and target history (forecast), or all step features.
    future: (total_steps, num_future) float32, finite: known-future covariates and the calendar (forecast); else of width 0.
    static: (num_sequences, num_static) float32, finite.
    targets: scaled float32 with NaN where unobserved, (total_steps, num_targets) for forecasts and answers at every step,
        (num_sequences, num_targets) for regression; for classification (num_sequences,) or (total_steps,) int64 index into
        `classes`, −1 when unknown.
    raw_targets: float64 in the units of the data, NaN where unobserved; same shape. Classification: of width 0.
    offsets: (num_sequences + 1,) int64, where each series begins.
    ids: the series. times: the time column, one per step.
    rows, sequences: int64, which row of `table.steps` and of `table.sequences` each step and each series was; shorter than the
        table when the policy `drop` left some out.
    clock: (total_steps,) float64, the time since the first step of each series, in usual steps. clock_names: which inputs the
        cell reads past its gates, `elapsed` or `time`; the last columns of a sample.
    fading: the columns that fade in gaps, each (value, mask, time since the last measurement) as columns of a sample.
    resting: what each of them fades to.
    target_zeros: where the zero of each target is on the model's scale; empty for classes.
    target_means: the mean of each target over the training rows, in the units of the data; empty for classes.
    labels: (total_steps,) 1 where a step is labelled as an anomaly, 0 where as normal, NaN unknown; None without such a column.
    weights: (num_sequences,) float32, how much the error of a whole sequence counts; None: all alike.
    notes: what was filled, clipped or unknown, one sentence each.
    """

    inputs: Float32Array
    future: Float32Array
    static: Float32Array
    targets: npt.NDArray[np.float32] | npt.NDArray[np.int64]
    raw_targets: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    ids: list[str]
    times: pl.Series
    input_names: list[str]
    future_names: list[str]
    static_names: list[str]
    target_names: list[str]
    classes: list[str]
    rows: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    target_zeros: tuple[float, ...] = ()
    target_means: tuple[float, ...] = ()
    labels: npt.NDArray[np.float64] | None = None
    clock: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    clock_names: tuple[str, ...] = ()
    fading: tuple[tuple[int, int, int], ...] = ()
    resting: tuple[float, ...] = ()
    weights: Float32Array | None = None
    notes: tuple[str, ...] = ()
