"""Picking the captions of a dataset: at random, but the same ones for the same seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.prompts.swap import NounCaption
from daam_bench.types.errors import InputError

_PARSED_AT_ONCE = 256

Parse = Callable[[Sequence[str]], Sequence[NounCaption]]
"""Finds the countable nouns of captions."""

TAKEN_IMAGE = "of an image that another caption was picked of"
DUPLICATE = "like one picked before"
TOO_LONG = "too long for the pipeline's tokenizer, as captioned or swapped"
FEW_NOUNS = "with too few countable nouns"


@dataclass(frozen=True, slots=True)
class Picked:
    """The captions that were picked, in order, and how many were passed over for what reason."""

    captions: tuple[SourceCaption, ...]
    nouns: tuple[NounCaption, ...]
    passed_over: Mapping[str, int]


class Picker:
    """Picks captions, one of each image, none twice.

    Args:
        captions: The captions to pick from.
        parse: Finds their countable nouns; asked for no more captions than it takes.
        fits: Tells whether the pipeline takes a prompt as a whole.
        min_nouns: Least number of countable nouns in a caption.
    """

    def __init__(
        self,
        captions: Sequence[SourceCaption],
        parse: Parse,
        fits: Callable[[str], bool],
        min_nouns: int = 1,
    ) -> None:
        self._captions = captions
        self._parse = parse
        self._fits = fits
        self._min_nouns = min_nouns
        self._parsed: dict[str, NounCaption] = {}

    def pick(self, size: int, seed: int, barred: Collection[SourceCaption] = ()) -> Picked:
        """Pick captions.

        Args:
            size: How many.
            seed: Seed of the order in which captions are looked at.
            barred: Captions to pass over: those whose prompt got too long by the swap.

        Raises:
            InputError: There are not so many.
        """
        order = Random(seed).sample(self._captions, len(self._captions))
        images: set[str] = set()
        texts: set[str] = set()
        picked: list[SourceCaption] = []
        passed_over: Counter[str] = Counter()
        for at, caption in enumerate(order):
            text = _plain(caption.text)
            if len(picked) == size:
                break
            if caption.image is not None and caption.image in images:
                passed_over[TAKEN_IMAGE] += 1
            elif text in texts:
                passed_over[DUPLICATE] += 1
            elif caption in barred or not self._fits(caption.text):
                passed_over[TOO_LONG] += 1
            elif len(self._nouns(order, at).nouns) < self._min_nouns:
                passed_over[FEW_NOUNS] += 1
            else:
                picked.append(caption)
                texts.add(text)
                if caption.image is not None:
                    images.add(caption.image)
        if len(picked) < size:
            raise InputError(
                f"only {len(picked)} of {len(order)} captions can be used, {size} are wanted; passed over: "
                f"{describe_passed_over(passed_over)}; give more captions or a smaller --size"
            )
        nouns = tuple(self._parsed[caption.text] for caption in picked)
        return Picked(tuple(picked), nouns, dict(passed_over))

    def _nouns(self, order: Sequence[SourceCaption], at: int) -> NounCaption:
        """Return the nouns of one caption; those that come next are parsed along with it."""
        text = order[at].text
        if text not in self._parsed:
            ahead = dict.fromkeys(caption.text for caption in order[at : at + _PARSED_AT_ONCE])
            wanted = [text for text in ahead if text not in self._parsed]
            self._parsed.update(zip(wanted, self._parse(wanted), strict=True))
        return self._parsed[text]


def describe_passed_over(counts: Mapping[str, int]) -> str:
    """Say how many captions were passed over, and why.

    >>> describe_passed_over({DUPLICATE: 2, FEW_NOUNS: 1})
    '2 like one picked before, 1 with too few countable nouns'
    """
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"


def _plain(text: str) -> str:
    """Write a caption so that those alike but for capitals and punctuation are equal."""
    return " ".join(re.findall(r"\w+", text.casefold()))
