"""Every exception and warning that gatework raises itself.

    GateworkError
    ├── DataError        what is in a file, a frame or a tensor of data
    │   └── InputError   arrays given to an estimator (also a ValueError, as scikit-learn expects)
    ├── ConfigError      an option, an argument, a configuration file
    ├── ShapeError       a tensor given to a layer (also a ValueError)
    ├── RunError         a run folder: damaged, truncated, from a newer version
    ├── TrainingError    a training that cannot go on
    └── MissingExtra     an optional package that is not installed (also an ImportError)

    SlowPath             the one warning class for a slower way taken (a UserWarning)

Each message has three parts: what was given, what is expected, how to fix it. The command line prints the message
without a traceback and exits with code 2.
"""

import difflib
from collections.abc import Iterable


class GateworkError(Exception):
    """The root: catch this to catch everything that gatework reports about its input."""


class DataError(GateworkError):
    """A file, a frame or a tensor holds something that cannot be trained on or predicted from."""


class InputError(DataError, ValueError):
    """Arrays given to an estimator have the wrong shape, do not fit together or hold what is no number."""


class ConfigError(GateworkError):
    """An option, an argument or a configuration file asks for something impossible or unknown."""


class ShapeError(GateworkError, ValueError):
    """A tensor given to a layer has the wrong number of axes, size, type or place."""


class RunError(GateworkError):
    """A run folder is missing a file, damaged, truncated or written by a newer version."""


class TrainingError(GateworkError):
    """A training cannot go on: the loss is not a number, or there is nothing to train on."""


class MissingExtra(GateworkError, ImportError):  # noqa: N818 - named for what is missing; a public name
    """An optional package is needed and not installed; the message names the command that installs it."""


class SlowPath(UserWarning):
    """A correct but slower way was taken; said once per reason and process."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or all of them when none is close.

    >>> nearest("laod", ["load", "time"])
    "Did you mean 'load'?"
    >>> nearest("zzz", ["load", "time"])
    'Known: load, time.'
    """
    choices = list(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if not close:
        folded = {choice.casefold(): choice for choice in choices}
        close = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(choices)}."
