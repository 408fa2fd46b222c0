"""Over- and underfitting told from made-up histories; the loss on training samples measured as the validation loss is."""

import math
from pathlib import Path

import numpy as np
import pytest

from gatework.report.diagnosis import diagnose, gap_sentence
from gatework.runs import HistoryRow
from small_runs import QUICK, trained, waves


def history(fitted: list[float], validation: list[float]) -> list[HistoryRow]:
    """Epochs with these losses; the training loss, with dropout on, is always higher."""
    best = int(np.argmin(validation))
    return [
        HistoryRow(
            epoch=number + 1, train_loss=1.3 * ours, fitted_loss=ours, validation_loss=theirs, learning_rate=1e-3,
            gradient_norm=1.0, clip_rate=0.0, is_best=theirs == min(validation[: number + 1]) and number <= best, elapsed_s=1.0,
        )
        for number, (ours, theirs) in enumerate(zip(fitted, validation, strict=True))
    ]  # fmt: skip


CASES = {
    "overfitting": ([1.0, 0.7, 0.5, 0.3, 0.2], [1.0, 0.8, 0.7, 0.75, 0.9], "--dropout"),
    "memorising": ([1.0, 0.5, 0.3, 0.3], [1.0, 0.8, 0.7, 0.705], "more data"),
    "underfitting": ([1.0, 0.99, 0.99, 0.99], [1.02, 1.0, 0.995, 1.0], "--window"),
    "still improving": ([1.0, 0.8, 0.6, 0.5], [1.0, 0.8, 0.65, 0.55], "--epochs"),
    "sound": ([1.0, 0.6, 0.5, 0.49, 0.49], [1.0, 0.65, 0.55, 0.545, 0.546], "flattened"),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_history_is_told_for_what_it_is_with_the_option_to_try(kind: str) -> None:
    ours, theirs, option = CASES[kind]
    found = diagnose(history(ours, theirs))
    assert found.kind == kind
    assert option in found.sentence


def test_the_gap_is_that_of_the_best_epoch_without_dropout_on_both() -> None:
    rows = history([1.0, 0.5, 0.4], [1.0, 0.6, 0.7])
    assert diagnose(rows).gap == pytest.approx(0.2)
    assert "0.500 on training samples and 0.600 on the validation part, 20" in gap_sentence(rows)
    assert "without dropout on both" in gap_sentence(rows)
    older = [row.model_copy(update={"fitted_loss": None}) for row in rows]
    assert diagnose(older).gap == pytest.approx(0.6 / 0.65 - 1)
    assert "with dropout on the former" in gap_sentence(older)
    assert diagnose([]) is None


def test_dropout_raises_the_training_loss_and_not_the_fitted_one(tmp_path: Path) -> None:
    request = QUICK.model_copy(update={"dropout": 0.8, "epochs": 3, "learning_rate": 1e-3})
    rows = trained(waves(300), request, tmp_path / "run").read_history()
    assert all(row.fitted_loss is not None and math.isfinite(row.fitted_loss) for row in rows)
    assert rows[-1].fitted_loss < rows[-1].train_loss


def test_a_history_of_an_older_run_is_read() -> None:
    row = history([1.0], [1.0])[0]
    old = row.model_dump_json(exclude={"fitted_loss"})
    assert HistoryRow.model_validate_json(old).fitted_loss is None
