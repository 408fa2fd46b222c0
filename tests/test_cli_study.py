"""gatework study on the command line: tables and page, the command that goes on, and what wrong options get."""

from pathlib import Path

import pytest

from cli_runs import SMALL, Gatework, complaint, load_rows, weights_of, write_csv
from gatework.cli.study import against_request
from gatework.cli.study_options import COMMON, OWN
from gatework.runs import RunFolder
from gatework.runs.study import STUDY, WISHES, StudyRecord
from gatework.train import Request


def test_a_study_prints_its_tables_and_can_be_asked_again(gatework: Gatework) -> None:
    write_csv("good.csv", load_rows(140))
    command = f"study backtest good.csv --target load {SMALL} --windows 2 --step 30 --refit-every never --out runs/study"
    done = gatework(command)
    assert done.code == 0, done.err
    assert "Mean over 2 windows" in done.out
    assert "MAE of every window" in done.out
    assert "runs/study/study.html" in done.out
    record = RunFolder(Path("runs/study")).read(STUDY, StudyRecord)
    assert (record.wish.windows, record.wish.refit_every) == (2, 0)
    assert {job.model for job in record.jobs} == {"window-1"}
    again = gatework(record.command.removeprefix("gatework "))
    assert again.code == 0, again.err
    assert "on the test part" not in again.err, "nothing is trained again"
    assert "In words" in again.out


def test_a_search_ends_with_the_command_that_trains_the_same_model(gatework: Gatework) -> None:
    write_csv("good.csv", load_rows(140))
    Path("space.toml").write_text("learning_rate = { low = 0.01, high = 0.02 }\nlinear_steps = [0, 6]\n")
    done = gatework(f"study search good.csv --target load {SMALL} --space space.toml --trials 2 --out runs/study")
    assert done.code == 0, done.err
    record = RunFolder(Path("runs/study")).read(STUDY, StudyRecord)
    command = record.result.command
    assert command.startswith("gatework train good.csv --target load")
    assert f"  {command}\n" in done.out
    assert command in Path("runs/study/study.html").read_text()
    trained = gatework(f"{command.removeprefix('gatework ')} --out runs/again")
    assert trained.code == 0, trained.err
    assert weights_of(Path("runs/again")) == weights_of(Path("runs/study/best"))


def test_ctrl_c_says_how_to_go_on(gatework: Gatework, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv("good.csv", load_rows(140))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gatework.study.run_study", interrupted)
    done = gatework(f"study folds good.csv --target load {SMALL} --k 2 --against cell=gru --out runs/study")
    assert done.code == 130
    assert "Go on with: gatework study folds good.csv --target load" in done.err
    assert "--k 2" in done.err
    assert "--against cell=gru --processes 1 --out runs/study" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("backtest good.csv --target load --windows many", "--windows is 'many'; expected a whole number"),
        ("backtest good.csv --target load --scheme growing", "expected one of expanding, sliding"),
        ("backtest good.csv --target load --refit-every sometimes", "--refit-every is 'sometimes'"),
        ("folds good.csv --target load --by time", "expected one of blocked, group, stratified"),
        ("folds good.csv --target load --against gru", "expected OPTION=VALUE"),
        ("folds good.csv --target load --against cels=gru", "Did you mean 'cell'?"),
        ("curve good.csv --target load --shares 0.1,most", "--shares has 'most'; expected a number"),
        (
            "sweep good.csv --target load --option dropout=low",
            "--option has 'low'; expected a number. Write for example --option dropout=0,",
        ),
        ("seeds good.csv --target load --processes 0", "processes is 0"),
        ("search good.csv --target load --space nowhere.toml", "'nowhere.toml' cannot be read"),
        ("fold good.csv", "Did you mean 'folds'?"),
    ],
)
def test_a_wrong_option_of_a_study_gets_our_words(words: str, said: str, gatework: Gatework) -> None:
    write_csv("good.csv", load_rows(140))
    assert said in complaint(gatework(f"study {words}"))


def test_a_configuration_to_compare_differs_in_what_is_typed(tmp_path: Path) -> None:
    base = Request(target="load", hidden_size=8)
    found = against_request(base, "cell=gru,hidden-size=64,bidirectional=false,learning_rate=1e-3")
    assert found == Request(target="load", hidden_size=64, cell="gru", bidirectional=False, learning_rate=1e-3)
    (tmp_path / "own.toml").write_text('cell = "rnn"\naugment = ["jitter", "scale"]\n')
    found = against_request(base, str(tmp_path / "own.toml"))
    assert found == Request(target="load", hidden_size=8, cell="rnn", augment=("jitter", "scale"))


def test_the_defaults_that_help_names_are_those_of_the_wishes() -> None:
    for kind, options in OWN.items():
        for option in options:
            default = getattr(WISHES[kind](), {"budget": "minutes", "option": "options"}.get(option.name, option.name), None)
            if isinstance(option.default, str) and option.name != "shares":
                assert option.default == str(default) == option.left_out
    assert OWN["curve"][0].default == ",".join(f"{share:g}" for share in WISHES["curve"]().shares)
    assert ", ".join(WISHES["sweep"]().options) == OWN["sweep"][0].left_out
    assert [option.name for option in COMMON if option.is_kept] == ["processes"]
