"""From a table to numbers: fitted once, on training rows only, saved as prepare.json, applied to any table of those columns."""

import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import ValidationError

from gatework.data.calendar import calendar_features, calendar_names
from gatework.data.clock import ELAPSED, elapsed_steps, times_in_steps
from gatework.data.encode import FittedField, Place, encode, raw_numbers
from gatework.data.fill import Borders
from gatework.data.future import open_rows
from gatework.data.observed import unseen_notes
from gatework.data.prepare_fit import PreparationRecord, dropping, fit_record, kept
from gatework.data.prepared import Prepared
from gatework.data.scale import CLIP
from gatework.data.series import BoolArray, from_lengths, series_ids, table_rows
from gatework.data.split import Split
from gatework.data.table import Table
from gatework.data.watch import label_numbers
from gatework.errors import DataError, RunError, nearest
from gatework.runs import CLASS_TASKS, SCHEMA_VERSION

__all__ = ["Preparation", "Prepared"]

FloatArray = npt.NDArray[np.float64]


class Preparation:
    """How columns become numbers: scales, categories, gaps, calendar, classes; every number of it from training rows.

    Inputs, in this order: the columns of the table, the target history last (forecast); a category has one input each and one for
    all others; `NAME:observed` is 1 where the value was there, `NAME:since` the time since it was there last; `elapsed` the time
    since the step before.
    """

    def __init__(self, record: PreparationRecord):
        self.record = record
        self._target_fields = tuple(self._fitted(name) for name in record.targets) if record.task not in CLASS_TASKS else ()

    @classmethod
    def fit(cls, table: Table, split: Split, like: PreparationRecord | None = None, keeps_scales: bool = False) -> "Preparation":
        """Learn everything from the training rows of `split`; no other row changes a single number.

        like, keeps_scales: what is taken over from the preparation of another run; see `fit_record`.
        Raises DataError when a target is constant, missing or no number in training, or no column is left as input.
        """
        return cls(fit_record(table, split, like, keeps_scales))

    @classmethod
    def from_json(cls, text: str) -> "Preparation":
        """The preparation that `to_json` wrote; RunError when the text is damaged or from a newer gatework."""
        try:
            data = json.loads(text)
            version = data.get("schema_version") if isinstance(data, dict) else None
            if isinstance(version, int) and version > SCHEMA_VERSION:
                raise RunError(
                    f"prepare.json has schema version {version}; this gatework reads versions up to {SCHEMA_VERSION}. "
                    f"Upgrade gatework: pip install --upgrade gatework."
                )
            return cls(PreparationRecord.model_validate_json(text))
        except (json.JSONDecodeError, ValidationError) as error:
            what = "it is not complete JSON"
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                what = f"'{'.'.join(str(part) for part in first['loc']) or 'it'}': {first['msg']}"
            raise RunError(
                f"prepare.json is damaged: {what}. Expected the file as gatework wrote it. "
                f"Restore it from a copy, or train again."
            ) from error

    def to_json(self) -> str:
        """Everything that was fitted, as the text of prepare.json; `from_json` gives the same numbers bit for bit."""
        return self.record.model_dump_json(indent=1) + "\n"

    @property
    def classes(self) -> list[str]:
        """The classes that training showed, in the order of the model's outputs; empty for other tasks."""
        return list(self.record.classes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided when fitting, one sentence each."""
        return self.record.notes

    def scale_targets(self, raw: npt.NDArray[np.floating]) -> FloatArray:
        """(..., num_targets) from the units of the data to the model's scale, float64; NaN stays NaN."""
        columns = [fitted.scale.scale(raw[..., i].astype(np.float64)) for i, fitted in enumerate(self._target_fields)]
        return np.stack(columns, axis=-1)

    def inverse_targets(self, scaled: npt.NDArray[np.floating]) -> FloatArray:
        """(..., num_targets) from the model's scale to the units of the data, float64."""
        return np.stack([fitted.scale.inverse(scaled[..., i]) for i, fitted in enumerate(self._target_fields)], axis=-1)

    def apply(self, table: Table, split: Split | None = None) -> Prepared:
        """The table as numbers. Nothing is fitted here.

        split: which rows are training rows, between which the policy `linear` may draw lines; without it, and in all other rows,
            gaps are filled from the past only.
        Raises DataError when a column is missing or of another kind than in training, or holds an infinite value.
        """
        self._check(table)
        rows, sequences = kept(table, dropping(self.record.fields, self.record.task))
        steps, whole = self._views(table, split, rows, sequences)
        blocks = {room: _Block() for room in ("inputs", "future", "static")}
        for fitted in self.record.fields:
            if not self.is_answer(fitted):
                blocks[self.room_of(fitted)].add(fitted, steps if fitted.where == "steps" else whole)
        times = steps.frame[table.time]
        if self.record.calendar:
            blocks["future"].names += calendar_names(self.record.calendar)
            blocks["future"].columns.append(calendar_features(times, self.record.calendar))
        if self.record.elapsed is not None:
            gaps = self.record.elapsed.scale(elapsed_steps(steps.place.times, steps.place.rows))
            block = blocks["future" if self.record.task == "forecast" else "inputs"]
            block.names.append(ELAPSED)
            block.columns.append(np.clip(gaps, -CLIP, CLIP)[:, None])
        fading = self._fading(blocks["inputs"].names)
        targets, raw_targets, target_notes = self._targets(
            steps.frame if table.has_step_targets or table.answers_steps else whole.frame
        )
        names = series_ids(table)
        notes = [*_dropped(rows, sequences), *unseen_notes(table, table_rows(table), names)]
        return Prepared(
            inputs=blocks["inputs"].matrix(steps.frame.height),
            future=blocks["future"].matrix(steps.frame.height),
            static=blocks["static"].matrix(whole.frame.height),
            targets=targets,
            raw_targets=raw_targets,
            offsets=steps.place.rows.offsets,
            ids=[names[index] for index in np.flatnonzero(sequences)],
            times=times,
            input_names=blocks["inputs"].names,
            future_names=blocks["future"].names,
            static_names=blocks["static"].names,
            target_names=list(self.record.targets),
            classes=self.classes,
            rows=np.flatnonzero(rows),
            sequences=np.flatnonzero(sequences),
            clock=steps.place.times,
            clock_names=self.record.clock,
            fading=tuple(fading),
            resting=tuple(fading.values()),
            target_zeros=tuple(float(fitted.scale.scale(np.zeros(1))[0]) for fitted in self._target_fields),
            target_means=tuple(fitted.scale.fill for fitted in self._target_fields),
            labels=_labels(table, steps.frame),
            notes=(*notes, *(note for block in blocks.values() for note in block.notes), *target_notes),
        )

    def _fitted(self, name: str) -> FittedField:
        return next(fitted for fitted in self.record.fields if fitted.name == name and fitted.role == "target")

    def is_answer(self, fitted: FittedField) -> bool:
        """Whether a column is asked for and never an input; the target of a forecast is its own history."""
        return fitted.role == "target" and self.record.task != "forecast"

    def _fading(self, names: list[str]) -> dict[tuple[int, int, int], float]:
        """The columns of fields that fade (value, mask, time since), and the number on the model's scale that each fades to."""
        fields = [field for field in self.record.fields if field.fades and field.name in names]
        return {
            (names.index(field.name), names.index(f"{field.name}:observed"), names.index(f"{field.name}:since")): (
                field.scale.fill if field.kind == "boolean" else 0.0
            )
            for field in fields
        }

    def room_of(self, fitted: FittedField) -> str:
        """Where a field stands in `Prepared`: inputs, future or static."""
        if fitted.where == "sequences":
            return "static"
        return "future" if fitted.role == "known_future" and self.record.task == "forecast" else "inputs"

    def _views(self, table: Table, split: Split | None, rows: BoolArray, sequences: BoolArray) -> tuple["_View", "_View"]:
        """The kept steps in their series, and the kept sequences, each a series of its own."""
        in_train = split.rows_of("train") if split is not None else np.zeros(len(rows), dtype=bool)
        grouped = table_rows(table)
        if not (rows.all() and sequences.all()):
            grouped = grouped.only(rows, sequences)
        steps = table.steps if rows.all() else table.steps.filter(pl.Series(rows))
        times = times_in_steps(steps[table.time], grouped, self.record.usual_step)
        borders = None if split is None else Borders.of(split.steps[rows], grouped)
        place = Place(grouped, times, in_train[rows], ~open_rows(table)[rows], borders)
        count = int(sequences.sum())
        nowhere = np.zeros(count, dtype=bool)
        alone = Place(from_lengths(np.ones(count, dtype=np.int64)), np.zeros(count), nowhere, ~nowhere)
        whole = table.sequences if sequences.all() else table.sequences.filter(pl.Series(sequences))
        return _View(steps, place), _View(whole, alone)

    def _targets(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.int64], FloatArray, list[str]]:
        if self.record.task in CLASS_TASKS:
            return self._class_indices(frame)
        none = pl.Series([None] * frame.height, dtype=pl.Float64)
        columns = [
            raw_numbers(fitted.name, fitted.kind, frame[fitted.name] if fitted.name in frame.columns else none)
            for fitted in self._target_fields
        ]
        raw = np.stack(columns, axis=-1)
        return self.scale_targets(raw).astype(np.float32), raw, []

    def _class_indices(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.int64], FloatArray, list[str]]:
        name = self.record.targets[0]
        texts = frame[name].cast(pl.String).to_list() if name in frame.columns else [None] * frame.height
        position = {label: index for index, label in enumerate(self.record.classes)}
        indices = np.array([position.get(text, -1) if text is not None else -1 for text in texts], dtype=np.int64)
        unknown = sorted({text for text in texts if text is not None and text not in position})
        shown = ", ".join(f"'{text}'" for text in unknown[:3])
        notes = (
            [f"'{name}': {len(unknown)} classes were never seen in training ({shown}): they count as unknown."] if unknown else []
        )
        return indices, np.zeros((frame.height, 0)), notes

    def _check(self, table: Table) -> None:
        for fitted in self.record.fields:
            is_answer = self.is_answer(fitted)
            frame = table.steps if fitted.where == "steps" else table.sequences
            if fitted.name not in frame.columns:
                if is_answer:
                    continue
                raise DataError(
                    f"The data has no column '{fitted.name}', which the model was trained with. "
                    f"{nearest(fitted.name, frame.columns)} Give data with the columns of the training data."
                )
            kinds = {known.name: known.kind for known in table.fields}
            if kinds.get(fitted.name, fitted.kind) != fitted.kind:
                raise DataError(
                    f"Column '{fitted.name}' is {kinds[fitted.name]}; in training it was {fitted.kind}. "
                    f"Give it in the form that the training data had."
                )
        if self.record.calendar and not table.steps[table.time].dtype.is_temporal():
            raise DataError(
                f"The data has no time stamps ('{table.time}' is {table.steps[table.time].dtype}); the model was trained with "
                f"{', '.join(self.record.calendar)} as inputs. Give the time column of the training data."
            )


@dataclass(frozen=True)
class _View:
    """One of the two frames of a table, and where its columns stand."""

    frame: pl.DataFrame
    place: Place


@dataclass
class _Block:
    """Columns that end up side by side in one matrix."""

    columns: list[FloatArray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, fitted: FittedField, view: _View) -> None:
        columns, notes = encode(fitted, view.frame[fitted.name], view.place)
        self.columns.append(columns)
        self.names += fitted.names
        self.notes += notes

    def matrix(self, height: int) -> npt.NDArray[np.float32]:
        if not self.columns:
            return np.zeros((height, 0), dtype=np.float32)
        return np.concatenate(self.columns, axis=1, dtype=np.float32)


def _labels(table: Table, steps: pl.DataFrame) -> FloatArray | None:
    field = next((field.name for field in table.named("label") if field.name in steps.columns), None)
    return None if field is None else label_numbers(steps[field])


def _dropped(rows: BoolArray, sequences: BoolArray) -> list[str]:
    notes = []
    if not rows.all():
        notes.append(f"{int((~rows).sum())} of {len(rows)} rows were left out because of missing values (policy 'drop').")
    if not sequences.all():
        notes.append(
            f"{int((~sequences).sum())} of {len(sequences)} series were left out because of missing values (policy 'drop')."
        )
    return notes
