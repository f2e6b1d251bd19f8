"""A page as its parser sees it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "link", "img", "input", "br", "col", "hr"}


@dataclass
class Element:
    """An element with its attributes and all the text in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements of a page, in order, checked to be closed in turn."""

    elements: list[Element] = field(default_factory=list)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements = []
        self._open: list[Element] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == [], f"{path.name}: {[element.tag for element in self._open]} are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len({name for name, _ in attrs})
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of some tags."""
        return [element for element in self.elements if element.tag in tags]

    def values(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [value for element in self.elements if (value := element.attributes.get(name))]
