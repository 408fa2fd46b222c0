"""How the training went: in words first, then as a picture."""

from gatework.report.diagnosis import diagnose, gap_sentence
from gatework.report.markup import Html, join
from gatework.report.numbers import counted, duration, percent, short
from gatework.report.section import Ingredients, paragraph
from gatework.report.training_figure import is_early_stopped
from gatework.runs import HistoryRow

OFTEN_CLIPPED = 0.2


def write_training(given: Ingredients) -> Html:
    """The training in words and its curves."""
    material, glossary = given.material, given.glossary
    if not material.history or given.training is None:
        return paragraph(glossary, "No epoch has been finished yet. Continue the training with 'gatework resume'.")
    sentences = [how_it_ended(given), *_what_it_shows(material.history)]
    last = material.history[-1]
    memory = _memory_words(last, material.plan.window)
    paragraphs = [paragraph(glossary, " ".join(sentences))]
    if memory:
        paragraphs.append(paragraph(glossary, memory))
    return join([*paragraphs, given.training.html(glossary)])


def how_it_ended(given: Ingredients) -> str:
    """Why the training ended where it did, and which weights were kept."""
    material = given.material
    training, history, best = material.plan.training, material.history, material.best_row
    took = f"{counted(len(history), 'epoch')} in {duration(history[-1].elapsed_s)}"
    patience = counted(training.patience, "epoch")
    if is_early_stopped(history, training):
        ended = f"Training stopped early after {took}: the validation loss had not improved for {patience}."
    elif len(history) >= training.epochs:
        ended = f"Training ran for all of its {took}."
    elif training.minutes is not None and history[-1].elapsed_s >= 0.8 * 60 * training.minutes:
        ended = f"Training ended after {took}, at its limit of {training.minutes:g} min."
    else:
        ended = f"Training has run for {took} of at most {training.epochs} epochs."
    if best is None:
        return ended
    kept = (
        f" The weights of epoch {best.epoch} were kept, the one with the lowest validation loss ({short(best.validation_loss)})."
    )
    return ended + kept


def _what_it_shows(history: list[HistoryRow]) -> list[str]:
    found = diagnose(history)
    sentences = [gap_sentence(history), found.sentence] if found is not None else []
    clipped = sum(row.clip_rate for row in history) / len(history)
    if clipped > OFTEN_CLIPPED:
        sentences.append(
            f"{percent(clipped)} of the steps were clipped, which is often; a lower learning rate makes training calmer."
        )
    return sentences


def _memory_words(last: HistoryRow, window: int) -> str:
    said: list[str] = []
    if last.reach_steps is not None:
        of_window = f" of a window of {counted(window, 'step')}" if window else ""
        said.append(f"At the end the reach was {counted(last.reach_steps, 'step')}{of_window}.")
    if last.saturated_share is not None:
        said.append(f"{percent(last.saturated_share)} of the values were those of saturated gates.")
    if last.dead_units is not None:
        said.append(
            "There were no dead units." if last.dead_units == 0 else f"There were {counted(last.dead_units, 'dead unit')}."
        )
    return " ".join(said)
