"""The list of commands."""

from typing import Annotated, Any

import typer

from gatework import __version__
from gatework.cli.help import WIDTH, Command, Group
from gatework.cli.info import info
from gatework.cli.look import look
from gatework.cli.results import compare, evaluate, predict, report
from gatework.cli.study import STUDIES
from gatework.cli.train import demo, resume, train

COMMANDS = (demo, look, train, resume, evaluate, predict, report, compare, info)
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}


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


def command() -> Any:
    """The command `gatework` with all its commands."""
    app = typer.Typer(
        cls=Group,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings=SETTINGS,
    )
    app.callback()(gatework)
    for function in COMMANDS:
        app.command(function.__name__, cls=Command, context_settings=SETTINGS)(function)
    app.add_typer(studies(), name="study")
    return typer.main.get_command(app)


def studies() -> typer.Typer:
    """The command `gatework study` with those below it."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True, context_settings=SETTINGS)
    group.callback()(study)
    for function in STUDIES:
        group.command(function.__name__, cls=Command, context_settings=SETTINGS)(function)
    return group


def study() -> None:
    """Train many times: folds, backtests, search and more.

    Each takes DATA and the options of 'gatework train'. Interrupted, it goes on with the same command and --out.
    """
