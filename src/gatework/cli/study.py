"""study backtest, folds, search, curve, sweep, seeds: many trainings of one question."""

import functools
import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gatework.cli import show
from gatework.cli.request_options import (
    OPTIONS,
    as_command,
    make_request_from,
    split_list,
    takes_request,
    typed_number,
    typed_value,
)
from gatework.cli.study_options import COMMON, OWN, StudyOption, parameter_of_study
from gatework.cli.train import Data, source_of
from gatework.errors import ConfigError, nearest

if TYPE_CHECKING:
    from gatework.runs import Score
    from gatework.runs.study import StudyRecord
    from gatework.study import Study
    from gatework.train import Request

Typed = Mapping[str, Any]
"""What was typed for the options of a study, by name."""


def takes_study(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with its own options, those of all studies and those of a training."""
    options: tuple[StudyOption, ...] = (*OWN[command.__name__], *COMMON)
    keyword = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("data", keyword, annotation=Data)
    asked = inspect.Parameter("asked", keyword, annotation=Mapping[str, object])

    @functools.wraps(command)
    def with_own(*, data: list[str], asked: Mapping[str, object], **typed: Any) -> None:
        command(data, asked, typed)

    with_own.__signature__ = inspect.Signature([first, *map(parameter_of_study, options), asked])  # type: ignore[attr-defined]
    del with_own.__wrapped__  # or its signature would be taken instead
    return takes_request(with_own)


@takes_study
def backtest(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Forecast at several moments of the past, each time from what was known then.

    Scales and models are fitted again at each moment. An interrupted study goes on with
    the same command.
    Example:  gatework study backtest data.csv --target load --windows 6 --refit-every 2
    """
    wish = {
        "windows": whole("windows", typed["windows"]),
        "scheme": one_of("scheme", typed["scheme"], ("expanding", "sliding")),
        "step": whole("step", typed["step"]),
        "refit_every": 0 if typed["refit_every"] == "never" else whole("refit-every", typed["refit_every"]),
    }
    run_in_view("backtest", wish, data, asked, typed)


@takes_study
def folds(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Test on every part of the data once, and compare configurations in pairs.

    Groups stay whole; stretches of time are purged of windows that reach into them.
    Example:  gatework study folds data.csv --target ill --group id --against cell=gru
    """
    by = typed["by"]
    wish = {
        "k": whole("k", typed["k"]),
        "by": None if by is None else one_of("by", by, ("blocked", "group", "stratified")),
        "embargo": whole("embargo", typed["embargo"]),
    }
    run_in_view("folds", wish, data, asked, typed)


@takes_study
def search(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Search for the best options, by the validation part alone; then judge them once.

    Trials that stay behind are ended early. What you fix with an option stays fixed.
    Example:  gatework study search data.csv --target load --trials 50 --processes 2
    """
    wish = {
        "trials": whole("trials", typed["trials"]),
        "minutes": None if typed["budget"] is None else number("budget", typed["budget"]),
        "space": typed["space"],
        "storage": typed["storage"],
        "prune": not typed["no_prune"],
    }
    run_in_view("search", wish, data, asked, typed)


@takes_study
def curve(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Train on more and more data: how much does the question need?

    A power law through the points says what twice the data would bring, where it can.
    Example:  gatework study curve data.csv --target load
    """
    shares = [number("shares", item, "0.1,0.4,1") for item in split_list(typed["shares"])]
    run_in_view("curve", {"shares": shares, "seeds": whole("seeds", typed["seeds"])}, data, asked, typed)


@takes_study
def sweep(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Change one option at a time: does the model over- or underfit?

    Training and validation error stand side by side; the test part is not looked at.
    Example:  gatework study sweep data.csv --target load --option hidden_size=8,32,128
    """
    wish: dict[str, object] = {}
    if typed["option"]:
        pairs = [item.partition("=") for item in typed["option"]]
        named = [(name.strip().replace("-", "_"), text) for name, _, text in pairs]
        values = {
            name: [number("option", item, "dropout=0,0.2,0.5") for item in split_list(text)] for name, text in named if text
        }
        wish = {"options": [name for name, _ in named], "values": values}
    run_in_view("sweep", wish, data, asked, typed)


@takes_study
def seeds(data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Train with several seeds and predict with the mean of all.

    STUDY/ensemble is a run like any other: evaluate and predict take it.
    Example:  gatework study seeds data.csv --target load --members 5
    """
    run_in_view("seeds", {"members": whole("members", typed["members"])}, data, asked, typed)


def whole(name: str, text: str | None) -> int | None:
    """What was typed as a whole number."""
    if text is None:
        return None
    value = typed_number("int", text)
    if not isinstance(value, int):
        raise ConfigError(f"--{name} is '{text}'; expected a whole number. Write for example --{name} 5.")
    return value


def number(name: str, text: str, example: str = "0.5") -> float:
    """What was typed as a number, alone or among others. example: what might be typed for the whole option."""
    value = typed_number("float", text)
    if not isinstance(value, float):
        raise ConfigError(f"--{name} has '{text}'; expected a number. Write for example --{name} {example}.")
    return value


def one_of(name: str, text: str, known: Sequence[str]) -> str:
    """A word that is among those known."""
    if text not in known:
        raise ConfigError(f"--{name} is '{text}'; expected one of {', '.join(known)}. {nearest(text, known)}")
    return text


def against_request(base: "Request", text: str) -> "Request":
    """A configuration that differs from the first in some options: those of the text, or of a TOML file."""
    from gatework.config import make_request, read_request

    if text.endswith(".toml"):
        return base.model_copy(update=read_request(Path(text)).said())
    forms = {option.name: option.form for option in OPTIONS}
    changes: dict[str, object] = {}
    for item in split_list(text):
        name, sign, value = (part.strip() for part in item.partition("="))
        name = name.replace("-", "_")
        if not sign:
            raise ConfigError(
                f"--against has '{item}'; expected OPTION=VALUE. Write for example --against cell=gru,hidden_size=64."
            )
        form = forms.get(name, "text")
        if form == "switch":
            changes[name] = {"true": True, "false": False}.get(value, value)
        else:
            changes[name] = typed_value(name, form, [value] if form in ("list", "pairs") else value)
    return make_request({**base.said(), **changes}, "in --against", lambda name, value: f"{name}={value}")


def run_in_view(kind: str, wish: Mapping[str, object], data: list[str], asked: Mapping[str, object], typed: Typed) -> None:
    """Run a study and show what came out. wish: its own options as a record takes them; typed: all of them as they were typed."""
    request = make_request_from(asked, typed["config"])
    others = [against_request(request, text) for text in typed.get("against") or []]
    from gatework.runs.study import as_wish
    from gatework.study import run_study
    from gatework.study.run import free_folder
    from gatework.train.watch import PlainLines, Silent

    source = source_of(data)
    assert source is not None
    folder = typed["out"] or free_folder(source, request, kind)
    words = [word for option in (*OWN[kind], *COMMON) for word in words_of(option.name, typed[option.name]) if option.is_kept]
    command = as_command(f"study {kind}", data, request, [*words, "--out", str(folder)])
    try:
        study = run_study(
            source,
            request,
            as_wish(kind, wish),
            against=others,
            out=folder,
            processes=whole("processes", typed["processes"]) or 0,
            watch=Silent() if typed["quiet"] else PlainLines(),
            command=command,
        )
    except KeyboardInterrupt:
        raise stopped(command) from None
    record = with_command(study, data)
    report = None if typed["no_report"] else write_page(folder)
    show_study(record)
    if not typed["quiet"]:
        show.heading("Saved")
        show.pairs([("study", str(folder)), *([("report", f"{report} (open it in a browser)")] if report else [])])
        show_next(folder, record)


def with_command(study: "Study", data: Sequence[str]) -> "StudyRecord":
    """The record with the command that trains with the best options, where the study chose some; kept in study.json."""
    from gatework.config import request_from_toml
    from gatework.runs.study import STUDY

    record, result = study.record, study.result
    if not result.settings or result.command:
        return record
    command = as_command("train", data, request_from_toml(result.settings))
    record = record.model_copy(update={"result": result.model_copy(update={"command": command})})
    study.folder.write(STUDY, record)
    return record


def stopped(command: str) -> typer.Exit:
    """What to type after an interruption; the exit that carries its code."""
    from gatework.cli import INTERRUPTED

    show.aside(f"\nInterrupted; what was finished is kept. Go on with: {command}")
    return typer.Exit(INTERRUPTED)


def write_page(folder: Path) -> Path:
    """The page of a study."""
    from gatework.report import write_study_report

    return write_study_report(folder)


def words_of(name: str, value: Any) -> list[str]:
    """An option of a study as it was typed."""
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    return [word for item in (value if isinstance(value, list) else [value]) for word in (flag, str(item))]


def show_study(record: "StudyRecord") -> None:
    """Tables, verdict, notes."""
    from gatework.report.numbers import column_decimals

    result = record.result
    assert result is not None
    for table in result.tables:
        show.heading(table.title)
        columns = []
        for place in range(len(table.columns)):
            decimals = column_decimals(table.values(None if table.is_one_quantity else place))
            best = table.best(place)
            columns.append([cell_text(row.cells[place], decimals, best) for row in table.rows])
        show.wide_table(
            [table.first, *table.columns], [[row.name, *(column[i] for column in columns)] for i, row in enumerate(table.rows)]
        )
        if table.caption:
            show.paragraph(table.caption)
    show.heading("In words")
    for sentence in result.verdict:
        show.paragraph(sentence)
    if result.notes:
        show.heading("Note")
        show.bullets(result.notes)
    if result.settings:
        show.heading("The best options")
        show.code(result.settings)
    if result.command:
        show.heading("Train with them")
        show.code(result.command)


def cell_text(cell: "Score | str | None", decimals: int, best: float | None) -> str:
    """A cell as text; the best value of its column is marked."""
    from gatework.cli.evaluation import score_text

    if cell is None or isinstance(cell, str):
        return f"{cell or '–'}  "
    return score_text(cell, decimals, cell.value is not None and cell.value == best)


def show_next(folder: Path, record: "StudyRecord") -> None:
    """What can be typed with a finished study."""
    run = record.result.run if record.result else ""
    if run:
        path = shlex.quote(str(folder / run))
        show.next_commands(
            [(f"gatework report {path}", "the report of that model"), (f"gatework predict {path} NEW_DATA", "predict with it")]
        )
