"""Classifier and Regressor: one answer for each whole sequence."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_array, column_or_1d

from gatework.data.layout import build_table
from gatework.data.samples import SequenceSamples
from gatework.data.split import PARTS, Split
from gatework.data.split_by_sequence import divide_stratified
from gatework.data.table import Missing, Table
from gatework.errors import InputError
from gatework.estimators.arrays import SERIES, Sequences, allows_gaps, as_sequences
from gatework.estimators.base import SequenceEstimator
from gatework.estimators.coverage import check_coverage
from gatework.model import network_outputs
from gatework.runs import DataPlan, FieldPlan, SplitPlan, SplitRecord, TaskName
from gatework.train import Request
from gatework.train.plan import make_plan
from gatework.train.planning import divide

FloatArray = npt.NDArray[np.float64]

VALIDATION_SHARE = 0.15
"""Of the sequences given to fit, for the moment at which training stops."""


class OneAnswer(SequenceEstimator):
    """What Classifier and Regressor share."""

    task: TaskName

    def _fit(self, sequences: Sequences, answers: npt.NDArray[Any], weights: FloatArray | None) -> Self:
        """answers: (num_sequences, targets), texts of classes or numbers."""
        request = self.request(task=self.task, **self._more())
        names = [f"y{number}" for number in range(answers.shape[1])]
        data = data_plan(self.task, sequences, names, request)
        labels = pl.DataFrame({SERIES: np.arange(len(sequences)), **{name: answers[:, i] for i, name in enumerate(names)}})
        table = build_table(sequences.frame(), data, labels)
        plan = make_plan(request, data, table, {})
        split = without_test(table, plan.split, request)
        dataset = divide(plan, table, split, parts=("train", "validation"))
        if weights is not None:
            own = weights[dataset.prepared.sequences].astype(np.float32)
            dataset = replace(dataset, prepared=replace(dataset.prepared, weights=own))
        return self.train(plan, dataset, data)

    def _more(self) -> dict[str, object]:
        """Further options that follow from the parameters."""
        return {}

    def _decoded(self, X: object) -> FloatArray:
        """The model's answers to sequences: probabilities or numbers."""
        outputs, _ = self._outputs(X)
        trained = self.predictor().trained
        return np.asarray(trained.task.decode(outputs, trained.preparation))

    def _outputs(self, X: object) -> tuple[npt.NDArray[Any], SequenceSamples]:
        """What the network gives for sequences, and these as it read them."""
        trained = self.predictor().trained
        sequences = as_sequences(self, X, reset=False, allow_gaps=allows_gaps(self.options))
        labels = pl.DataFrame({SERIES: np.arange(len(sequences))})
        table = build_table(sequences.frame(), trained.plan.data, labels, targets_required=False, is_new=True)
        prepared = trained.preparation.apply(table, Split.all_test(table))
        samples = SequenceSamples(prepared, None, "test")
        return network_outputs(trained.network, samples), samples


class Classifier(ClassifierMixin, OneAnswer):  # type: ignore[misc]
    """One class for each whole sequence, by recurrent layers.

    cell: see `gatework info`. hidden_size, epochs, learning_rate: None: inferred. class_weight: None, "balanced", or a number for
    each class. random_state: of everything random. options: any other option of a training, as a Request. out: a folder for the
    run, which is then kept on disk.
    classes_: (num_classes,). n_features_in_: channels, or columns where X has two axes. n_iter_: epochs. run_: see `out`.
    """

    task: TaskName = "classify"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        class_weight: Literal["balanced"] | dict[Any, float] | None = None,
        random_state: object = 0,
        options: Request | None = None,
        out: str | Path | None = None,
    ):
        self.cell = cell
        self.hidden_size = hidden_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.random_state = random_state
        self.options = options
        self.out = out

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Train on sequences and their classes.

        X: a list of arrays (steps, channels), an array (num_sequences, steps, channels), a Ragged, or rows; see
            `estimators.arrays`. y: (num_sequences,) classes of any type. sample_weight: (num_sequences,) how much each counts.
        Raises InputError (a ValueError) for arrays that do not fit together, fewer than two classes, or NaN.
        """
        sequences = as_sequences(self, X, reset=True, allow_gaps=allows_gaps(self.options))
        answers = checked_answers(y, len(sequences))
        check_classification_targets(answers)
        self.classes_, codes = np.unique(column_or_1d(answers, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"y holds one class only ({self.classes_[0]!r}). Expected at least two classes, or there is nothing to learn. "
                f"Give sequences of further classes."
            )
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, answers)
        return self._fit(sequences, codes.astype(str)[:, None], self._weighted(codes, weights))

    def _more(self) -> dict[str, object]:
        """All classes count alike unless it was said how else: here, or in the options."""
        asked = isinstance(self.options, Request) and self.options.class_weights is not None
        return {} if asked else {"class_weights": "none"}

    def predict_proba(self, X: object) -> FloatArray:
        """(num_sequences, num_classes), in the order of `classes_`."""
        given = self._decoded(X)  # NotFittedError before fit
        probabilities = np.zeros((len(given), len(self.classes_)))
        places = [int(code) for code in self.predictor().trained.preparation.classes]
        probabilities[:, places] = given
        return probabilities

    def predict(self, X: object) -> npt.NDArray[Any]:
        """(num_sequences,) the most probable class."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _weighted(self, codes: npt.NDArray[np.int64], weights: FloatArray | None) -> FloatArray | None:
        """The weights of the sequences times those of their classes, 1 on average; None where all count alike."""
        if self.class_weight is None and weights is None:
            return None
        total = np.ones(len(codes)) if weights is None else weights.copy()
        total *= class_weights(self.class_weight, self.classes_, codes)[codes]
        if weights is not None and (weights < 0).any():
            raise InputError(
                f"sample_weight has {weights.min():g} for sequence {int(weights.argmin())}. Expected weights of 0 or more: how "
                f"much a sequence counts. Correct sample_weight; 0 leaves a sequence out of the loss."
            )
        if not total.sum() > 0:
            raise InputError("The weights of all sequences are zero. Expected some above zero. Correct sample_weight.")
        return np.asarray(total / total.mean())


class Regressor(RegressorMixin, OneAnswer):  # type: ignore[misc]
    """One number, or several, for each whole sequence, by recurrent layers; the parameters are those of Classifier."""

    task: TaskName = "regress"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        random_state: object = 0,
        options: Request | None = None,
        out: str | Path | None = None,
    ):
        self.cell = cell
        self.hidden_size = hidden_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.options = options
        self.out = out

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Train on sequences and their numbers.

        X: as for Classifier. y: (num_sequences,) or (num_sequences, targets). sample_weight: (num_sequences,) how much each
            counts.
        Raises InputError (a ValueError) for arrays that do not fit together, NaN, or a constant y.
        """
        sequences = as_sequences(self, X, reset=True, allow_gaps=allows_gaps(self.options))
        answers = checked_answers(y, len(sequences), numbers=True)
        self._is_flat = answers.ndim == 1
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, answers)
        if weights is not None:
            weights = weights / weights.mean()
        return self._fit(sequences, answers.reshape(len(answers), -1).astype(np.float64), weights)

    def predict(self, X: object) -> FloatArray:
        """(num_sequences,) or (num_sequences, targets), as y was."""
        return self._formed(self._decoded(X))

    def predict_interval(self, X: object, *, coverage: float = 0.8) -> tuple[FloatArray, FloatArray]:
        """Between which values the truth will lie, in `coverage` of cases.

        Calibrated on the errors at the sequences that were held back in fit (split conformal prediction, see
        `tasks.conformal`). coverage: 0.8 or 0.95, or one of `options=Request(intervals=…)`.
        Returns two arrays, lower and upper, each in the form of predict; where so few errors are known that a range has no end,
        -inf and inf. Raises InputError where the fitted regressor carries no such range, with the option that gives it.
        """
        trained = self.predictor().trained
        check_coverage(trained, coverage)
        outputs, samples = self._outputs(X)
        ranges = trained.task.ranges(outputs, samples, trained.preparation, trained.calibration)
        assert ranges is not None
        ends = ranges.ends[:, 0, :, ranges.intervals.index(coverage)]
        return self._formed(ends[..., 0]), self._formed(ends[..., 1])

    def _formed(self, values: FloatArray) -> FloatArray:
        """(num_sequences, targets) in the form that y had."""
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def checked_answers(y: object, count: int, numbers: bool = False) -> npt.NDArray[Any]:
    """y as an array of as many answers as there are sequences."""
    if y is None:
        raise InputError(
            "y is None; this estimator requires y to be passed, but the target y is None. Give one answer a sequence."
        )
    checked = {"ensure_2d": False, "dtype": np.float64 if numbers else None, "input_name": "y"}
    answers = np.asarray(check_array(y, **checked))
    if len(answers) != count:
        raise InputError(
            f"y has {len(answers)} answers for {count} sequences: inconsistent numbers of samples. Expected one for each. "
            f"Check how X and y were made."
        )
    return answers


def class_weights(asked: str | dict[Any, float] | None, classes: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> FloatArray:
    """(num_classes,) how much a sequence of each class counts; "balanced": each class as much as any other."""
    if asked is None:
        return np.ones(len(classes))
    if asked == "balanced":
        return len(codes) / (len(classes) * np.bincount(codes, minlength=len(classes)))
    if not isinstance(asked, dict) or set(asked) - set(classes.tolist()):
        raise InputError(
            f"class_weight is {asked!r}; expected None, 'balanced', or a number for classes among {classes.tolist()}. "
            f"Correct the classes."
        )
    return np.array([float(asked.get(label, 1.0)) for label in classes.tolist()])


def data_plan(task: TaskName, sequences: Sequences, targets: list[str], request: Request) -> DataPlan:
    """What the columns of the arrays are."""
    fields = [FieldPlan(name=SERIES, kind="categorical", role="series")]
    asked = request.missing if isinstance(request.missing, str) else "previous"
    missing: Missing = "mask" if asked == "auto" else asked
    fields += [
        FieldPlan(name=name, kind="numeric", role="past", missing=missing, constant=request.constant)
        for name in sequences.columns
    ]
    kind: Literal["categorical", "numeric"] = "categorical" if task == "classify" else "numeric"
    fields += [FieldPlan(name=name, kind=kind, role="target") for name in targets]
    return DataPlan(task=task, targets=tuple(targets), series=SERIES, fields=tuple(fields))


def without_test(table: Table, plan: SplitPlan, request: Request) -> Split:
    """A share of the sequences validates, the others train, none tests: that is for whoever holds them back from fit."""
    share = VALIDATION_SHARE if request.validation_share is None else request.validation_share
    asked = plan.model_copy(update={"kind": "stratified", "validation": share})
    everything = np.ones(table.sequences.height, dtype=bool)
    parts, notes = divide_stratified(table, asked, everything, 0.0)
    if not (parts == 1).any():
        raise InputError(
            f"None of the {len(parts)} sequences can be held back to stop the training by: each class has 1 sample. "
            f"Expected a class with two sequences or more. Give more sequences."
        )
    ids = [str(value) for value in table.sequences[table.series].to_list()]
    record = SplitRecord(
        kind="stratified",
        seed=plan.seed,
        sequences={part: tuple(ids[i] for i in np.flatnonzero(parts == code)) for code, part in enumerate(PARTS)},
        counts={part: int((parts == code).sum()) for code, part in enumerate(PARTS)},
        notes=tuple(notes),
    )
    rows = parts[table.steps[table.series].to_numpy()]
    return Split("stratified", rows, parts, record)
