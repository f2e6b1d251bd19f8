"""Images and heat maps in pages and notebooks: what all share, and the page of `daam-bench show`."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

import daam_bench
from daam_bench.attribution.tokens import Word
from daam_bench.figures.panels import ALPHA, outline_loops
from daam_bench.types import BoolMask, FloatMap
from daam_bench.types.errors import printable
from daam_bench.types.heat_map import HeatMap

_HERE = Path(__file__).parent

HEAT_MAP_SCRIPT = _HERE / "heat_map.js"
"""Upscaling, thresholding and outlining in a browser, for every page that shows heat maps."""

PIXELATED = 256
"""Images up to this many pixels a side are kept lossless and shown pixel by pixel, without smoothing."""

_QUALITY = 90

_LARGE, _SMALL = 256, 128
"""Longest side of a single image and of one among others in a notebook, in pixels."""


class Piece(NamedTuple):
    """A piece of a prompt: the index of its span, or None for what stands between spans."""

    text: str
    span: int | None


def prompt_pieces(prompt: str, spans: Sequence[tuple[int, int]]) -> list[Piece]:
    """Cut a prompt at some spans (start, end) of it. A span that overlaps an earlier one gets no piece.

    >>> [piece.text for piece in prompt_pieces("a cat!", [(2, 5)])]
    ['a ', 'cat', '!']
    """
    pieces, place = [], 0
    for index, (start, end) in sorted(enumerate(spans), key=lambda item: item[1][0]):
        if start >= place:
            pieces += [Piece(prompt[place:start], None), Piece(prompt[start:end], index)]
            place = end
    return [piece for piece in [*pieces, Piece(prompt[place:], None)] if piece.text]


def map_record(values: FloatMap) -> dict[str, Any]:
    """Return a heat map for `heat_map.js`: its (height, width), and little-endian float32 in base64."""
    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"size": list(values.shape), "values": base64.b64encode(data).decode("ascii")}


def outline_path(mask: BoolMask) -> str:
    """Return the outline of a mask as the data of an SVG path, in pixels.

    >>> outline_path(np.array([[True, True], [False, False]]))
    'M0 0H2V1H0z'
    """
    parts = []
    for first, *corners in outline_loops(mask):
        parts.append(f"M{first[0]} {first[1]}")
        y = first[1]
        for corner in [*corners, first]:
            is_level, y = corner[1] == y, corner[1]
            if is_level or corner != first:
                parts.append(f"H{corner[0]}" if is_level else f"V{corner[1]}")
        parts.append("z")
    return "".join(parts)


def is_pixelated(image: Image.Image) -> bool:
    """Whether an image is so small that its pixels are to be seen."""
    return max(image.size) <= PIXELATED


def encoded(image: Image.Image, kind: str) -> bytes:
    """Encode an RGB image as "png" or "webp"."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"optimize": True} if kind == "png" else {"quality": _QUALITY}
    image.convert("RGB").save(buffer, kind.upper(), **options)
    return buffer.getvalue()


def image_kind(image: Image.Image) -> str:
    """Return what pages keep an image as: "png" for one that is pixelated, else "webp"."""
    return "png" if is_pixelated(image) else "webp"


def image_address(image: Image.Image, kind: str) -> str:
    """Return an image as an address that holds it, for an `img` element."""
    return f"data:image/{kind};base64,{base64.b64encode(encoded(image, kind)).decode('ascii')}"


def page_templates(folder: Path) -> Environment:
    """Return the templates of a folder. They escape whatever they are given, and refuse what they lack."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@dataclass(frozen=True, slots=True)
class Overlays:
    """The maps of an image's words in the prompt's order, each shown over the image in a notebook."""

    image: Image.Image
    maps: Mapping[Word, HeatMap] = field(repr=False)

    def _repr_html_(self) -> str:
        """Show the image and one overlay a word."""
        large = self.image.convert("RGB")
        large.thumbnail((_LARGE, _LARGE))
        large = enlarged(large)
        overlays = [(word.text, found.overlay(large, alpha=ALPHA)) for word, found in self.maps.items()]
        return words_html([("", large), *overlays])


def heat_map_png(heat_map: HeatMap) -> bytes:
    """Return a heat map as a PNG of a readable size: inferno, a square for every value."""
    return encoded(enlarged(heat_map.paint(), _LARGE), "png")


def words_html(images: Sequence[tuple[str, Image.Image]]) -> str:
    """Return images side by side as HTML, each with its word below, "" for the image itself."""
    figures = "".join(_figure(word, image) for word, image in images)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{figures}</div>'


def enlarged(image: Image.Image, side: int = _SMALL) -> Image.Image:
    """Enlarge an image by a whole factor until its longer side has about `side` pixels, unblurred."""
    factor = max(1, round(side / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _figure(word: str, image: Image.Image) -> str:
    width = min(image.width, round(_SMALL * image.width / max(image.size)))
    name = escape(printable(word) or "image")
    label = f"map of {name}" if word else name
    return (
        f'<figure style="margin: 0; text-align: center">'
        f'<img src="{image_address(image, "png")}" alt="{label}" width="{width}">'
        f"<figcaption>{name if word else '&nbsp;'}</figcaption></figure>"
    )


class PageWord(NamedTuple):
    """A word of the page of `daam-bench show`: where it stands, its name and its map."""

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
    """Return a self-contained page about an image and its words, in the prompt's order, none over another.

    Its scripts and styles run under a policy that names them by their hashes and lets nothing else be loaded
    or run, whatever the prompt says. It begins with the threshold tau in [0, 1] and the `first` of the words;
    the note says where the image comes from.
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
