"""Every code block of README.md and docs/ runs, in order, one page in one empty folder.

A block says what it is after its three backticks:

    python    run; with >>> prompts, its output is compared too
    sh        one command a line; `gatework …` is run, the rest is checked in test_docs_claims.py
    console   commands after `$ `; what follows one is compared with its output (`...` stands for anything)
    toml, json    parsed
    text      a picture; not run

What a reader need not see, such as making a small data file, stands in a comment: <!-- setup … --> holds Python.
`gatework demo` takes a minute or more and has tests of its own: here, only that the command exists.
"""

import contextlib
import doctest
import io
import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatework.cli import main

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PIECE = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->|^(?P<indent> *)```(?P<kind>\S*)[^\n]*\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
LONG = {"demo"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One block of a page: what it is, its text, and the line where it starts."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order; a hidden setup is one of kind 'python'."""
    text = page.read_text(encoding="utf-8")
    for found in PIECE.finditer(text):
        part = "setup" if found["setup"] is not None else "code"
        line = text.count("\n", 0, found.start(part)) + 1
        yield Block(page, line, "python" if part == "setup" else found["kind"], textwrap.dedent(found[part]))


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """(command, expected output) of a shell block; an empty expectation compares nothing."""
    text = re.sub(r"\s*\\\n\s*", " ", block.text)
    if block.kind == "sh":
        yield from ((line.strip(), "") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        return
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = piece.partition("\n")
        yield command.strip(), expected


@dataclass(frozen=True)
class Finished:
    """What one command of gatework left behind."""

    returncode: int
    stdout: str
    stderr: str


def run_gatework(arguments: list[str], folder: Path) -> Finished:
    """One command of gatework in a folder: the function behind the installed script, in this process, where torch is loaded once.

    That it runs in a process of its own, too, is tested in test_cli_stopped.py.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "160")
        patch.chdir(folder)
        code = main(arguments)
    return Finished(code, out.getvalue(), err.getvalue())


def run_python(block: Block, names: dict[str, object]) -> None:
    """A Python block in the page's namespace; an error points at the line of the page."""
    if ">>>" in block.text:
        example = doctest.DocTestParser().get_doctest(block.text, names, block.where, str(block.page), block.line - 1)
        complaints: list[str] = []
        doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(example, out=complaints.append, clear_globs=False)
        names.update(example.globs)
        assert not complaints, f"{block.where}\n{''.join(complaints)}"
    else:
        exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec"), names)


def run_shell(block: Block, folder: Path) -> None:
    """The gatework commands of a shell block; each must end well and print what the page shows."""
    for command, expected in commands(block):
        words = shlex.split(command, comments=True)
        if words[0] != "gatework":
            continue
        arguments = [words[1], "--help"] if words[1:] and words[1] in LONG else words[1:]
        done = run_gatework(arguments, folder)
        assert done.returncode == 0, f"{block.where}: $ {command}\n{done.stdout}{done.stderr}"
        if expected.strip() and words[1] not in LONG:
            matches = doctest.OutputChecker().check_output(expected, done.stdout, FLAGS)
            assert matches, f"{block.where}: $ {command}\nThe page shows:\n{expected}\nThe command prints:\n{done.stdout}"


def run_page(page: Path, folder: Path) -> None:
    """All blocks of a page, in order, in this folder."""
    names: dict[str, object] = {"__name__": "docs_page"}
    parsers: dict[str, Callable[[str], object]] = {"toml": tomllib.loads, "json": json.loads}
    for block in blocks(page):
        if block.kind == "python":
            run_python(block, names)
        elif block.kind in ("sh", "console"):
            run_shell(block, folder)
        elif block.kind in parsers:
            parsers[block.kind](block.text)
        else:
            assert block.kind == "text", f"{block.where}: a block of kind '{block.kind}' is not run; see {Path(__file__).name}"


# A page may declare a cell of its own, which is computed step by step and says so.
@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_block_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "```python\nraise KeyError('shown')\n```\n",
        "```python\n>>> 1 + 1\n3\n```\n",
        "<!-- setup\nassert False\n-->\n",
        "```toml\nnot = = toml\n```\n",
        "```\nno kind\n```\n",
        "   ```python\n   1 / 0\n   ```\n",
    ],
)
def test_a_page_with_a_wrong_block_fails(body: str, tmp_path: Path) -> None:
    page = REPOSITORY / "docs" / "not-written.md"

    class Page(type(page)):  # a page whose text is given, so that nothing is written into docs/
        def read_text(self, *_: object, **__: object) -> str:
            return f"# A page\n\n{body}"

    with pytest.raises((KeyError, AssertionError, ZeroDivisionError, tomllib.TOMLDecodeError)):
        run_page(Page(page), tmp_path)


def test_blocks_of_one_page_share_their_names_in_order(tmp_path: Path) -> None:
    text = "<!-- setup\nfirst = 1\n-->\n\n```python\nsecond = first + 1\n```\n\n```python\n>>> second\n2\n```\n"
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert [(block.kind, block.line) for block in blocks(page)] == [("python", 2), ("python", 6), ("python", 10)]


def test_a_console_block_gives_each_command_with_its_output() -> None:
    block = Block(REPOSITORY / "README.md", 1, "console", "$ gatework info \\\n    lstm\nfirst\nsecond\n$ make test\n")
    assert list(commands(block)) == [("gatework info lstm", "first\nsecond\n"), ("make test", "")]
