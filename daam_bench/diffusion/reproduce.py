"""Reproducing a dataset's images from their seeds, and measuring their drift from the recorded ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.diffusion.generate import generate
from daam_bench.types import Generation, Query
from daam_bench.types.errors import InputError

DRIFT_TOLERANCE = 4.0
"""Mean absolute difference, in grey levels from 0 to 255, up to which two images count as the same.

Other hardware or another batch size rounds differently, which shifts pixels by less than this; another seed,
prompt or model shifts them by tens.
"""


def reproduce(pipeline: Any, queries: Sequence[Query], generation: Generation) -> dict[str, float]:
    """Generate the images of queries again, as one batch.

    Args:
        pipeline: The pipeline that generated them; it keeps the scheduler that it generates with.
        queries: Queries of one generation.
        generation: How their images were generated.

    Returns:
        Their drift by id: the mean absolute difference to the recorded image, see `mean_difference`.

    Raises:
        InputError: A query records no seed, or diffusers has no such scheduler.
    """
    prompts, seeds = [query.prompt for query in queries], [seed_of(query) for query in queries]
    images = generate(pipeline, prompts, seeds, generation)
    return {
        query.id: mean_difference(generated.image, query.image)
        for query, generated in zip(queries, images, strict=True)
    }


def settings_of(query: Query) -> Hashable:
    """Return what the queries of one batch have in common.

    That is their generation; for images that no model generated, their size.
    """
    return query.generation or query.image.size


def seed_of(query: Query) -> int:
    """Return the seed that a model generated an image from.

    Raises:
        InputError: None is recorded.
    """
    if query.seed is None:
        raise InputError(
            f"example {query.id!r} records how it was generated but no seed; its dataset needs fixing"
        )
    return query.seed


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference of two images' RGB values, 0 to 255; 255 if they differ in size.

    >>> mean_difference(Image.new("RGB", (2, 1), "black"), Image.new("RGB", (2, 1), (3, 0, 0)))
    1.0
    """
    if one.size != other.size:
        return 255.0
    pixels = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())
