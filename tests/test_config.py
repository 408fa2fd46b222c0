"""A request as TOML: what is written is read back the same, and whatever is wrong is said with its place and its cure."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.config import read_request, request_to_toml
from gatework.errors import ConfigError
from gatework.train import Request

NAMES = st.text(min_size=1, max_size=12)
LISTS = st.lists(NAMES, max_size=3).map(tuple)
POLICIES = st.sampled_from(["previous", "linear", "mean", "constant", "mask", "drop"])
REQUESTS = st.builds(
    Request,
    target=NAMES | LISTS,
    time=NAMES | LISTS,
    series=st.none() | NAMES,
    known_future=LISTS,
    test=LISTS,
    missing=st.none() | POLICIES | st.dictionaries(NAMES, POLICIES, min_size=1, max_size=3),
    kinds=st.dictionaries(NAMES, st.sampled_from(["numeric", "categorical", "boolean", "timestamp"]), max_size=3),
    constant=st.floats(allow_nan=False, allow_infinity=False),
    horizon=st.none() | st.integers(-5, 10**9),
    bidirectional=st.none() | st.booleans(),
    dropout=st.none() | st.floats(0, 1),
    learning_rate=st.none() | st.floats(1e-12, 1e12),
    seed=st.integers(0, 2**53),
)


@given(request_=REQUESTS)
def test_a_request_written_as_toml_is_read_back_the_same(request_: Request, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "request.toml"
    path.write_bytes(request_to_toml(request_).encode())
    assert read_request(path) == request_


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert request_to_toml(Request()) == ""
    assert tomllib.loads(request_to_toml(Request(target="load", seed=7))) == {"target": "load", "seed": 7}


def written(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_spelling_that_a_person_would_try_is_understood(tmp_path: Path) -> None:
    text = '\ufefftarget = "load"\nhidden-size = 32\nknown_future = "holiday"\ndropout = 0\n[missing]\nload = "linear"\n'
    expected = Request(target="load", hidden_size=32, known_future=("holiday",), dropout=0.0, missing={"load": "linear"})
    assert read_request(written(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "given_", "expected", "cure"),
    [
        ("horzion = 3", "no option 'horzion' (in", "options of 'gatework train'", "Did you mean 'horizon'?"),
        ('horizon = "24"', "'horizon = \"24\"' was given in", "Expected a whole number", "horizon = 24"),
        ("horizon = 2.5", "'horizon = 2.5'", "Expected a whole number", "horizon = 24"),
        ("horizon = true", "'horizon = true'", "Expected a whole number", "horizon = 24"),
        ("dropout = 'much'", "'dropout = \"much\"'", "Expected a number", "dropout = 0.5"),
        ("bidirectional = 'yes'", "'bidirectional = \"yes\"'", "Expected true or false", "bidirectional = true"),
        ("task = 'forcast'", "'task = \"forcast\"'", "one of forecast, classify, regress", 'task = "forecast"'),
        ("series = 3", "'series = 3'", "Expected text", 'series = "load"'),
        ("series = 2024-01-01", "'series = 2024-01-01'", "Expected text", 'series = "load"'),
        ("ignore = [1, 2]", "'ignore = [1, 2]'", "Expected a list of texts", 'ignore = ["temperature"]'),
        ("kinds = { load = 'numerc' }", 'load = "numerc"', "for each column one of numeric", 'temperature = "numeric"'),
        ("missing = 'liner'", "'missing = \"liner\"'", "one of auto, previous, linear", 'missing = "linear"'),
        ("target = ", "is not valid TOML", "Expected lines such as horizon = 24", "Correct that place"),
    ],
)
def test_a_wrong_line_is_answered_in_three_parts(text: str, given_: str, expected: str, cure: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_request(path)
    message = str(caught.value)
    assert [part for part in (given_, expected, cure, str(path)) if part not in message] == []


def test_a_file_that_is_not_there_is_reported_with_the_nearest_one(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(ConfigError, match=r"cannot be read.*Expected a TOML file. Did you mean 'run.toml'\?"):
        read_request(tmp_path / "runs.toml")
