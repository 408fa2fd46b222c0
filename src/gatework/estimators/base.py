"""What the estimators share: options, one training in a folder, the fitted model."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gatework.data.dataset import Dataset
from gatework.errors import InputError
from gatework.estimators.arrays import allows_gaps, check_options
from gatework.estimators.trained import Carried
from gatework.evaluate import Predictor
from gatework.runs import DataPlan, Plan, RunFolder
from gatework.train import Request
from gatework.train.run import finish, make_folder, make_training, new_folder, write_plan
from gatework.train.watch import Silent

OWN_OPTIONS = ("cell", "hidden_size", "epochs", "learning_rate", "horizon", "window", "method", "false_alarms")
"""Parameters of an estimator that are options of a training of the same name."""


class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator that trains a recurrent network.

    run_: the folder of the training, None where none was asked for with `out`. n_iter_: epochs that were trained.
    """

    options: Request | None
    out: str | Path | None
    random_state: object

    def request(self, **more: object) -> Request:
        """The options of the training: `options`, then the parameters that are not None."""
        own = {name: value for name in OWN_OPTIONS if (value := getattr(self, name, None)) is not None}
        if isinstance(own.get("false_alarms"), int | float):
            own["false_alarms"] = str(own["false_alarms"])  # a share of the steps
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        check_options(self.options)
        base = self.options if self.options is not None else Request()
        task = more.get("task")
        if base.task is not None and task is not None and base.task != task:
            raise InputError(
                f"options has task='{base.task}', and {type(self).__name__} is one of task='{task}'. Expected no task in "
                f"options. Leave it out, or use the estimator of that task."
            )
        return Request.model_validate({**base.said(), **own, "seed": int(seed), **more})

    def train(self, plan: Plan, dataset: Dataset, data: DataPlan) -> Self:
        """One training, kept in memory; on disk where `out` says so."""
        started = time.perf_counter()
        with self._folder(data) as folder:
            training = make_training(plan, dataset, folder, Silent())
            make_folder(folder)
            write_plan(plan, dataset, folder, command="")
            finish(plan, dataset, training, folder, started)
            self._carried = Carried(folder)
            self.run_ = None if self.out is None else folder
            self.n_iter_ = len(folder.read_history())
        return self

    @contextmanager
    def _folder(self, data: DataPlan) -> Iterator[RunFolder]:
        if self.out is not None:
            yield new_folder(self.out, None, data)
            return
        with tempfile.TemporaryDirectory() as path:
            yield RunFolder(Path(path) / "run")

    def predictor(self) -> Predictor:
        """The fitted model; NotFittedError before fit."""
        check_is_fitted(self, "_carried")
        carried: Carried = self._carried
        return carried.predictor()

    def save_run(self, path: str | Path) -> RunFolder:
        """Writes the training as a run folder, for `gatework predict` and the other commands."""
        check_is_fitted(self, "_carried")
        carried: Carried = self._carried
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"'{folder}' is not empty. Expected a place for a run folder. Give another path.")
        return carried.write(folder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = allows_gaps(self.options)
        return tags
