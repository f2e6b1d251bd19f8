"""The plan of a dataset: captions picked by a seed, and every prompt of both splits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.files.outside import parse_record
from daam_bench.files.replacing import write_text
from daam_bench.prompts.swap import NounCaption, swap_nouns
from daam_bench.types import Noun, Source, Token
from daam_bench.types.errors import InputError

SPLITS = ("coco_gen", "unreal_gen")
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


@dataclass
class Picker:
    """Picks captions, one of each image, none twice.

    `parse` finds their countable nouns, and is asked for no more captions than it takes; `fits` tells whether
    the pipeline takes a prompt as a whole; `unfit` says in words what one is that does not fit.
    """

    captions: Sequence[SourceCaption]
    parse: Parse
    fits: Callable[[str], bool]
    min_nouns: int = 1
    unfit: str = TOO_LONG
    _parsed: dict[str, NounCaption] = field(default_factory=dict, init=False)

    def pick(self, size: int, seed: int, barred: Collection[SourceCaption] = ()) -> Picked:
        """Pick `size` captions in an order by `seed`, none of those `barred`: the swap made them too long.

        Raises:
            InputError: There are not so many.
        """
        order = Random(seed).sample(self.captions, len(self.captions))
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
            elif caption in barred or not self.fits(caption.text):
                passed_over[self.unfit] += 1
            elif len(self._nouns(order, at).nouns) < self.min_nouns:
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
            self._parsed.update(zip(wanted, self.parse(wanted), strict=True))
        return self._parsed[text]


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt to generate an image for: its place in the split is the seed of the image."""

    id: str
    split: str
    seed: int
    text: str
    nouns: tuple[Noun, ...]
    tokens: tuple[Token, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be generated, and how.

    Attributes:
        settings: All that the dataset depends on, in JSON's types.
        prompts: The prompts of `coco_gen`, then as many of `unreal_gen`.
        passed_over: Reason -> number of captions that were not picked for it.
    """

    settings: Mapping[str, Any]
    prompts: tuple[PlannedPrompt, ...]
    passed_over: Mapping[str, int]

    @property
    def size(self) -> int:
        """Examples of the largest split."""
        return max(Counter(prompt.split for prompt in self.prompts).values())


def make_plan(settings: Mapping[str, Any], picker: Picker, *, size: int, seed: int) -> Plan:
    """Pick captions and swap their nouns, so that every prompt fits the pipeline as a whole.

    Raises:
        InputError: There are not enough captions.
    """
    barred: set[SourceCaption] = set()
    while True:
        picked = picker.pick(size, seed, barred)
        swapped = swap_nouns(picked.nouns, seed)
        pairs = zip(picked.captions, swapped, strict=True)
        cut = {caption for caption, prompt in pairs if not picker.fits(prompt.text)}
        if not cut:
            break
        barred |= cut
    prompts = (*_prompts("coco_gen", picked, picked.nouns), *_prompts("unreal_gen", picked, swapped))
    return Plan(settings, prompts, picked.passed_over)


def _prompts(split: str, picked: Picked, captions: Sequence[NounCaption]) -> list[PlannedPrompt]:
    digits = max(3, len(str(len(captions) - 1)))
    return [
        PlannedPrompt(
            id=f"{split}-{index:0{digits}}",
            split=split,
            seed=index,
            text=parsed.text,
            nouns=parsed.nouns,
            tokens=parsed.tokens,
            source=Source(origin.id, parsed.swaps),
        )
        for index, (origin, parsed) in enumerate(zip(picked.captions, captions, strict=True))
    ]


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan as JSON, all of it or nothing."""
    write_text(path, json.dumps(asdict(plan), ensure_ascii=False, indent=1) + "\n")


def read_plan(path: Path) -> Plan:
    """Read a plan; raise an InputError if there is none, or none that can be read."""
    try:
        return parse_record(Plan, json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} can't be read as the plan of a dataset ({error}); --restart starts over"
        ) from None


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any], otherwise: str) -> None:
    """Check that the build of a plan at `path` is resumed with the settings it was started with.

    Raises:
        InputError: They differ; the line says in what, and what to do `otherwise`.
    """
    before, now = _flat(before), _flat(now)
    differ = [
        f"{name} {before.get(name)} (now {now.get(name)})"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if differ:
        raise InputError(
            f"{path.parent} was started with {', '.join(differ)}; resume it with the "
            f"settings it was started with, or {otherwise}"
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat


def describe_passed_over(counts: Mapping[str, int]) -> str:
    """Say how many captions were passed over, and why.

    >>> describe_passed_over({DUPLICATE: 2, FEW_NOUNS: 1})
    '2 like one picked before, 1 with too few countable nouns'
    """
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"


def _plain(text: str) -> str:
    """Write a caption so that those alike but for capitals and punctuation are equal."""
    return " ".join(re.findall(r"\w+", text.casefold()))
