"""The command line: one function per command, which parses, calls and prints. `main` turns errors into words and exit codes.

    app.py              the list of commands
    request_options.py  the options that say what is wanted
    train.py            train, resume, demo
    look.py             look
    results.py          evaluate, predict, report, compare
    study.py            study backtest, folds, search, curve, sweep, seeds
    info.py             info
    plan.py             a plan in words
    estimate.py         how long a training would take
    evaluation.py       an evaluation as a table
    help.py, show.py    how help and everything else is written

Exit codes: 0 done; 2 wrong input, with a message; 130 interrupted; 1 a bug of ours, with a traceback.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from gatework.errors import GateworkError, nearest

PACKAGES_OF_APP = {"typer", "rich", "polars", "narwhals", "pydantic", "pydantic_core", "sklearn", "matplotlib"}
INTERRUPTED, OUTPUT_CLOSED = 130, 141
"""Exit codes as shells give them to a program that was stopped by Ctrl-C, or whose reader went away."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` are the words after `gatework`, by default those of this process."""
    from gatework.cli import show

    show.make_output_safe()
    try:
        code = run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except GateworkError as error:
        show.complain(str(error))
        return 2
    except KeyboardInterrupt:
        show.aside("\nInterrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES_OF_APP:
            return report_bug()
        show.complain(
            f"The package '{error.name}' is not installed. The command line needs the extra 'app'. "
            f'Install it: pip install "gatework[app]"'
        )
        return 2
    except Exception:  # noqa: BLE001 - whatever else it is, it is our bug: shown whole
        return report_bug()


def run(arguments: list[str]) -> int:
    """One command; errors pass through, wrong usage is put into words."""
    import typer

    from gatework.cli.app import command
    from gatework.cli.show import complain

    usage_error = typer.BadParameter.__mro__[1]  # typer does not export the class that all wrong usage has in common
    try:
        code = command().main(args=arguments, prog_name="gatework", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # typer ends the process itself when the reader of the output went away
        raise BrokenPipeError from None
    except Exception as error:
        if not isinstance(error, usage_error):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(f"{error}\n")
            return 0
        complain(in_words(error))
        return 2
    return code if isinstance(code, int) else 0


def in_words(error: object) -> str:
    """Wrong usage: what was given, what is expected, where to look."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "gatework"
    option = getattr(error, "option_name", None)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if type(error).__name__ == "NoSuchOption" and option and context:
        known = [
            name for parameter in context.command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
        ]
        hint = nearest(option, [name for name in known if name.startswith("--")])
        message = f"There is no option '{option}'. {hint if hint.startswith('Did') else f'Expected an option of {path!r}.'}"
    elif message.startswith("No such command"):
        word = message.split("'")[1]
        message = f"There is no command '{word}'. {nearest(word, context.command.commands) if context else ''}"
    elif message.startswith("Missing argument"):
        message = f"{message.rstrip('.')}: it comes first, before the options."
    return f"{message.rstrip()} See: {path} --help"


def report_bug() -> int:
    """The traceback of an error that should not have happened, and what to do about it."""
    traceback.print_exc()
    sys.stderr.write(
        "\nThis is a bug in gatework, not in your data. Please report it with the lines above and 'gatework info'.\n"
    )
    return 1
