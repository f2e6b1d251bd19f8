"""A notebook as a Markdown page, with the outputs that are stored in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any


def notebook_page(path: Path) -> str:
    """Return a notebook's cells and stored outputs as Markdown. Nothing is executed."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _cell(cell)) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        yield source
    elif cell["cell_type"] == "code" and source:
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            yield from _output(output)


def _output(output: dict[str, Any]) -> Iterator[str]:
    """Yield the richest form of an output that a page can show."""
    if output["output_type"] == "stream":
        if output["name"] == "stdout":
            yield _text(output["text"])
        return
    data = output.get("data", {})
    if "text/html" in data:
        yield _shown(_without_blank_lines("".join(data["text/html"])))
    elif "image/png" in data:
        png = "".join(data["image/png"]).replace("\n", "")
        yield _shown(f'<img alt="output" src="data:image/png;base64,{png}">')
    elif "text/plain" in data:
        yield _text(data["text/plain"])


def _text(lines: Any) -> str:
    return _shown(f"<pre>{_kept(escape(''.join(lines).rstrip(), quote=False))}</pre>")


def _shown(html: str) -> str:
    return f'<div class="output" tabindex="0">{html}</div>'


def _kept(text: str) -> str:
    """Keep blank lines of text from ending the block of HTML around it."""
    return text.replace("\n", "&#10;")


def _without_blank_lines(html: str) -> str:
    return re.sub(r"\n\s*\n", "\n", html.strip())
