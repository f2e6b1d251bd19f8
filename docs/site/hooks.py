"""What MkDocs calls while it builds the site: pages that are made of files which live elsewhere."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

from command_line import command_line_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
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
        files.append(File.generated(config, page, content=unlinked(text, known)))
    files.append(File.generated(config, "reference/command-line.md", content=command_line_page()))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put in what may or may not have been made yet, such as tables of results."""
    return _INCLUDE.sub(_included, markdown)


def unlinked(markdown: str, known: Container[str]) -> str:
    """Return Markdown without its links to files that the site doesn't hold."""

    def replace(found: re.Match[str]) -> str:
        is_kept = found["path"] is None or found["path"] in known
        return found[0] if is_kept else found["text"]

    return _LINK.sub(replace, markdown)


def _included(found: re.Match[str]) -> str:
    path = _ROOT / found["path"]
    return path.read_text(encoding="utf-8").strip() if path.exists() else found["instead"]
