"""What MkDocs calls while it builds the site: pages that are made of files which live elsewhere."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from command_line import command_line_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_page import notebook_page

_ROOT = Path(__file__).parents[2]

_ELSEWHERE = {
    "leaderboard.md": "leaderboard/README.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page -> the file that it shows."""

_LINK = re.compile(
    r"^```.*?^```$|(?<!!)\[(?P<text>[^\]]+)\]\((?!https?:|#)(?P<path>[^)#]+)(?:#[^)]*)?\)",
    re.MULTILINE | re.DOTALL,
)
"""A fence of code, which is left alone, or a link to a file."""

_INCLUDE = re.compile(r"^<!-- include (?P<path>\S+), else: (?P<instead>.+?) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {page: (_ROOT / path).read_text(encoding="utf-8") for page, path in _ELSEWHERE.items()}
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        pages[notebook.src_uri.replace(".ipynb", ".md")] = notebook_page(
            Path(config.docs_dir, notebook.src_uri)
        )
        files.remove(notebook)
    known = {*pages, *(file.src_uri for file in files)}
    for page, text in pages.items():
        text = linked(text, _ELSEWHERE.get(page, f"docs/{page}"))
        files.append(File.generated(config, page, content=unlinked(text, known)))
    files.append(File.generated(config, "reference/command-line.md", content=command_line_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Link the site's own pages, and put in what may not have been made yet, such as tables of results."""
    if page.file.src_uri not in _ELSEWHERE:
        markdown = linked(markdown, f"docs/{page.file.src_uri}")
    return _INCLUDE.sub(_included, markdown)


def linked(markdown: str, origin: str) -> str:
    """Return Markdown whose links to files of the repository lead to the pages that show them.

    Args:
        markdown: The text of a file, with links that hold in the repository.
        origin: The file, from the repository's root.
    """
    shown = {path: page for page, path in _ELSEWHERE.items()}
    folder = dirname(origin)
    place = relpath(folder, "docs") if folder.startswith("docs") else "."

    def replace(found: re.Match[str]) -> str:
        if found["path"] is None:
            return found[0]
        path = normpath(join(folder, found["path"]))
        page = shown.get(path, path.removeprefix("docs/").replace(".ipynb", ".md"))
        if page == path:
            return found[0]
        return found[0].replace(f"]({found['path']}", f"]({relpath(page, place)}")

    return _LINK.sub(replace, markdown)


def unlinked(markdown: str, known: Container[str]) -> str:
    """Return Markdown without its links to files that the site doesn't hold."""

    def replace(found: re.Match[str]) -> str:
        is_kept = found["path"] is None or found["path"] in known
        return found[0] if is_kept else found["text"]

    return _LINK.sub(replace, markdown)


def _included(found: re.Match[str]) -> str:
    path = _ROOT / found["path"]
    return path.read_text(encoding="utf-8").strip() if path.exists() else found["instead"]
