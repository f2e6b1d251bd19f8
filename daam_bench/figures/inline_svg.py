"""A matplotlib figure as an SVG element inside a page, in the page's own colours and type."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from daam_bench.figures.style import styled

_LEFT_OUT = ("metadata", "style")
_REFERENCE = re.compile(r"(?:url\()?#([^)]+)\)?")
_SUB = re.compile(r"(mIoU)_(80|∞)")


@styled
def inline_svg(figure: Figure, name: str, *, label: str, colours: Mapping[str, str]) -> str:
    """Return a figure as an SVG element that may stand in an HTML page under a strict policy.

    It has no style, script or link, and no id but those it needs, which begin with its name. The same figure
    gives the same text. A part whose gid is "key: what it stands for" becomes a group with that key as
    `data-entry` and that text as its title. "mIoU_80" and "mIoU_∞" are written with their indices below.

    Args:
        figure: The figure; its size in points is that of the element's view box.
        name: A name that no other SVG of the page has.
        label: What the figure shows, for those who don't see it; empty to hide it from them.
        colours: What to write for each of the figure's colours (#rrggbb), such as "var(--ink)".
    """
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # matplotlib has just written what is parsed here.
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314
    ids = {target: f"{name}-{index}" for index, target in enumerate(_targets(root))}
    for parent in list(root.iter()):
        for child in [child for child in parent if _bare(child.tag) in _LEFT_OUT]:
            parent.remove(child)
    for element in root.iter():
        _adapt(element, ids, colours)
    described = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **described}
    return ElementTree.tostring(root, encoding="unicode")


def _targets(root: ElementTree.Element) -> list[str]:
    """Return the ids that an SVG refers to, each once."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    return list(dict.fromkeys(match[1] for value in values if (match := _REFERENCE.fullmatch(value))))


def _bare(name: str) -> str:
    """Return a tag or an attribute's name without its namespace."""
    return name.rpartition("}")[2]


def _adapt(element: ElementTree.Element, ids: Mapping[str, str], colours: Mapping[str, str]) -> None:
    """Rewrite an element's attributes for the page."""
    element.tag = _bare(element.tag)
    given, element.attrib = element.attrib, {}
    for name, value in given.items():
        if name == "id":
            _identify(element, value, ids)
        elif name == "style":
            for declaration in filter(None, value.split(";")):
                key, text = (part.strip() for part in declaration.split(":", 1))
                if not key.startswith("font"):
                    element.set(key, colours.get(text.lower(), text))
        elif match := _REFERENCE.fullmatch(value):
            element.set(_bare(name), value.replace(match[1], ids[match[1]]))
        else:
            element.set(name, value)
    if element.text and (match := _SUB.search(element.text)):
        rest, element.text = element.text[match.end() :], match[1]
        ElementTree.SubElement(element, "tspan", {"class": "sub", "dy": "3"}).text = match[2]
        ElementTree.SubElement(element, "tspan", {"dy": "-3"}).text = rest


def _identify(element: ElementTree.Element, gid: str, ids: Mapping[str, str]) -> None:
    """Keep an id that something refers to, and make a titled group of a part of the chart."""
    if gid in ids:
        element.set("id", ids[gid])
    elif ": " in gid:
        key, text = gid.split(": ", 1)
        element.set("data-entry", key)
        title = ElementTree.Element("title")
        title.text = text
        element.insert(0, title)
