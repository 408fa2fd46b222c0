"""A plan in words: the data, what is asked of it, and every choice that was made for the user, with its reason."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gatework.cli import show
from gatework.report.numbers import counted, time_span, whole
from gatework.runs import STEP_TASKS

if TYPE_CHECKING:
    from gatework.data.dataset import Dataset
    from gatework.runs import Plan

OTHER_OPTIONS = {"ignored": "ignore", "variables": "variable", "kinds": "kind"}
"""Choices whose option has another name."""


def show_plan(plan: "Plan", dataset: "Dataset") -> None:
    """What will be trained, and the reason for each choice that was not the user's."""
    show.heading("Plan")
    show.pairs(
        [
            ("data", data_in_words(dataset)),
            ("task", task_in_words(plan, dataset)),
            ("inputs", inputs_in_words(plan)),
            ("split", split_in_words(dataset)),
            ("network", network_in_words(plan)),
        ]
    )
    show_reasons(plan.reasons)


def show_reasons(reasons: Mapping[str, str]) -> None:
    """One line for each inferred choice; the kinds of the columns are left to `gatework look`."""
    rows = [(option_of(name, reason), reason) for name, reason in reasons.items() if not name.startswith("kinds.")]
    if rows:
        show.heading("Decided for you (the options of these names change it)")
        show.pairs(rows)


def option_of(name: str, reason: str) -> str:
    """The option that changes a choice, without its dashes."""
    if name == "split":
        return "split-column" if reason.casefold().startswith("column") else "split-by"
    start = name.partition(".")[0]
    return OTHER_OPTIONS.get(start, start.replace("_", "-"))


def data_in_words(dataset: "Dataset") -> str:
    """How much data there is, and how far its time goes."""
    from gatework.data.table import STEP

    table = dataset.table
    words = f"{counted(table.steps.height, 'step')} in {counted(table.sequences.height, 'series', 'series')}"
    if table.steps.height and table.time != STEP:
        times = table.steps.get_column(table.time)
        words += f", {table.time} from {times.min()!s} to {times.max()!s}"
    return words


def task_in_words(plan: "Plan", dataset: "Dataset") -> str:
    """What is predicted."""
    from gatework.train.plan import step_seconds

    targets = ", ".join(plan.data.targets)
    if plan.data.task == "forecast":
        step_s = step_seconds(dataset.table)

        def steps(number: int) -> str:
            span = f" ({time_span(number * step_s)})" if step_s else ""
            return f"{counted(number, 'step')}{span}"

        return f"forecast {targets}, {steps(plan.horizon)} ahead, from the last {steps(plan.window)}"
    if plan.anomaly is not None:
        expected = "a forecast" if plan.anomaly.method == "forecast" else "a reconstruction"
        return f"anomaly: {targets}, each step beside {expected} of it; at most {plan.anomaly.false_alarms} false alarms"
    if plan.data.task == "classify":
        return f"classify by {targets}: {counted(len(dataset.prepared.classes), 'class', 'classes')}"
    if plan.data.task in STEP_TASKS:
        seen = "all steps of its sequence" if plan.model.bidirectional else "that step and those before it"
        if plan.data.task == "classify_steps":
            classes = counted(len(dataset.prepared.classes), "class", "classes")
            return f"classify each step by {targets}: {classes}, from {seen}"
        return f"regress {targets}: one number for each step, from {seen}"
    return f"regress {targets}: one number for each series"


def inputs_in_words(plan: "Plan") -> str:
    """Which columns go in, and how."""
    from gatework.runs import HISTORY_TASKS

    titles = {"past": "past", "known_future": "known over the horizon", "static": "one value a series"}
    parts = []
    for role, title in titles.items():
        names = [field.name for field in plan.data.fields if field.role == role]
        if names:
            parts.append(f"{listed(names)} ({title})" if plan.data.task in HISTORY_TASKS or role == "static" else listed(names))
    if plan.data.task in HISTORY_TASKS:
        parts.insert(0, f"{listed(plan.data.targets)} itself" if len(plan.data.targets) == 1 else "the targets themselves")
    return "; ".join(parts) or "none"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names with commas; a long list is cut, and says so."""
    known = list(names)
    return ", ".join(known) if len(known) <= most else f"{', '.join(known[:most])} and {len(known) - most} more"


def split_in_words(dataset: "Dataset") -> str:
    """How much is for what."""
    record = dataset.split.record
    unit = "" if record.sequences else " steps"
    counts = ", ".join(f"{part} {whole(count)}{unit}" for part, count in record.counts.items())
    starts = "".join(
        f"; {part} from {start.replace('T', ' ').removesuffix('.000000')}" for part, start in record.boundaries.items()
    )
    return f"by {record.kind}: {counts}{starts}"


def network_in_words(plan: "Plan") -> str:
    """Layers and training in one line."""
    model, training = plan.model, plan.training
    words = f"{model.cell}, {counted(model.num_layers, 'layer')} of {counted(model.hidden_size, 'unit')}"
    words += ", both directions" if model.bidirectional else ""
    limit = f", at most {training.minutes:g} min" if training.minutes else ""
    return f"{words}; at most {counted(training.epochs, 'epoch')} of batches of {training.batch_size}{limit}"
