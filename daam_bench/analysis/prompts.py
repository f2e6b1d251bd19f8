"""The prompts of an analysis, with the parts of speech of their words and a seed each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from PIL import Image

from daam_bench.types import Generation, Split, Token
from daam_bench.types.errors import InputError

NEXT_SEED = 1_000_000
"""How far apart the seeds lie of one prompt that is drawn several times."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to draw.

    Attributes:
        id: Its name, unique in the analysis.
        text: The prompt.
        tokens: Its words and punctuation marks with their parts of speech.
        seed: Seed to draw it from.
        generation: How to draw it.
        image: The image of the dataset that it should give again; None for a new image.
    """

    id: str
    text: str
    tokens: tuple[Token, ...]
    seed: int
    generation: Generation
    image: Image.Image | None = None


def prompts_of_splits(splits: Sequence[Split]) -> list[Prompt]:
    """Return the prompts of splits, taken in turn from each, so that any first few are of all of them.

    Raises:
        InputError: No model generated a split's images.
    """
    columns = [list(_prompts_of(split)) for split in splits]
    return [prompt for row in zip_longest(*columns) for prompt in row if prompt is not None]


def _prompts_of(split: Split) -> Iterator[Prompt]:
    for example in split.examples:
        query = example.query
        if query.generation is None or query.seed is None:
            raise InputError(
                f"no model generated example {query.id!r} of split {split.name!r}; "
                "choose generated splits, such as --split coco_gen,unreal_gen"
            )
        yield Prompt(query.id, query.prompt, example.tokens, query.seed, query.generation, query.image)


def prompts_of_captions(captions: Sequence[str], generation: Generation) -> list[Prompt]:
    """Return captions as prompts, tagged by the shipped spaCy pipeline, each with its place as seed.

    Raises:
        InputError: spaCy is missing.
    """
    from daam_bench.prompts.nouns import parse_captions

    return [
        Prompt(f"prompt-{seed:05}", parsed.text, parsed.tokens, seed, generation)
        for seed, parsed in enumerate(parse_captions(captions))
    ]


def take(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """Return `count` prompts: the first of them, or all of them and then again from further seeds.

    Args:
        prompts: The prompts, at least one.
        count: Number of images to draw, at least 1.

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
            prompt = replace(
                prompt, id=f"{prompt.id}+{again}", seed=prompt.seed + again * NEXT_SEED, image=None
            )
        taken.append(prompt)
    return taken
