"""What pages share: images and heat maps as text, a prompt cut at its words, and the templates' rules."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from daam_bench.types import FloatMap

HEAT_MAP_SCRIPT = Path(__file__).with_name("heat_map.js")
"""Upscaling, thresholding and outlining in a browser, for every page that shows heat maps."""

PIXELATED = 256
"""Images up to this many pixels a side are kept lossless and shown pixel by pixel, without smoothing."""

_QUALITY = 90


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
