"""The page: one HTML file that needs nothing else, with every word's map and a slider for the threshold."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

import daam_bench
from daam_bench.attribution.tokens import Word
from daam_bench.types.heat_map import HeatMap

_HERE = Path(__file__).parent
_SCRIPTS = (_HERE / "heat_map.js", _HERE / "show_page.js")

PIXELATED = 256
"""Pictures up to this many pixels a side are kept lossless and shown pixel by pixel."""

_QUALITY = 90


class PageWord(NamedTuple):
    """A word of the page: where it stands, its name and its map."""

    word: Word
    name: str
    heat_map: HeatMap


class _Piece(NamedTuple):
    """A piece of the prompt: a word's index, or None for what stands between words."""

    text: str
    word: int | None


def show_page(
    image: Image.Image,
    prompt: str,
    words: Sequence[PageWord],
    *,
    tau: float = 0.4,
    first: int = 0,
    note: str = "",
) -> str:
    """Return a self-contained page about an image and its words.

    Its scripts and styles run under a policy that names them by their hashes and lets nothing else be loaded
    or run, whatever the prompt says.

    Args:
        image: The image.
        prompt: Its prompt.
        words: The words, in the prompt's order, apart from each other.
        tau: Threshold in [0, 1] that the page begins with.
        first: Index of the word that the page begins with.
        note: Where the image comes from.
    """
    pixelated = max(image.size) <= PIXELATED
    data = {
        "size": [image.height, image.width],
        "tau": tau,
        "words": [{"name": word.name, "map": _map_record(word.heat_map)} for word in words],
    }
    script, style = _texts()
    return (
        _templates()
        .get_template("show_page.html")
        .render(
            prompt=prompt,
            pieces=_pieces(prompt, [word.word for word in words]),
            words=[word.name for word in words],
            first=first,
            picture=_data_address(image, lossless=pixelated),
            size=image.size,
            pixelated=pixelated,
            tau=tau,
            note=note,
            data=data,
            script=script,
            style=style,
            script_hash=_hash(script),
            style_hash=_hash(style),
            version=daam_bench.__version__,
        )
    )


def _pieces(prompt: str, words: Sequence[Word]) -> list[_Piece]:
    pieces, place = [], 0
    for index, word in enumerate(words):
        pieces += [_Piece(prompt[place : word.start], None), _Piece(prompt[word.start : word.end], index)]
        place = word.end
    return [piece for piece in [*pieces, _Piece(prompt[place:], None)] if piece.text]


def _map_record(heat_map: HeatMap) -> dict[str, Any]:
    data = np.ascontiguousarray(heat_map.values, dtype="<f4").tobytes()
    return {"size": list(heat_map.shape), "values": base64.b64encode(data).decode("ascii")}


def _data_address(image: Image.Image, *, lossless: bool) -> str:
    buffer = io.BytesIO()
    if lossless:
        image.convert("RGB").save(buffer, "PNG", optimize=True)
    else:
        image.convert("RGB").save(buffer, "WEBP", quality=_QUALITY)
    kind = "png" if lossless else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _texts() -> tuple[str, str]:
    """Return the page's script and its style sheet."""
    script = "\n".join(path.read_text(encoding="utf-8") for path in _SCRIPTS)
    return script, (_HERE / "show_page.css").read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
