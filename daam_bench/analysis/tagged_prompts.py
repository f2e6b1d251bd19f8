"""Prompts with the parts of speech of their words, of a dataset or a file: what `pos` generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from PIL import Image

from daam_bench.types import Generation, Split, Token
from daam_bench.types.errors import InputError

NEXT_SEED = 1_000_000
"""How far apart the seeds lie of one prompt that is generated several times."""


@dataclass(frozen=True, slots=True)
class TaggedPrompt:
    """A prompt to generate, with the parts of speech of its words and punctuation marks.

    Attributes:
        id: Its name, unique in the analysis.
        image: The image of the dataset that it should reproduce; None for a new image.
    """

    id: str
    text: str
    tokens: tuple[Token, ...]
    seed: int
    generation: Generation
    image: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Where prompts come from: a dataset and its splits, separated by commas, or a file and "prompts"."""

    dataset: str
    splits: str
    fingerprint: str


def prompts_of_splits(splits: Sequence[Split]) -> list[TaggedPrompt]:
    """Return the prompts of splits, taken in turn from each, so that any first few are of all of them.

    Raises:
        InputError: No model generated a split's images, or two splits have an id in common.
    """
    prompts = []
    seen: dict[str, str] = {}
    for row in zip_longest(*(split.examples for split in splits)):
        for split, example in zip(splits, row, strict=True):
            if example is None:
                continue
            one = example.query
            if one.generation is None or one.seed is None:
                raise InputError(
                    f"no model generated example {one.id!r} of split {split.name!r}; "
                    "choose generated splits, such as --split coco_gen,unreal_gen"
                )
            if (other := seen.setdefault(one.id, split.name)) != split.name:
                raise InputError(
                    f"the splits {other!r} and {split.name!r} both have an example {one.id!r}; analyse one "
                    "with --split, and the other with another --output"
                )
            prompts.append(
                TaggedPrompt(one.id, one.prompt, example.tokens, one.seed, one.generation, one.image)
            )
    return prompts


def prompts_of_captions(captions: Sequence[str], generation: Generation) -> list[TaggedPrompt]:
    """Return captions as prompts, tagged by the shipped spaCy pipeline, each with its place as seed.

    Raises:
        InputError: spaCy is missing.
    """
    from daam_bench.prompts.nouns import parse_captions

    return [
        TaggedPrompt(f"prompt-{seed:05}", parsed.text, parsed.tokens, seed, generation)
        for seed, parsed in enumerate(parse_captions(captions))
    ]


def take(prompts: Sequence[TaggedPrompt], count: int) -> list[TaggedPrompt]:
    """Return `count` prompts: the first of them, or all of them and then again from further seeds.

    Raises:
        InputError: A count below 1.
    """
    if count < 1:
        raise InputError(f"the count must be at least 1 image, not {count}")
    taken = []
    for place in range(count):
        again, index = divmod(place, len(prompts))
        prompt = prompts[index]
        if again:
            seed = prompt.seed + again * NEXT_SEED
            prompt = replace(prompt, id=f"{prompt.id}+{again}", seed=seed, image=None)
        taken.append(prompt)
    return taken
