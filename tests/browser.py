"""A real browser for pages on a disk: Debian's chromium, led by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Opened:
    """A page in the browser, and what went wrong in it: console errors, exceptions, requests to elsewhere."""

    page: Any
    wrong: list[str] = field(default_factory=list)


class Opener:
    """Opens pages, each in a context of its own."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def open(
        self, path: Path, state: str = "", *, width: int = 1280, dark: bool = False, script: bool = True
    ) -> Iterator[Any]:
        """Open a file at a state (what follows the #), and check at the end that nothing went wrong.

        Any request that isn't for a file beside the page is refused and counts as wrong.
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        opened = Opened(context.new_page())
        _watch(opened, path)
        opened.page.goto(path.as_uri() + (f"#{state}" if state else ""))
        try:
            yield opened.page
            assert opened.wrong == [], opened.wrong
        finally:
            context.close()

    @contextmanager
    def visit(self, address: str) -> Iterator[Any]:
        """Open a page that a server here gives; what it asks of other hosts is refused."""
        context = self._browser.new_context(viewport={"width": 1280, "height": 1000})
        page = context.new_page()
        page.route(
            "**/*",
            lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort(),
        )
        page.goto(address)
        try:
            yield page
        finally:
            context.close()


def _watch(opened: Opened, path: Path) -> None:
    root = path.parent.parent.as_uri() if path.parent.name == "methods" else path.parent.as_uri()

    def route(route: Any) -> None:
        if route.request.url.startswith((f"{root}/", "data:")):
            route.continue_()
        else:
            opened.wrong.append(f"request {route.request.url}")
            route.abort()

    opened.page.route("**/*", route)
    opened.page.on(
        "console",
        lambda message: (
            opened.wrong.append(f"console: {message.text}") if message.type in ("error", "warning") else None
        ),
    )
    opened.page.on("pageerror", lambda error: opened.wrong.append(f"exception: {error}"))
    opened.page.on("dialog", lambda dialog: (opened.wrong.append("dialog"), dialog.dismiss()))


@contextmanager
def open_browser() -> Iterator[Opener]:
    """Start the browser; skip the test where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright: pip install 'daam-bench[dev]'"
    )
    executable = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if executable is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield Opener(browser)
        finally:
            browser.close()
