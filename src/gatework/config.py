"""TOML ↔ Request: the options of `gatework train` as a file. Classes never see a configuration object, only their own records."""

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from gatework.errors import ConfigError, nearest
from gatework.train.request import Request


def read_request(path: Path | str) -> Request:
    """The request that a TOML file makes; keys are the names of the options, with _ or -.

    Raises ConfigError when the file cannot be read, or when an option is unknown or of the wrong type.
    """
    return request_of_values(read_toml(Path(path)), f"in '{path}'")


def request_from_toml(text: str) -> Request:
    """The request whose TOML `request_to_toml` wrote."""
    return request_of_values(tomllib.loads(text), "in the text")


def request_of_values(values: Mapping[str, object], where: str) -> Request:
    """The request that keys and values of TOML make."""
    named = {name.replace("-", "_"): value for name, value in values.items()}
    return make_request(named, where, lambda name, value: f"{name} = {toml_value(value)}")


def read_toml(path: Path) -> dict[str, object]:
    """The keys and values of a TOML file; ConfigError when there is none, or it is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        names = sorted(item.name for item in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        hint = nearest(path.name, names) if names else "There is no .toml file in that folder."
        raise ConfigError(
            f"The configuration file '{path}' cannot be read: {(error.strerror or str(error)).lower()}. "
            f"Expected a TOML file. {hint} Check --config."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not UTF-8 text. Expected a TOML file. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"'{path}' is not valid TOML: {error}. Expected lines such as horizon = 24 or target = \"load\". Correct that place."
        ) from error


def make_request(values: Mapping[str, object], where: str, spell: Callable[[str, object], str]) -> Request:
    """Values by option name as a Request.

    where: where the values stand, for messages. spell: how an option with a value is written there.
    Raises ConfigError for an unknown option, a value of the wrong type, or one that is not among the choices.
    """
    fields = Request.model_fields
    for name in values:
        if name not in fields:
            raise ConfigError(
                f"There is no option '{name}' ({where}). Expected the options of 'gatework train', which its --help lists. "
                f"{nearest(name, fields)} Correct the name or remove it."
            )
    lists = {name: [value] for name, value in values.items() if isinstance(value, str) and is_list_only(name)}
    try:
        # By way of JSON, because strict JSON takes a list for a tuple but no text for a number.
        return Request.model_validate_json(json.dumps({**values, **lists}, default=as_object), strict=True)
    except ValidationError as error:
        raise wrong_value(str(error.errors()[0]["loc"][0]), values, where, spell) from error


def as_object(value: object) -> object:
    """A TOML date or time as something that no option takes, so that it is reported like any other wrong type."""
    return {"date": str(value)}


def wrong_value(name: str, values: Mapping[str, object], where: str, spell: Callable[[str, object], str]) -> ConfigError:
    """What is wrong with one value, what is expected, and how to write it."""
    value = values[name]
    choices = choices_of(Request.model_fields[name].annotation)
    wrong = next((item for item in value.values() if item not in choices), value) if isinstance(value, dict) else value
    hint = nearest(wrong, choices) if isinstance(wrong, str) and choices else ""
    meant = hint.split("'")[1] if hint.startswith("Did") else None
    return ConfigError(
        f"'{spell(name, value)}' was given {where}. Expected {expected(name)}. {f'{hint} ' if meant else ''}"
        f"Write for example: {spell(name, example_value(name, meant))}"
    )


def kinds_of(annotation: object) -> list[object]:
    """The members of a union, None left out; the annotation itself when it is none."""
    if get_origin(annotation) in (None, Literal, tuple, dict):
        return [annotation]
    return [kind for kind in get_args(annotation) if kind is not NoneType]


def is_list_only(name: str) -> bool:
    """Whether an option takes a list and nothing else; a single text then stands for a list of one."""
    return [get_origin(kind) for kind in kinds_of(Request.model_fields[name].annotation)] == [tuple]


def choices_of(annotation: object) -> list[str]:
    """The words that an annotation allows, those of a table's values included; empty when any text is allowed."""
    found: list[str] = []
    for kind in kinds_of(annotation):
        if get_origin(kind) is Literal:
            found += get_args(kind)
        elif get_origin(kind) is dict:
            found += choices_of(get_args(kind)[1])
    return list(dict.fromkeys(found))


def expected(name: str) -> str:
    """What an option takes, in words."""
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", tuple: "a list of texts"}

    def describe(kind: Any) -> str:
        if get_origin(kind) is tuple and float in get_args(kind):
            return "a list of numbers"
        if get_origin(kind) is Literal:
            return f"one of {', '.join(get_args(kind))}"
        if get_origin(kind) is dict:
            return f"for each column one of {', '.join(choices_of(kind))}" if choices_of(kind) else "a number for each name"
        return words[get_origin(kind) or kind]

    return " or ".join(describe(kind) for kind in kinds_of(Request.model_fields[name].annotation))


def example_value(name: str, choice: str | None) -> object:
    """A value that the option would take; with the choice that was probably meant."""
    kind: Any = kinds_of(Request.model_fields[name].annotation)[0]
    if get_origin(kind) is Literal:
        return choice or get_args(kind)[0]
    if get_origin(kind) is dict:
        return {"temperature": choice or choices_of(kind)[0]} if choices_of(kind) else {"sick": 5.0}
    if get_origin(kind) is tuple and float in get_args(kind):
        return [0.8, 0.95]
    examples: dict[object, object] = {str: "load", int: 24, float: 0.5, bool: True, tuple: ["temperature"]}
    return examples[get_origin(kind) or kind]


def request_to_toml(request: Request) -> str:
    """A request as TOML, one line for each option that differs from its default; `read_request` reads it back.

    >>> print(request_to_toml(Request(target="load", horizon=24, missing={"temp": "linear"})))
    target = "load"
    missing = { temp = "linear" }
    horizon = 24
    """
    return "\n".join(f"{name} = {toml_value(value)}" for name, value in request.said().items())


def toml_value(value: object) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        # JSON escapes all that TOML wants escaped but the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return (
            f"{{ {', '.join(f'{toml_key(str(key))} = {toml_value(item)}' for key, item in value.items())} }}" if value else "{}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return str(value)


def toml_key(key: str) -> str:
    """A key of a table, in quotes where TOML wants them."""
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else toml_value(key)
