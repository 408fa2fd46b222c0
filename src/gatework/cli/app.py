"""The list of commands. A command is read when it is asked for: help must be there at once."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer

from gatework import __version__
from gatework.cli.help import WIDTH, Command, Group

COMMANDS = {
    "demo": ("train", "Train on real data that ships with gatework: a minute or two."),
    "look": ("look", "Show what gatework sees in your data; nothing is trained."),
    "train": ("train", "Train a model on your data, score it, write a report."),
    "resume": ("train", "Finish an interrupted training, then score it as train does."),
    "evaluate": ("results", "Score a run beside its baselines, or on other data."),
    "predict": ("results", "Predict with a trained run."),
    "report": ("results", "Write the report of a run again."),
    "compare": ("results", "Put the scores of several runs side by side."),
    "info": ("info", "Show this machine, or one cell with its equations."),
    "study": ("", "Train many times: folds, backtests, search and more."),
}
"""By name: the module of this room that holds the command (none: a group below), and the first line of its help."""

STUDIES = {
    "backtest": ("study", "Forecast at several moments of the past, each time from what was known then."),
    "folds": ("study", "Test on every part of the data once, and compare configurations in pairs."),
    "search": ("study", "Search for the best options, by the validation part alone; then judge them once."),
    "curve": ("study", "Train on more and more data: how much does the question need?"),
    "sweep": ("study", "Change one option at a time: does the model over- or underfit?"),
    "seeds": ("study", "Train with several seeds and predict with the mean of all."),
}
"""The same, below 'gatework study'."""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}


class Commands(Mapping[str, Any]):
    """Commands by name, each made when it is looked up."""

    def __init__(self, listed: Mapping[str, tuple[str, str]]) -> None:
        self.listed = listed

    def __getitem__(self, name: str) -> Any:
        module, _ = self.listed[name]
        if not module:
            return group(study, STUDIES)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        function = getattr(import_module(f"gatework.cli.{module}"), name)
        alone.command(name, cls=Command, context_settings=SETTINGS)(function)
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(self.listed)

    def __len__(self) -> int:
        return len(self.listed)


class LazyGroup(Group):
    """A group that shows the first lines of its commands without making them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.commands.listed.items()])  # type: ignore[attr-defined]


def show_version(wanted: bool) -> None:
    """Print the version and end, before anything else is looked at."""
    if wanted:
        typer.echo(f"gatework {__version__}")
        raise typer.Exit


def gatework(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Train an LSTM on your own sequences, and see whether it is worth it.

    First:  gatework demo                          a minute on real data
    Then:   gatework look data.csv                 what is in your file
            gatework train data.csv --target load  a model, a table, a report

    Each command explains itself: gatework train --help
    """


def study() -> None:
    """Train many times: folds, backtests, search and more.

    Each takes DATA and the options of 'gatework train'. Interrupted, it goes on with
    the same command and --out.
    """


def group(about: Any, listed: Mapping[str, tuple[str, str]]) -> Any:
    """The function `about` as a group of the commands `listed`."""
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings=SETTINGS,
    )
    app.callback()(about)
    made = typer.main.get_command(app)
    made.commands = Commands(listed)  # type: ignore[attr-defined]
    return made


def command() -> Any:
    """The command `gatework` with all its commands."""
    return group(gatework, COMMANDS)
