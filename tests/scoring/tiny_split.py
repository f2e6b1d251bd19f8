"""A split of a few small images, made in memory."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from daam_bench.types import (
    RLE,
    BoolMask,
    Example,
    Noun,
    Prediction,
    PredictionsHeader,
    Query,
    Source,
    Split,
)
from daam_bench.types.masks import encode

HEIGHT, WIDTH = 4, 6
HEADER = PredictionsHeader("method", {"steps": 20}, "tiny", "coco_gen", "f" * 64)


def left(columns: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> BoolMask:
    """A mask of the leftmost columns."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[:, :columns] = True
    return mask


def make_split(examples: Sequence[Sequence[tuple[str, str | None, BoolMask | RLE | None]]]) -> Split:
    """A split with examples "0", "1", ... of nouns (text, COCO class, mask); images as large as the masks."""
    return Split(
        HEADER.dataset,
        HEADER.split,
        tuple(_example(str(number), nouns) for number, nouns in enumerate(examples)),
        HEADER.fingerprint,
    )


def complete(split: Split, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions, and "asked, and the method gave nothing" for every noun without one at their taus."""
    taus = list(dict.fromkeys(prediction.tau for prediction in predictions)) or [None]
    found = {(prediction.id, prediction.noun, prediction.tau) for prediction in predictions}
    return [
        *predictions,
        *(
            Prediction(example.id, noun, tau, None)
            for example in split
            for noun in range(len(example.query.nouns))
            for tau in taus
            if (example.id, noun, tau) not in found
        ),
    ]


def _example(identifier: str, nouns: Sequence[tuple[str, str | None, BoolMask | RLE | None]]) -> Example:
    first = next((mask for _, _, mask in nouns if isinstance(mask, np.ndarray)), left(0))
    query = Query(
        identifier,
        " ".join(text for text, _, _ in nouns),
        Image.new("RGB", first.shape[::-1]),
        tuple(Noun(text, text, 0, len(text), coco_class) for text, coco_class, _ in nouns),
        None,
        None,
    )
    masks = tuple(encode(mask) if isinstance(mask, np.ndarray) else mask for _, _, mask in nouns)
    return Example(query, masks, (), Source(None), None)
