"""A built page as a test looks at it: its anchors, its links, and what it loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_LOADING_RELATIONS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload"}


@dataclass
class Page(HTMLParser):
    """What a page holds.

    Attributes:
        anchors: Every id.
        links: Where its links lead.
        loaded: What a browser fetches for it: scripts, styles, fonts, icons, images.
        text: Its text.
    """

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and _LOADING_RELATIONS & set(values.get("rel", "").split()):
            self.loaded.append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])

    def handle_data(self, data: str) -> None:
        """Take note of text."""
        self.text += data


def read_page(path: Path) -> Page:
    """Return what a file of HTML holds."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page
