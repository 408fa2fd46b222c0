"""The options of the command line: one for each field of `Request`, the same everywhere, and all on the page of commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gatework.cli.app import COMMANDS, STUDIES, Commands, command
from gatework.cli.evaluation import metric_title
from gatework.cli.plan import option_of
from gatework.cli.request_options import OPTIONS, RequestOption, as_command, make_request_from, words_of
from gatework.config import read_request
from gatework.runs import MetricInfo
from gatework.train import Request

COMMAND = [sys.executable, "-c", "import sys; from gatework.cli import main; sys.exit(main())"]


def test_there_is_one_option_for_each_field_of_request() -> None:
    assert sorted(option.name for option in OPTIONS) == sorted(Request.model_fields)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_default_that_help_names_is_the_one_of_request(option: RequestOption) -> None:
    default = Request.model_fields[option.name].default
    if default not in (None, (), {}):
        assert option.default in (str(default), f"{default:g}" if isinstance(default, float) else "")
    else:
        assert not option.default or not option.default.isdigit()


@pytest.mark.parametrize(
    "wanted",
    [
        Request(target="load"),
        Request(target=("a,b", 'c "d"', "e=f"), time=("year", "month"), known_future=("x y",), missing="linear"),
        Request(target="load", missing={"a": "linear", "b=c": "mean"}, kinds={"a,b": "categorical"}, bidirectional=False),
        Request(
            target="load", horizon=3, dropout=0.25, learning_rate=1e-5, minutes=0.1, seed=4, test=("t.csv",), split_by="time"
        ),
    ],
)
def test_the_command_that_is_shown_asks_for_the_same(wanted: Request) -> None:
    words = shlex.split(as_command("train", ["data.csv"], wanted))
    assert words[:3] == ["gatework", "train", "data.csv"]
    train = command().commands["train"]
    parameters = train.make_context("train", words[2:]).params
    asked = {option.name: parameters[option.name] for option in OPTIONS if parameters[option.name] not in (None, [], ())}
    assert make_request_from(asked, None) == wanted


def test_options_on_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('target = "load"\ncell = "gru"\nhorizon = 3\n', encoding="utf-8")
    wanted = make_request_from({"cell": "lstm", "window": "9"}, path)
    assert wanted == Request(target="load", horizon=3, window=9)


# The page of commands


def rows_of(text: str) -> dict[str, tuple[str, str]]:
    """(what it says, left out) by the code in the first cell of each table row."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if len(cells) == 3 and cells[0].startswith("`"):
            found[cells[0].replace("`", "")] = (cells[1], cells[2])
    return found


def test_the_page_of_commands_lists_every_word_and_option_and_no_other(repository: Path) -> None:
    page = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL))
    shared = {" ".join(filter(None, [option.flag, option.metavar])): option for option in OPTIONS if option.form != "switch"}
    listed = rows_of(sections["What is wanted"])
    switches = {f"{option.flag} / --no-{option.flag[2:]}": option for option in OPTIONS if option.form == "switch"}
    assert listed == {name: (option.text, option.default or "required") for name, option in (shared | switches).items()}
    commands = dict(command().commands)
    commands |= {f"study {name}": one for name, one in commands["study"].commands.items()}
    assert {name for name in sections if name.startswith("gatework ")} == {f"gatework {name}" for name in commands}
    for name, one in commands.items():
        shared_names = {option.name for option in OPTIONS} if name in ("train", "look") or name.startswith("study ") else set()
        own = [parameter for parameter in one.params if parameter.name not in shared_names | {"help"}]
        expected = {}
        for parameter in own:
            is_word = parameter.param_type_name == "argument"
            key = parameter.metavar if is_word else " ".join(filter(None, [parameter.opts[0], parameter.metavar]))
            expected[key] = (parameter.help or "").partition(" [")[0]
        assert {key: text for key, (text, _) in rows_of(sections[f"gatework {name}"]).items()} == expected, name


def test_the_configuration_on_the_page_is_read(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    path = tmp_path / "page.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)[0], encoding="utf-8")
    assert read_request(path).known_future == ("holiday",)


# Speed


def test_help_loads_nothing_heavy() -> None:
    """Neither libraries nor the commands themselves, whose hundred options take as long to read as Python to start."""
    heavy = {"torch", "polars", "pydantic", "sklearn", "rich", "numpy", "matplotlib", "gatework.cli.request_options"}
    code = f"import sys; from gatework.cli import main; main(['--help']); sys.exit(bool({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_training_loads_neither_scikit_learn_nor_the_compiler_of_torch() -> None:
    """They take as long to load as all the rest; what needs them loads them."""
    code = "import gatework.train, sys; sys.exit(bool({'torch._dynamo', 'sklearn', 'scipy.stats', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120).returncode == 0


@pytest.mark.parametrize("listed", [COMMANDS, STUDIES], ids=["gatework", "gatework study"])
def test_the_list_of_commands_shows_the_first_line_of_each(listed: dict[str, tuple[str, str]]) -> None:
    made = Commands(listed)
    assert {name: one.help.splitlines()[0] for name, one in made.items()} == {name: line for name, (_, line) in listed.items()}
    assert {name: one.name for name, one in made.items() if name != "study"} == {name: name for name in listed if name != "study"}


def test_a_value_with_a_comma_survives_the_way_through_the_shell() -> None:
    assert words_of("ignore", ("a,b", "c")) == ["--ignore", '"a,b",c']


def test_every_decided_choice_is_shown_under_the_name_of_an_option() -> None:
    reasons = {
        "split": "time: a forecast is judged on what comes after",
        "kinds.a": "Column 'a' is numeric.",
        "ignored.id": "Column 'id' is ignored: all its values differ.",
        "static.age": "Column 'age' is a static attribute.",
        "hidden_size": "32: small data",
        "variables": "Variable 'x' is left out.",
    }
    known = {option.flag.removeprefix("--") for option in OPTIONS}
    assert {option_of(name, reason) for name, reason in reasons.items()} <= known
    assert option_of("split", reasons["split"]) == "split-by"
    assert option_of("split", "column 'fold': it says which part each row belongs to") == "split-column"


def test_a_squared_unit_has_one_pair_of_parentheses_in_a_table() -> None:
    def title(unit: str) -> str:
        return metric_title(MetricInfo(name="MSE", unit=unit, better="lower", meaning=""))

    assert [title("(µg/m³)²"), title("kW²"), title("")] == ["MSE (µg/m³)²", "MSE (kW²)", "MSE"]
