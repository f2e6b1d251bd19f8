"""A split of a few small images, made in memory."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from daam_bench.types import RLE, BoolMask, Example, Noun, PredictionsHeader, Query, Source, Split
from daam_bench.types.masks import encode

HEIGHT, WIDTH = 4, 6
HEADER = PredictionsHeader("method", {"steps": 20}, "tiny", "coco_gen", "f" * 64)


def left(columns: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> BoolMask:
    """A mask of the leftmost columns."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[:, :columns] = True
    return mask


def make_split(examples: Sequence[Sequence[tuple[str, str | None, BoolMask | RLE | None]]]) -> Split:
    """A split with examples "0", "1", ... of nouns (text, COCO class, mask)."""
    return Split(
        HEADER.dataset,
        HEADER.split,
        tuple(_example(str(number), nouns) for number, nouns in enumerate(examples)),
        HEADER.fingerprint,
    )


def _example(identifier: str, nouns: Sequence[tuple[str, str | None, BoolMask | RLE | None]]) -> Example:
    query = Query(
        identifier,
        " ".join(text for text, _, _ in nouns),
        Image.new("RGB", (WIDTH, HEIGHT)),
        tuple(Noun(text, text, 0, len(text), coco_class) for text, coco_class, _ in nouns),
        None,
        None,
    )
    masks = tuple(encode(mask) if isinstance(mask, np.ndarray) else mask for _, _, mask in nouns)
    return Example(query, masks, (), Source(None), None)
