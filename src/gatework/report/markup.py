"""HTML that cannot be broken by its content: a plain string is always escaped, only `Html` passes as it is."""

import html
import re
from collections.abc import Iterable

VOID_TAGS = frozenset({"br", "hr", "img", "meta", "link"})

# Control characters are not legal in XML, and direction overrides can make a name read as another one.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is already HTML. Adding a plain string escapes it."""

    __slots__ = ()

    def __add__(self, other: str) -> "Html":
        return Html(str.__add__(self, escape(other)))

    def __radd__(self, other: str) -> "Html":
        return Html(str.__add__(escape(other), self))


def clean(text: str) -> str:
    """The text with each character that XML forbids, or that reverses the reading direction, shown as �."""
    return FORBIDDEN.sub("\ufffd", text)


def escape(text: str) -> Html:
    """Text as HTML; what is HTML already stays."""
    return text if isinstance(text, Html) else Html(html.escape(clean(text), quote=True))


def join(parts: Iterable[str], separator: str = "") -> Html:
    """Pieces one after the other, each escaped unless it is HTML already."""
    return Html(escape(separator).join(escape(part) for part in parts))


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """One element. `class_` means class, `data_label` means data-label; an attribute that is None is left out.

    >>> element("p", "a < b", class_="lead")
    '<p class="lead">a &lt; b</p>'
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items() if value is not None
    )
    if tag in VOID_TAGS:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def code(text: str) -> Html:
    """A name out of the data or the program, such as a column; isolated, so that right-to-left names stay in place."""
    return element("code", text, dir="auto")


def listed(parts: Iterable[str]) -> Html:
    """Several names as a sentence lists them: a, b and c."""
    escaped = [escape(part) for part in parts]
    if len(escaped) < 2:
        return join(escaped)
    return Html(f"{', '.join(escaped[:-1])} and {escaped[-1]}")


def slug(text: str, taken: Iterable[str] = ()) -> str:
    """A name that is safe as a file name and as an id, and not among those taken.

    >>> slug("../Error by horizon!")
    'error-by-horizon'
    """
    base = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:60] or "unnamed"
    used, name, number = set(taken), base, 2
    while name in used:
        name, number = f"{base}-{number}", number + 1
    return name
