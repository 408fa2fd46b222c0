"""Text for a terminal, a pipe or a file: wrapping, tables, colours where they are wanted."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

BOLD, RED = "1", "31"
WIDEST = 110
"""Widest line of prose; longer ones are hard to read however wide the terminal is."""


def make_output_safe() -> None:
    """Let a character that the terminal cannot show become '?', instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if (stream.encoding or "").replace("-", "").lower() != "utf8" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def has_colours(stream: TextIO) -> bool:
    """Whether colours are wanted: a terminal, and neither NO_COLOR nor TERM=dumb (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, code: str, stream: TextIO) -> str:
    """The text in a colour or in bold, where the stream shows it."""
    return f"\x1b[{code}m{text}\x1b[0m" if has_colours(stream) else text


def width() -> int:
    """Characters in a line of output; 100 where there is no terminal."""
    return max(40, shutil.get_terminal_size((100, 24)).columns)


def say(text: str = "") -> None:
    """One line, or an empty one, on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def heading(text: str) -> None:
    """A heading with an empty line before it."""
    say()
    say(styled(text, BOLD, sys.stdout))


def wrapped(text: str, indent: str = "  ", hanging: str = "") -> str:
    """Prose in lines of readable width; a path or a command in it is never broken."""
    lines = textwrap.wrap(
        text,
        min(width(), WIDEST),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def paragraph(text: str) -> None:
    """Prose, indented."""
    say(wrapped(text))


def bullets(sentences: Iterable[str]) -> None:
    """One sentence a line, with a dash."""
    for sentence in sentences:
        say(wrapped(f"- {sentence}", hanging="  "))


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Names and what they are, in two columns."""
    room = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        lines = textwrap.wrap(text, max(20, min(width(), WIDEST) - room - 4), break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
        say(f"  {name.ljust(room)}  {lines[0]}".rstrip())
        for line in lines[1:]:
            say(f"  {' ' * room}  {line}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> None:
    """Columns under a header; texts to the left, the columns from `numbers_from` on to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.ljust(room) if column < numbers_from else cell.rjust(room)
            for column, (cell, room) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  " + "  ".join(placed).rstrip()

    say(styled(line(header), BOLD, sys.stdout))
    for row in rows:
        say(line(row))


def wide_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> None:
    """A table in as many pieces as its width needs; each piece repeats the first column."""
    widths = [max(len(row[column]) for row in (header, *rows)) + 2 for column in range(len(header))]
    start = 1
    while start < len(header) or start == 1:
        end, used = start + 1, widths[0] + sum(widths[start : start + 1])
        while end < len(header) and used + widths[end] <= width():
            used += widths[end]
            end += 1
        if start > 1:
            say()
        columns = [0, *range(start, min(end, len(header)))]
        table([header[c] for c in columns], [[row[c] for c in columns] for row in rows], numbers_from)
        start = end


def code(text: str) -> None:
    """Lines to copy: indented, never wrapped."""
    say(textwrap.indent(text, "  "))


def next_commands(commands: Sequence[tuple[str, str]]) -> None:
    """What to type next, each with what it does."""
    heading("Next")
    room = max(len(command) for command, _ in commands)
    is_wide = any(room + len(what) + 6 > width() for _, what in commands)
    for command, what in commands:
        say(f"  # {what}\n  {command}" if is_wide else f"  {command.ljust(room)}  # {what}")


def complain(message: str) -> None:
    """An error on standard error: wrapped for a person, one line for a log."""
    text = f"error: {message}"
    if sys.stderr.isatty():
        room = max(40, min(shutil.get_terminal_size((100, 24)).columns, WIDEST))
        lines = [
            textwrap.fill(line, room, subsequent_indent="       ", break_long_words=False, break_on_hyphens=False)
            for line in text.splitlines()
        ]
        text = "\n".join(lines)
    if has_colours(sys.stderr):
        text = text.replace("error:", f"\x1b[{BOLD};{RED}merror:\x1b[0m", 1)
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def aside(text: str) -> None:
    """A remark on standard error, where it does not disturb what is piped on."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
