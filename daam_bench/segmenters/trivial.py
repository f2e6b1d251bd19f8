"""The paper's trivial baselines: what one scores without looking at the image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daam_bench.types import BoolMask, Query


class WholeImage:
    """Says that every noun is everywhere."""

    name = "whole"
    track = "generator"
    parameters: Mapping[str, Any] = {}

    def segment(self, queries: Sequence[Query]) -> list[list[BoolMask]]:
        """Return masks that are true at every pixel."""
        return [
            [np.ones((query.image.height, query.image.width), dtype=np.bool_) for _ in query.nouns]
            for query in queries
        ]


class RandomHalf:
    """Makes every pixel true with probability 1/2, at random.

    Args:
        seed: Seed of the random bits. A mask depends on the seed, the example's id and the noun's index, not
            on which examples are asked for, or in which order.
    """

    name = "random"
    track = "generator"

    def __init__(self, seed: int = 0) -> None:
        self.parameters: Mapping[str, Any] = {"seed": seed}

    def segment(self, queries: Sequence[Query]) -> list[list[BoolMask]]:
        """Return masks of which each pixel is true with probability 1/2."""
        return [[self._mask(query, noun) for noun in range(len(query.nouns))] for query in queries]

    def _mask(self, query: Query, noun: int) -> BoolMask:
        height, width = query.image.height, query.image.width
        key = f"{self.parameters['seed']}\0{query.id}\0{noun}".encode()
        bits = np.frombuffer(hashlib.shake_256(key).digest(-(-height * width // 8)), dtype=np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(np.bool_)
