"""What a history says in words: vanishing and exploding gradients, overfitting, a training cut short; each with its remedy."""

from collections.abc import Sequence

from gatework.runs import HistoryRow, Plan

SHORT_REACH = 0.5
"""Share of the window below which the reach is called short. Weather or load rarely needs all of a window, so a reach a little
below it is normal; one below half means that half of the computation is spent on steps without influence."""

OFTEN_CLIPPED = 0.2
"""Share of clipped steps above which the gradient is called exploding, once warm-up is over."""

MANY_DEAD = 0.25
"""Share of dead units above which the network is called too large."""


def warnings_in_words(plan: Plan, history: Sequence[HistoryRow]) -> tuple[str, ...]:
    """One sentence per finding, naming the remedy; empty when there is nothing to say."""
    if not history:
        return ()
    best = min(history, key=lambda row: row.validation_loss)
    found = [reach_warning(plan, best), clip_warning(plan, history), dead_warning(plan, best), fit_warning(history, best)]
    return tuple(sentence for sentence in found if sentence)


def reach_warning(plan: Plan, row: HistoryRow) -> str:
    """Gradients that vanish before the beginning of the window."""
    if row.reach_steps is None or not plan.window or plan.piece or row.reach_steps >= SHORT_REACH * plan.window:
        return ""
    return (
        f"Gradients vanish: the forecast depends on the last {row.reach_steps} of {plan.window} steps (99 % of the gradient). If "
        f"older steps matter, train longer or try --cell gru; if not, --window {max(1, row.reach_steps)} is as good and faster."
    )


def clip_warning(plan: Plan, history: Sequence[HistoryRow]) -> str:
    """Gradients that keep being cut after the warm-up."""
    later = history[len(history) // 5 :]
    rate = sum(row.clip_rate for row in later) / len(later)
    if rate <= OFTEN_CLIPPED:
        return ""
    return (
        f"Gradients explode: {rate:.0%} of the steps were clipped at norm {plan.training.clip_norm:g}. "
        f"Lower the learning rate: --learning-rate {plan.training.learning_rate / 3:.1g}."
    )


def dead_warning(plan: Plan, row: HistoryRow) -> str:
    """Units whose output hardly moves."""
    units = plan.model.hidden_size * (2 if plan.model.bidirectional else 1)
    if row.dead_units is None or row.dead_units <= MANY_DEAD * units:
        return ""
    return (
        f"{row.dead_units} of {units} units hardly move. The network is larger than the data needs: "
        f"--hidden-size {max(8, plan.model.hidden_size // 2)}."
    )


def fit_warning(history: Sequence[HistoryRow], best: HistoryRow) -> str:
    """A best epoch that is the very first or the very last."""
    if len(history) >= 3 and best.epoch == 1:
        return (
            "The first epoch was the best: the network overfits at once. "
            "Try more --dropout, a smaller --hidden-size or more data."
        )
    if len(history) >= 3 and best.epoch == history[-1].epoch and best.validation_loss < 0.98 * history[-2].validation_loss:
        return "The validation loss was still falling at the end: more --epochs would help."
    return ""
