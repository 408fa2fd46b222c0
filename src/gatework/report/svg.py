"""From matplotlib's SVG to the one that stands in a file or in a page: titled, anonymous, without any address."""

import re
import xml.etree.ElementTree as ET

from gatework.report.markup import clean
from gatework.report.palette import as_variables

SVG_NAMESPACE = "http://www.w3.org/2000/svg"
FONT_STACK = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"


def standalone(raw: str, title: str, description: str) -> str:
    """The SVG as a file of its own, on white paper."""
    root = _cleaned(raw, prefix="", title=title, description=description)
    root.set("xmlns", SVG_NAMESPACE)
    root.set("style", f"background: #ffffff; font-family: {FONT_STACK}")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def inline(raw: str, prefix: str, title: str, description: str, stretch: float = 1.0) -> str:
    """The SVG as part of an HTML page: ids made unique by `prefix`, colours as CSS variables, no namespace, no size.

    stretch: how much wider than drawn it may become where there is room.
    """
    root = _cleaned(raw, prefix=prefix, title=title, description=description)
    size_px = float(root.attrib["viewBox"].split()[2])
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    for node in root.iter():
        if "style" in node.attrib:
            node.set("style", as_variables(node.attrib["style"]))
    root.set("style", f"max-width: {stretch * size_px:.0f}px")
    return ET.tostring(root, encoding="unicode")


def _cleaned(raw: str, prefix: str, title: str, description: str) -> ET.Element:
    # S314 is about XML of others; this was written by matplotlib a moment ago.
    root = ET.fromstring(clean(raw))  # noqa: S314
    for parent in list(root.iter()):
        for child in list(parent):
            # The style sheet of matplotlib's files would reach every element of the page.
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for node in root.iter():
        node.tag = _local(node.tag)
        node.attrib = {_local(name): _cleaned_value(_local(name), value, prefix) for name, value in node.attrib.items()}
    root.attrib.pop("version", None)
    _add_title(root, prefix, title, description)
    return root


def _add_title(root: ET.Element, prefix: str, title: str, description: str) -> None:
    title_node, description_node = ET.Element("title"), ET.Element("desc")
    title_node.text, description_node.text = clean(title), clean(description)
    title_node.set("id", f"{prefix}title")
    description_node.set("id", f"{prefix}desc")
    root.insert(0, description_node)
    root.insert(0, title_node)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}desc")


def _cleaned_value(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href":
        return value.replace("#", f"#{prefix}", 1)
    if name in ("d", "transform", "x", "y", "points", "viewBox"):
        return _rounded(value)
    if name == "clip-path" or "url(#" in value:
        value = value.replace("url(#", f"url(#{prefix}")
    if name == "style":
        # The page's own font, in matplotlib's size.
        return re.sub(r"font: (?:[\w ]+ )?([\d.]+)px [^;]*", r"font-size: \1px", value)
    return value


def _rounded(value: str) -> str:
    """Coordinates to a hundredth of a pixel: a third of the size, no visible difference."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value).strip()


def _local(name: str) -> str:
    return name.rpartition("}")[2]
