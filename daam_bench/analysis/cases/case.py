"""What a case study is: prompts, measures of each generated image, a table and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from daam_bench.analysis.cases.estimates import CaseRow, CaseTable
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.emoji.annotator import count_objects
from daam_bench.figures.panels import Panel
from daam_bench.prompts.inflection import indefinite_article
from daam_bench.types import BoolMask
from daam_bench.types.heat_map import HeatMap

PAIRS = (
    ("dog", "chair", "grass"),
    ("apple", "cake", "room"),
    ("car", "tree", "road"),
    ("elephant", "cactus", "sand"),
    ("cat", "mushroom", "grass"),
    ("laptop", "clock", "room"),
)
"""Two nouns that share an image, and its background. All are words of the emoji world and plain English."""

_INSIDE = ("sky", "room")


@dataclass(frozen=True, slots=True)
class CasePrompt:
    """A prompt of a case study, and the seed to generate it from.

    Attributes:
        kind: Which of the study's conditions it is.
        nouns: Its nouns in their basic forms, in prompt order, each once.
        words: The same as they stand in the prompt.
    """

    text: str
    seed: int
    kind: str
    nouns: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseImage:
    """A generated image of a case study, and the heat maps of its words.

    Attributes:
        masks: Where the annotator finds each noun, by its basic form; None for one that isn't depicted.
            None without an annotator.
    """

    prompt: CasePrompt
    image: Image.Image
    maps: ImageHeatMaps
    masks: Mapping[str, BoolMask | None] | None

    def map_of(self, word: str, occurrence: int = 0) -> HeatMap:
        """Return the heat map of a word at the image's size."""
        return self.maps.find(word, occurrence).resize(self.image.size)

    def mask_of(self, noun: str, tau: float) -> BoolMask | None:
        """Return a noun's mask: the annotator's, or without one where the noun's own map is above tau."""
        if self.masks is not None:
            return self.masks[noun]
        return self.map_of(self.prompt.words[self.prompt.nouns.index(noun)]).threshold(tau)

    def objects(self) -> int | None:
        """Count the objects of the prompt's nouns in the annotator's masks; None without an annotator."""
        if self.masks is None:
            return None
        return sum(count_objects(mask) for mask in self.masks.values() if mask is not None)

    def panel(self, word: str, outline: BoolMask | None = None) -> Panel:
        """Return the image under a word's heat map as a part of a figure."""
        return Panel(f"“{word}”", self.image, self.map_of(word), outline)


Measure: TypeAlias = Callable[[Sequence[CaseImage], float], list[CaseRow]]


@dataclass(frozen=True, slots=True)
class Case:
    """A case study: its heading; its prompts for a number of seeds; then rows, table and figure."""

    title: str
    prompts: Callable[[int], list[CasePrompt]]
    measure: Measure
    summarize: Callable[[Sequence[CaseRow]], CaseTable]
    figure: Callable[[Sequence[CaseRow], Sequence[CaseImage], float], Figure]


def each_image(measure: Callable[[CaseImage, float], CaseRow | None]) -> Measure:
    """Measure images one by one; a row names its image, and None leaves an image out."""

    def measure_all(images: Sequence[CaseImage], tau: float) -> list[CaseRow]:
        measured = ((index, one.prompt, measure(one, tau)) for index, one in enumerate(images))
        return [
            {"image": index, "prompt": prompt.text, "seed": prompt.seed, **row}
            for index, prompt, row in measured
            if row is not None
        ]

    return measure_all


def lift(heat_map: HeatMap, mask: BoolMask) -> float | None:
    """Return how many times more of a map lies in a mask than of an even map would: 1 is chance.

    Returns:
        The share of the map in the mask over the share of the image, >= 0; None for an empty mask or map.

    >>> lift(HeatMap(np.array([[3.0, 1.0]])), np.array([[True, False]]))
    1.5
    """
    total = float(heat_map.values.sum(dtype=np.float64))
    if not mask.any() or total == 0:
        return None
    return float(heat_map.values[mask].sum(dtype=np.float64)) / total / float(mask.mean())


def correlation(one: HeatMap, other: HeatMap) -> float | None:
    """Return Pearson's correlation of two maps, pixel by pixel, in [-1, 1]; None for a constant map.

    >>> round(correlation(HeatMap(np.array([[0.0, 1.0, 2.0]])), HeatMap(np.array([[4.0, 2.0, 0.0]]))), 6)
    -1.0
    """
    a, b = (heat_map.values.astype(np.float64).ravel() for heat_map in (one, other))
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def first_of(images: Sequence[CaseImage], kind: str) -> CaseImage:
    """Return the first image of a condition."""
    return next(one for one in images if one.prompt.kind == kind)


def pair_prompts(kinds: Mapping[str, tuple[str, str]], seeds: int) -> list[CasePrompt]:
    """Return "a dog and a chair on the grass" and the like for every pair of `PAIRS`.

    Each condition has two noun phrases, with "{noun}" and "{other}" for the nouns of a pair.

    >>> pair_prompts({"big": ("big {noun}", "{other}")}, 1)[1].text
    'a big apple and a cake in the room'
    """
    prompts = []
    for kind, phrases in kinds.items():
        for noun, other, background in PAIRS:
            first, second = (phrase.format(noun=noun, other=other) for phrase in phrases)
            text = f"{with_article(first)} and {with_article(second)} {location(background)}"
            nouns = tuple(dict.fromkeys(phrase.split()[-1] for phrase in (first, second)))
            prompts += [CasePrompt(text, seed, kind, nouns, nouns) for seed in range(seeds)]
    return prompts


def with_article(phrase: str) -> str:
    """Return a noun phrase with the indefinite article before it.

    >>> with_article("apple"), with_article("big apple")
    ('an apple', 'a big apple')
    """
    return f"{indefinite_article(phrase.split()[0])} {phrase}"


def location(background: str) -> str:
    """Return where a prompt's nouns are.

    >>> location("grass"), location("sky")
    ('on the grass', 'in the sky')
    """
    return f"{'in' if background in _INSIDE else 'on'} the {background}"
