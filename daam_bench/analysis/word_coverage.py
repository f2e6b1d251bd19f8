"""How much of an image the thresholded map of each word covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.types import Token
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of an image that a word's map covers once it is thresholded at tau.

    Attributes:
        plain: With tau as a share of the map's maximum, as the paper defines it; in [0, 1].
        minmax: With the map stretched to begin at 0 first, as castorini/daam computes it; in [0, 1].
    """

    plain: float
    minmax: float


@dataclass(frozen=True, slots=True)
class CoveredToken:
    """A word or punctuation mark of a prompt, its part of speech, and what its map covers."""

    text: str
    pos: str
    start: int
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class CoveredPrompt:
    """What the words of one image's prompt cover.

    Attributes:
        tokens: Those that have a map, in prompt order.
        truncated: How many lie past the text encoder's limit.
        torn: How many have no map of their own, as the tokenizer splits the prompt elsewhere ("do|n't").
    """

    tokens: tuple[CoveredToken, ...]
    truncated: int
    torn: int


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """What was measured on one image.

    Attributes:
        id: Name of its prompt.
        prompt: The prompt.
        seed: Seed it was generated from.
        covered: What its words cover.
        difference: Mean absolute difference to the dataset's image, 0 to 255; None for a new image.
    """

    id: str
    prompt: str
    seed: int
    covered: CoveredPrompt
    difference: float | None


def coverage(heat_map: HeatMap, size: tuple[int, int], tau: float) -> Coverage:
    """Return the share of an image that a map covers: section 3.2's attribution intensity.

    Args:
        heat_map: The map, of any size.
        size: (width, height) of the image, to which the map is upscaled first.
        tau: Threshold in [0, 1].

    Raises:
        InputError: `tau` outside [0, 1].

    >>> import numpy as np
    >>> coverage(HeatMap(np.array([[1.0, 2.0], [4.0, 1.0]])), (2, 2), 0.4)
    Coverage(plain=0.5, minmax=0.25)
    """
    large = heat_map.resize(size)
    return Coverage(float(large.threshold(tau).mean()), float(large.threshold(tau, "minmax").mean()))


def cover_tokens(
    maps: ImageHeatMaps, tokens: Sequence[Token], size: tuple[int, int], tau: float
) -> CoveredPrompt:
    """Return what each word of a prompt covers in its image.

    Args:
        maps: The heat maps of the image.
        tokens: The words and punctuation marks of its prompt.
        size: (width, height) of the image.
        tau: Threshold in [0, 1].
    """
    seen = max((word.end for word in maps.words()), default=0)
    covered = []
    truncated = torn = 0
    for token in tokens:
        if token.end > seen:
            truncated += 1
            continue
        try:
            heat_map = maps.word(token.start, token.end)
        except InputError:
            torn += 1
            continue
        covered.append(CoveredToken(token.text, token.pos, token.start, coverage(heat_map, size, tau)))
    return CoveredPrompt(tuple(covered), truncated, torn)
