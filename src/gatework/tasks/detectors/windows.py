"""What a detector is trained on, windows with an answer at each of their steps; and what it is judged on, steps."""

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.data.series import IntArray, Rows
from gatework.data.split import PARTS, Split
from gatework.errors import DataError
from gatework.ragged import Ragged
from gatework.runs import Part

Float32Array = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


def step_features(prepared: Prepared) -> Float32Array:
    """(total_steps, input_size): the watched channels first, then every other input, the calendar, the attributes of the
    series.
    """
    watched = [prepared.input_names.index(name) for name in prepared.target_names]
    others = [number for number in range(prepared.inputs.shape[1]) if number not in watched]
    blocks = [prepared.inputs[:, watched], prepared.inputs[:, others], prepared.future]
    if prepared.static.shape[1]:
        blocks.append(prepared.static[Rows(prepared.offsets).sequence])
    return np.concatenate(blocks, axis=1, dtype=np.float32)


class DetectorWindows:
    """Windows of `window` steps of one series, each step with the targets of the steps `leads` ahead of it.

    A window belongs to a part when its last target does; only targets inside the part count, and only those of steps from
    `warmup` on. Inputs may reach back into earlier parts, never forward.
    leads: steps ahead of each target, such as (1, 2, 3); (0,): the step itself. stride: between windows; the last of a part
    counts.
    sequence: (n,) the series of each window. origin: (n,) its first row. skipped: series of the part that give no window.
    """

    def __init__(
        self, prepared: Prepared, split: Split, part: Part, *, window: int, leads: tuple[int, ...], warmup: int, stride: int
    ):
        """Raises DataError when no series is long enough."""
        self.prepared, self.part, self.window, self.leads, self.warmup = prepared, part, window, leads, warmup
        rows = Rows(prepared.offsets)
        self._in_part = split.rows_of(part)[prepared.rows]
        last = np.arange(rows.total_steps)
        reach = window + max(leads) if max(leads) else window
        fits = self._in_part & (last - rows.start >= reach - 1)
        is_end = np.ones(len(last), dtype=bool)
        is_end[:-1] = ~fits[1:] | (rows.sequence[1:] != rows.sequence[:-1])
        chosen = fits & ((last % stride == 0) | is_end)
        self._check(rows, chosen, reach)
        self.origin: IntArray = np.flatnonzero(chosen).astype(np.int64) - reach + 1
        self.sequence: IntArray = rows.sequence[self.origin]
        counts = np.bincount(self.sequence, minlength=len(rows.lengths))
        present = np.bincount(rows.sequence[self._in_part], minlength=len(rows.lengths))
        self.skipped = [prepared.ids[number] for number in np.flatnonzero((counts == 0) & (present > 0))]
        self._features = step_features(prepared)

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.origin)

    @property
    def num_answers(self) -> int:
        """The number of windows."""
        return len(self.origin)

    def batch(self, index: npt.NDArray[np.integer]) -> Batch:
        """The windows with these numbers: targets and observed (n, window, leads, num_targets)."""
        index = np.asarray(index, dtype=np.int64)
        rows = self.origin[index][:, None] + np.arange(self.window)
        coming = rows[:, :, None] + np.array(self.leads)
        targets = self.prepared.targets[coming]
        observed = ~np.isnan(targets) & self._in_part[coming][..., None]
        observed[:, : self.warmup] = False
        return Batch(
            inputs=Ragged(
                torch.from_numpy(self._features[rows.ravel()]), torch.arange(len(index) + 1, dtype=torch.int64) * self.window
            ),
            future=torch.zeros(len(index), 0, 0),
            targets=torch.from_numpy(np.where(observed, targets, np.float32(0)).astype(np.float32)),
            observed=torch.from_numpy(observed),
            index=torch.from_numpy(index),
        )

    def _check(self, rows: Rows, chosen: npt.NDArray[np.bool_], reach: int) -> None:
        if chosen.any():
            return
        row = np.arange(rows.total_steps)
        room = int((row - rows.start + 1)[self._in_part].max(initial=0))
        raise DataError(
            f"No series gives a window for the {self.part} part: up to its end the longest of {len(rows.lengths)} has {room} "
            f"steps, and {PARTS[0] if self.part == PARTS[0] else 'it'} needs {reach}. Expected at least one window of "
            f"{self.window} "
            f"steps. Give a smaller --window, or longer series."
        )


class JudgedSteps:
    """The steps of a part. rows: (n,) of `prepared`; sequence: (n,) their series, which a bootstrap may draw."""

    def __init__(self, prepared: Prepared, split: Split, part: Part):
        self.prepared, self.part = prepared, part
        self.rows: IntArray = np.flatnonzero(split.rows_of(part)[prepared.rows]).astype(np.int64)
        self.sequence: IntArray = Rows(prepared.offsets).sequence[self.rows]
        if not len(self.rows):
            raise DataError(
                f"The {part} part has no steps. Expected at least one. Give more data, or another part: {', '.join(PARTS)}."
            )

    def __len__(self) -> int:
        """The number of steps."""
        return len(self.rows)

    @property
    def num_answers(self) -> int:
        """The number of steps."""
        return len(self.rows)

    @property
    def labels(self) -> Array | None:
        """(n,) 1 anomalous, 0 normal, NaN unknown; None without labels, or where none of these steps is known."""
        if self.prepared.labels is None:
            return None
        labels: Array = self.prepared.labels[self.rows]
        return labels if np.isfinite(labels).any() else None

    @property
    def step_s(self) -> float | None:
        """The usual time from step to step, in seconds; None where the data has no clock."""
        times = self.prepared.times
        if not times.dtype.is_temporal() or len(times) < 2:
            return None
        gaps = np.diff(times.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()) / 1e6
        gaps = gaps[(np.diff(Rows(self.prepared.offsets).sequence) == 0) & (gaps > 0)]
        return float(np.median(gaps)) if len(gaps) else None
