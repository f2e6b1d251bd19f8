"""The plan of a dataset: every prompt of both splits, before the first image is generated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.datasets.pick import Picked, Picker
from daam_bench.files.outside import parse_record
from daam_bench.files.text_files import write_text
from daam_bench.prompts.swap import NounCaption, SwappedCaption, swap_nouns
from daam_bench.types import Noun, Source, Token
from daam_bench.types.errors import InputError

SPLITS = ("coco_gen", "unreal_gen")


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt to generate an image for.

    Attributes:
        id: Id of its example, unique in the dataset.
        split: "coco_gen" or "unreal_gen".
        seed: Seed of its image: its place in the split.
        text: The prompt.
        nouns: Its countable nouns.
        tokens: Its words.
        source: The caption it comes from, and the nouns that were swapped.
    """

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
        """Examples a split."""
        return len(self.prompts) // len(SPLITS)


def make_plan(
    settings: Mapping[str, Any], picker: Picker, fits: Callable[[str], bool], *, size: int, seed: int
) -> Plan:
    """Pick captions and swap their nouns, so that every prompt fits the pipeline as a whole.

    Args:
        settings: What the plan records of its settings.
        picker: Picks the captions.
        fits: Tells whether the pipeline takes a prompt as a whole.
        size: Examples a split.
        seed: Seed of the choice and of the swap.

    Raises:
        InputError: There are not enough captions.
    """
    barred: set[SourceCaption] = set()
    while True:
        picked = picker.pick(size, seed, barred)
        swapped = swap_nouns(picked.nouns, seed)
        cut = {
            caption for caption, prompt in zip(picked.captions, swapped, strict=True) if not fits(prompt.text)
        }
        if not cut:
            break
        barred |= cut
    prompts = (*_prompts("coco_gen", picked, picked.nouns), *_prompts("unreal_gen", picked, swapped))
    return Plan(settings, prompts, picked.passed_over)


def _prompts(
    split: str, picked: Picked, captions: Sequence[NounCaption | SwappedCaption]
) -> list[PlannedPrompt]:
    digits = max(3, len(str(len(captions) - 1)))
    return [
        PlannedPrompt(
            id=f"{split}-{index:0{digits}}",
            split=split,
            seed=index,
            text=parsed.text,
            nouns=parsed.nouns,
            tokens=parsed.tokens,
            source=Source(origin.id, parsed.swaps if isinstance(parsed, SwappedCaption) else ()),
        )
        for index, (origin, parsed) in enumerate(zip(picked.captions, captions, strict=True))
    ]


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan as JSON, all of it or nothing."""
    write_text(path, json.dumps(asdict(plan), ensure_ascii=False, indent=1) + "\n")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        InputError: There is none, or it can't be read.
    """
    try:
        return parse_record(Plan, json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} can't be read as the plan of a dataset ({error}); --restart starts over"
        ) from None


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a build is resumed with the settings it was started with.

    Args:
        path: The plan, for the message.
        before: Its settings.
        now: The settings to resume with.

    Raises:
        InputError: They differ; the line says in what.
    """
    flat_before, flat_now = _flat(before), _flat(now)
    differ = [
        f"{name} {flat_before.get(name)} (now {flat_now.get(name)})"
        for name in {**flat_before, **flat_now}
        if flat_before.get(name) != flat_now.get(name)
    ]
    if differ:
        raise InputError(
            f"{path.parent} was started with {', '.join(differ)}; resume it with the "
            "settings it was started with, or start over with --restart"
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
