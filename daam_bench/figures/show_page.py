"""The page: one HTML file that needs nothing else, with every word's map and a slider for the threshold."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

import daam_bench
from daam_bench.attribution.tokens import Word
from daam_bench.figures.page_parts import (
    HEAT_MAP_SCRIPT,
    image_address,
    image_kind,
    is_pixelated,
    map_record,
    page_templates,
    prompt_pieces,
)
from daam_bench.types.heat_map import HeatMap

_HERE = Path(__file__).parent


class PageWord(NamedTuple):
    """A word of the page: where it stands, its name and its map."""

    word: Word
    name: str
    heat_map: HeatMap


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
    script = "\n".join(path.read_text(encoding="utf-8") for path in (HEAT_MAP_SCRIPT, _HERE / "show_page.js"))
    style = (_HERE / "show_page.css").read_text(encoding="utf-8")
    page = page_templates(_HERE).get_template("show_page.html")
    return page.render(
        prompt=prompt,
        pieces=prompt_pieces(prompt, [(word.word.start, word.word.end) for word in words]),
        words=[word.name for word in words],
        first=first,
        image=image_address(image, image_kind(image)),
        size=image.size,
        pixelated=is_pixelated(image),
        tau=tau,
        note=note,
        data={
            "size": [image.height, image.width],
            "tau": tau,
            "words": [{"name": word.name, "map": map_record(word.heat_map.values)} for word in words],
        },
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        version=daam_bench.__version__,
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
