"""What a history says of over- and underfitting, in one sentence, with the option to try next."""

from dataclasses import dataclass
from typing import Literal

from gatework.report.numbers import percent, short
from gatework.runs import HistoryRow

WIDE_GAP = 0.25
"""Validation loss above the loss on training samples, as a share of the latter, from which the model knows them by heart."""
NARROW_GAP = 0.1
RISEN = 1.02
"""Validation loss at the end over the best one, from which it has risen."""
HARDLY_FELL = 0.95
"""The best validation loss over the first one, above which training brought little."""
STILL_FALLING = 0.99
"""The last validation loss over the one before, below which it was still falling."""


@dataclass(frozen=True)
class Diagnosis:
    """kind: what it is. gap: validation loss over fitted loss at the best epoch, minus 1. sentence: for the reader."""

    kind: Literal["overfitting", "underfitting", "still improving", "memorising", "sound"]
    gap: float
    sentence: str


def diagnose(history: list[HistoryRow]) -> Diagnosis | None:
    """Of a training with at least one finished epoch; None without a best epoch or with losses that are not positive."""
    best = next((row for row in reversed(history) if row.is_best), None)
    if best is None or fitted(best) <= 0:
        return None
    gap = best.validation_loss / fitted(best) - 1
    last, first = history[-1], history[0]
    if best is last and len(history) > 1 and last.validation_loss < STILL_FALLING * history[-2].validation_loss:
        words = "Still improving: the validation loss was falling when training ended. Try more --epochs (or --minutes)."
        return Diagnosis("still improving", gap, words)
    rose = last.validation_loss > RISEN * best.validation_loss and fitted(last) < fitted(best)
    if rose:
        words = (
            f"Overfitting after epoch {best.epoch}: the loss on training samples went on falling while the validation loss rose "
            f"by {percent(last.validation_loss / best.validation_loss - 1)}; the best epoch was kept. Try more --dropout or "
            f"--weight-decay, a smaller --hidden-size, or more data."
        )
        return Diagnosis("overfitting", gap, words)
    if gap > WIDE_GAP:
        words = (
            "The model knows its training samples much better than new ones, though more training did not make it worse. "
            "Try more --dropout, a smaller --hidden-size, or more data."
        )
        return Diagnosis("memorising", gap, words)
    if len(history) > 2 and abs(gap) < NARROW_GAP and best.validation_loss > HARDLY_FELL * first.validation_loss:
        words = (
            "Underfitting, or nothing more to learn: after the first epoch neither loss fell much, and they are close to each "
            "other. Try a longer --window, a larger --hidden-size, a higher --learning-rate, or a further column."
        )
        return Diagnosis("underfitting", gap, words)
    return Diagnosis("sound", gap, "Sound: both losses fell together and flattened out. What is left needs other data.")


def fitted(row: HistoryRow) -> float:
    """The loss on training samples, without dropout where it was measured."""
    return row.train_loss if row.fitted_loss is None else row.fitted_loss


def gap_sentence(history: list[HistoryRow]) -> str:
    """The generalisation gap at the best epoch, in numbers; empty without one."""
    best = next((row for row in reversed(history) if row.is_best), None)
    found = diagnose(history)
    if best is None or found is None:
        return ""
    how = "without dropout on both" if best.fitted_loss is not None else "with dropout on the former"
    side = "above" if found.gap >= 0 else "below"
    return (
        f"The generalisation gap: at epoch {best.epoch} the loss is {short(fitted(best))} on training samples and "
        f"{short(best.validation_loss)} on the validation part, {percent(abs(found.gap))} {side} it ({how})."
    )
