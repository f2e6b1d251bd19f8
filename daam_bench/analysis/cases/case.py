"""What a case study is: prompts to draw, a measurement of each image, a table and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.figure import Figure
from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.types import BoolMask
from daam_bench.types.heat_map import HeatMap

Row: TypeAlias = Mapping[str, str | int | float | None]
"""What was measured on one image: column -> value; None where it couldn't be measured."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt of a case study.

    Attributes:
        text: The prompt.
        seed: Seed to draw it from.
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
class Picture:
    """A drawn prompt of a case study.

    Attributes:
        asked: The prompt.
        image: The image.
        maps: The heat maps of its words.
        masks: Where the annotator sees each noun, by its basic form; None for one that isn't there.
            None without an annotator.
    """

    asked: Asked
    image: Image.Image
    maps: ImageHeatMaps
    masks: Mapping[str, BoolMask | None] | None

    def map_of(self, word: str, occurrence: int = 0) -> HeatMap:
        """Return the heat map of a word at the picture's size."""
        return self.maps.find(word, occurrence).resize(self.image.size)

    def mask_of(self, noun: str, tau: float) -> BoolMask | None:
        """Return where a noun is: where the annotator sees it, or else where its own map is above tau."""
        if self.masks is not None:
            return self.masks[noun]
        return self.map_of(self.asked.words[self.asked.nouns.index(noun)]).threshold(tau)


@dataclass(frozen=True, slots=True)
class Table:
    """A short table: a header, and rows of text as long."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table as Markdown, without a line break at the end.

        >>> print(Table(("word", "lift"), (("big", "1.2"),)).markdown())
        | word | lift |
        |---|---|
        | big | 1.2 |
        """
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        return "\n".join(
            "|" + "|".join(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A case study.

    Attributes:
        title: What it asks, as a heading.
        ask: Number of seeds a prompt -> the prompts.
        measure: Images and tau -> one row a measurement.
        summarize: Rows -> the table.
        draw: Rows, images and tau -> the figure.
    """

    title: str
    ask: Callable[[int], list[Asked]]
    measure: Callable[[Sequence[Picture], float], list[Row]]
    summarize: Callable[[Sequence[Row]], Table]
    draw: Callable[[Sequence[Row], Sequence[Picture], float], Figure]
