"""Writes the second half of errors.md: every message that gatework can raise, read from its source.

A message is the literal text of a call of one of our exceptions; what is filled in at run time is shown as a name in braces.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SOURCE = DOCS.parent / "src" / "gatework"
START = "<!-- the rest is written by `make docs` -->\n"


def error_classes() -> list[str]:
    """The exceptions of errors.py in their order, the root left out."""
    tree = ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return [name for name in names if name != "GateworkError"]


def placeholder(value: ast.expr) -> str:
    """A short name in braces for what is filled in: the last name of the expression, or '…'."""
    if isinstance(value, ast.Name):
        return f"{{{value.id}}}"
    if isinstance(value, ast.Attribute):
        return f"{{{value.attr}}}"
    return "{…}"


def literal(message: ast.expr) -> str:
    """The text of a message with its placeholders; empty when it has no text of its own."""
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        return message.value
    if isinstance(message, ast.JoinedStr):
        return "".join(
            placeholder(part.value) if isinstance(part, ast.FormattedValue) else literal(part) for part in message.values
        )
    if isinstance(message, ast.BinOp) and isinstance(message.op, ast.Add):
        return (literal(message.left) or "{…}") + (literal(message.right) or "{…}")
    return ""


def messages() -> Iterator[tuple[str, str, str]]:
    """(class, room, message) of every place where one of our errors or warnings is made."""
    known = set(error_classes())
    for file in sorted(SOURCE.rglob("*.py")):
        room = file.relative_to(SOURCE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in known:
                yield name, room, " ".join(literal(node.args[0]).split())
            elif name == "warn" and len(node.args) > 1 and ast.unparse(node.args[1]) in known:
                yield ast.unparse(node.args[1]), room, " ".join(literal(node.args[0]).split())


def with_list(page: str) -> str:
    """The page with its list written anew."""
    found = {entry for entry in messages() if any(character.isalpha() for character in entry[2])}
    lines = [page.partition(START)[0] + START]
    for name in error_classes():
        entries = sorted((room, message) for class_name, room, message in found if class_name == name)
        if entries:
            lines.append(f"\n### {name}\n\n" + "".join(f"- {room}: `{message}`\n" for room, message in entries))
    return "".join(lines)


if __name__ == "__main__":
    page = DOCS / "errors.md"
    page.write_text(with_list(page.read_text(encoding="utf-8")), encoding="utf-8")
