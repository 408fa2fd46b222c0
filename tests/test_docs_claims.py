"""What the pages claim is there: links, make targets, extras, commands, options, rooms, error messages."""

import functools
import re
import runpy
import shlex
import tomllib
from pathlib import Path

import pytest

from test_architecture import FILES, MAY_IMPORT, room_of
from test_docs import PAGES, REPOSITORY, blocks, commands, run_gatework, run_python

TOP_PAGES = [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "benchmarks" / "README.md"]
CHECKED_HERE = {"make", "pip", ".ci/run"}
TRUSTED = {"git", "cd", "python", "python3", ".venv/bin/python", ".venv/bin/gatework"}


def shell_commands() -> list[tuple[str, list[str]]]:
    """(where, words) of every command in a shell block of any page."""
    shells = [block for page in TOP_PAGES for block in blocks(page) if block.kind in ("sh", "console")]
    return [(block.where, shlex.split(command, comments=True)) for block in shells for command, _ in commands(block)]


def gatework_commands() -> list[tuple[str, list[str]]]:
    """(where, arguments) of every gatework command in a shell block, or in words between backticks."""
    found = [(where, words[1:]) for where, words in shell_commands() if words[0] == "gatework"]
    for page in TOP_PAGES:
        prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found += [(str(page.relative_to(REPOSITORY)), text.split()[1:]) for text in re.findall(r"`(gatework [^`…]+)`", prose)]
    return [(where, words) for where, words in found if words]


@pytest.mark.parametrize("page", TOP_PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_file_that_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if "://" in file:
            continue
        found = page if not file else page.parent / file
        assert found.exists(), f"'{target}' leads nowhere"
        titles = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), flags=re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_page_can_be_reached_from_the_map() -> None:
    index = REPOSITORY / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)", index.read_text(encoding="utf-8"))}
    assert {page for page in PAGES if page.name not in ("README.md", "index.md")} <= linked


def test_every_command_on_a_page_is_run_or_checked() -> None:
    unknown = {
        f"{where}: {words[0]}" for where, words in shell_commands() if words[0] not in {"gatework"} | CHECKED_HERE | TRUSTED
    }
    assert not unknown, f"{unknown}: run it in test_docs.py, or check what it names here"


def test_every_make_target_on_a_page_exists_and_is_listed_by_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    assert targets >= {"setup", "demo", "test", "test-all", "check", "bench", "docs"}
    named = {word for _, words in shell_commands() if words[0] == "make" for word in words[1:] if "=" not in word}
    prose = "\n".join(page.read_text(encoding="utf-8") for page in TOP_PAGES)
    assert named | set(re.findall(r"`make ([a-z-]+)`", prose)) <= targets


def test_every_extra_on_a_page_exists() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in TOP_PAGES:
        for extras in re.findall(r"(?:gatework|\.)\[([a-z,]+)\]", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), page


def test_the_readme_lists_every_room_that_exists_and_no_other() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z]+)` \|", text, flags=re.MULTILINE))
    assert listed == {room_of(file) for file in FILES} - {"gatework"}
    assert listed <= set(MAY_IMPORT)


@functools.cache
def help_of(command: str) -> str:
    """What `gatework COMMAND --help` prints; '' is gatework itself."""
    done = run_gatework([*command.split(), "--help"], REPOSITORY)
    assert done.returncode == 0, f"'gatework {command}' does not exist\n{done.stdout}{done.stderr}"
    return done.stdout


def has_option(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def test_every_gatework_command_on_a_page_exists_with_its_options() -> None:
    wrong = []
    for where, words in gatework_commands():
        command = "" if words[0].startswith("-") else " ".join(words[: 2 if words[0] == "study" else 1])
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        wrong += [
            f"{where}: 'gatework {command}' has no {option}" for option in options if not has_option(help_of(command), option)
        ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_option_in_the_prose_and_in_an_error_message_exists() -> None:
    commands_named = {words[0] for _, words in gatework_commands() if words[0].isalpha()}
    commands_named |= {f"study {words[1]}" for _, words in gatework_commands() if words[0] == "study" and words[1:]}
    known = " ".join(help_of(command) for command in sorted(commands_named))
    wrong = []
    for page in PAGES:
        prose = re.sub(
            r"^ *```.*?^ *```$|(pip|git) [^`\n]*", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        named = {option for span in re.findall(r"`([^`]+)`", prose) for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}
        wrong += [f"{page.relative_to(REPOSITORY)}: {option}" for option in sorted(named) if not has_option(known, option)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_list_of_errors_is_the_one_in_the_code() -> None:
    writer = runpy.run_path(str(REPOSITORY / "docs" / "write_error_list.py"))
    page = (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")
    assert writer["with_list"](page) == page, "a message changed: run `make docs`, and see whether the cures above it still hold"


def test_the_page_on_the_report_has_every_section_and_every_metric() -> None:
    from gatework.report.page import SECTIONS
    from gatework.tasks.metrics import CLASSIFICATION_METRICS, FORECAST_METRICS, REGRESSION_METRICS

    page = (REPOSITORY / "docs" / "reading-the-report.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, flags=re.MULTILINE)[1:] == [title for _, title, _ in SECTIONS]
    for metric in (*FORECAST_METRICS, *REGRESSION_METRICS, *CLASSIFICATION_METRICS):
        assert f"\n| {metric.name} |" in page, f"the metric '{metric.name}' is not explained"


def test_the_page_on_the_report_names_every_baseline() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in FILES if room_of(file) == "tasks")
    names = set(re.findall(r'Answer\(\s*"([^"]+)"', source))
    simple = re.search(r"^SIMPLE = \((.*)\)", source, flags=re.MULTILINE)
    assert simple is not None
    names |= set(re.findall(r'"([^"]+)"', simple[1]))
    page = (REPOSITORY / "docs" / "reading-the-report.md").read_text(encoding="utf-8")
    assert names >= {"ridge on the window", "majority class", "last value"}
    assert not {name for name in names if f"\n| {name} |" not in page}


def test_the_page_on_data_has_every_format_policy_kind_and_their_numbers() -> None:
    from typing import get_args

    from gatework.data.encode import MOST_CATEGORIES
    from gatework.data.read import COMPRESSIONS, FORMATS
    from gatework.data.scale import CLIP
    from gatework.runs import SplitPlan
    from gatework.train.request import KindName, MissingPolicy

    page = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
    said = {*FORMATS, *COMPRESSIONS} - {".json", ".pq"}  # two more spellings of formats that are listed
    assert not {ending for ending in said if f"`{ending}`" not in page}
    assert not {policy for policy in get_args(MissingPolicy) if f"\n| `{policy}` |" not in page}
    assert not {kind for kind in get_args(KindName) if f"\n| {kind} |" not in page}
    assert f"the {MOST_CATEGORIES} most frequent categories" in page
    assert f"cut off beyond {CLIP:g} of them" in page
    shares = SplitPlan(kind="time")
    assert shares.test == shares.validation == 0.15
    assert page.count("15 % each") == 3


def test_every_warning_of_a_training_stands_on_the_page_of_errors() -> None:
    source = (REPOSITORY / "src" / "gatework" / "train" / "warn.py").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([^|]+) \|", page.partition("## Warnings during training")[2].partition("\n## ")[0], flags=re.MULTILINE
    )
    said = rows[1:]  # the first row is the head
    assert len(said) == len(re.findall(r'return \(?\n?\s*f?"[^"]', source))
    assert not {row for row in said if row not in source}


@pytest.mark.slow
def test_the_full_training_of_the_tutorial_on_sensors_ends_as_the_page_says(tmp_path: Path) -> None:
    page = REPOSITORY / "docs" / "tutorials" / "sensors.md"
    found = list(blocks(page))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        run_python(found[0], {})
    command = shlex.split("train building.csv --target load --known-future open --out runs/full --no-report")
    done = run_gatework(command, tmp_path)
    shown = next(block.text for block in found if block.kind == "text")
    assert shown.strip().splitlines()[-1].strip() in done.stdout
    for name in ("LSTM (this model)", "last value", "seasonal naive", "climatology", "ridge on the window"):
        said, measured = (float(re.search(rf"{re.escape(name)} +([\d.]+) \[", text)[1]) for text in (shown, done.stdout))
        # the network differs a little from machine to machine; the baselines only in the last digit
        assert measured == pytest.approx(said, rel=0.15 if name.startswith("LSTM") else 0.02), name


def test_the_table_of_cells_lists_every_cell_with_what_it_reads_besides() -> None:
    from gatework.cells import CELLS

    text = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| *([^|]*?) *\|$", text, flags=re.MULTILINE))
    assert listed == {name: ", ".join(f"`{column}`" for column in cell.inputs) for name, cell in CELLS.items()}
