"""Help texts as they were written, and options under headings. No rich: help must be there at once."""

from typing import Any

import typer
import typer.core

WIDTH = 110
"""Widest line of help, in characters."""


def write_description(command: Any, formatter: Any) -> None:
    """The docstring line by line: examples must not be wrapped into the text."""
    formatter.write_paragraph()
    for line in (command.help or "").splitlines():
        formatter.write(f"  {line}".rstrip() + "\n")


class Command(typer.core.TyperCommand):
    """A command whose help keeps the lines of its docstring and groups its options."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        words = [parameter.metavar or "" for parameter in self.get_params(ctx) if parameter.param_type_name == "argument"]
        formatter.write_usage(ctx.command_path, " ".join([*words, "[OPTIONS]"]))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        write_description(self, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                groups.setdefault("Arguments", []).append((parameter.metavar or "", getattr(parameter, "help", None) or ""))
            elif (record := parameter.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
        # The options of the command itself come last, however long the list above is: there the eye rests.
        for title in sorted(groups, key=lambda title: title == "Options"):
            with formatter.section(title):
                formatter.write_dl(groups[title])


class Group(typer.core.TyperGroup):
    """The command `gatework` itself, in the same manner."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        write_description(self, formatter)
