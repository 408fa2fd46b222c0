"""The options of the studies: what each takes besides DATA and the options of a training."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class StudyOption:
    """One option.

    name: as in Python. metavar: what stands for its value in the help. text: the help. left_out: what leaving it out means, in
    words. default: its value then. form: `text`, `list` (may be repeated), `path` or `flag`. is_kept: whether it belongs to the
    command that goes on with an interrupted study.
    """

    name: str
    metavar: str
    text: str
    left_out: str = ""
    default: str | bool | None = None
    form: str = "text"
    is_kept: bool = True


AGAINST = StudyOption(
    "against", "OPTIONS", "A further configuration: cell=gru,hidden_size=64 or a TOML file; may be repeated.", "none", form="list"
)

OWN: dict[str, tuple[StudyOption, ...]] = {
    "backtest": (
        StudyOption("windows", "N", "How many moments of the past.", "5", "5"),
        StudyOption("scheme", "SCHEME", "expanding: trained on all before; sliding: on as many steps.", "expanding", "expanding"),
        StudyOption("step", "STEPS", "Steps from one moment to the next.", "half of the data / N"),
        StudyOption("refit_every", "N", "A new model at every so many moments; never: the first for all.", "1", "1"),
        AGAINST,
    ),
    "folds": (
        StudyOption("k", "K", "How many folds.", "5", "5"),
        StudyOption("by", "WAY", "blocked (in time), group or stratified.", "inferred from the task"),
        StudyOption("embargo", "STEPS", "Blocked: steps behind a test stretch that are not trained on.", "0", "0"),
        AGAINST,
    ),
    "search": (
        StudyOption("trials", "N", "At most so many trials.", "30", "30"),
        StudyOption("budget", "MINUTES", "No new trial after so many minutes.", "none"),
        StudyOption("space", "FILE", "What may be chosen, as TOML.", "usual ranges of the task"),
        StudyOption("storage", "URL", "A database for the trials.", "a journal in the folder"),
        StudyOption("no_prune", "", "Let every trial run to its end.", default=False, form="flag"),
    ),
    "curve": (
        StudyOption("shares", "SHARES", "Shares of the training part.", "0.1,0.2,0.4,0.7,1", "0.1,0.2,0.4,0.7,1"),
        StudyOption("seeds", "N", "Trainings of each share.", "3", "3"),
    ),
    "sweep": (
        StudyOption(
            "option",
            "OPTION",
            "What to change: dropout, or dropout=0,0.2,0.5; may be repeated.",
            "dropout, weight_decay, hidden_size",
            form="list",
        ),
    ),
    "seeds": (StudyOption("members", "N", "How many trainings.", "5", "5"),),
}
"""By study, in the order of the help."""

COMMON = (
    StudyOption("config", "FILE", "Options from a TOML file; those typed here win.", "none", form="path", is_kept=False),
    StudyOption("out", "STUDY", "The folder to make, or to go on with.", "runs/DATA-TARGET-KIND", form="path", is_kept=False),
    StudyOption("processes", "K", "So many trainings at a time, in processes of their own.", "1", "1"),
    StudyOption("quiet", "", "Print the tables only.", default=False, form="flag", is_kept=False),
    StudyOption("no_report", "", "Write no study.html.", default=False, form="flag", is_kept=False),
)
"""What all studies take."""

TYPES: dict[str, object] = {"text": str | None, "list": list[str] | None, "path": Path | None, "flag": bool}


def parameter_of_study(option: StudyOption) -> inspect.Parameter:
    """One option as typer reads it from a signature."""
    declared = typer.Option(
        f"--{option.name.replace('_', '-')}",
        metavar=option.metavar or None,
        help=f"{option.text} [{option.left_out}]" if option.left_out else option.text,
        show_default=False,
    )
    typed: object = TYPES[option.form]
    annotation = Annotated[typed, declared]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation)
