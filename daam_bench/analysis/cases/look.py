"""Drawing the prompts of a case study, traced, and judging the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from daam_bench.analysis.cases.case import Asked, Picture
from daam_bench.analysis.tracing import Traced, generate_traced
from daam_bench.types import BoolMask, Generation

if TYPE_CHECKING:
    from daam_bench.emoji.annotator import Annotator


@dataclass(frozen=True, slots=True)
class World:
    """A model to study.

    Attributes:
        pipeline: The loaded pipeline.
        generation: How it draws.
        judge: What sees nouns in its images; None for a model that comes without one.
    """

    pipeline: Any
    generation: Generation
    annotator: Annotator | None


def look(
    world: World, prompts: Sequence[Asked], *, batch_size: int = 16, name: str = "", progress: bool = True
) -> list[Picture]:
    """Draw prompts, traced, and judge the images.

    Args:
        world: The model.
        prompts: The prompts.
        batch_size: Images drawn at once.
        name: What the progress bar is called.
        progress: Show a bar with the time left, on stderr.

    Raises:
        InputError: The pipeline can't be traced.
    """
    pictures: list[Picture] = []
    with tqdm(total=len(prompts), desc=name, unit="image", disable=not progress) as bar:
        for first in range(0, len(prompts), batch_size):
            batch = prompts[first : first + batch_size]
            texts, seeds = [asked.text for asked in batch], [asked.seed for asked in batch]
            traced = generate_traced(world.pipeline, texts, seeds, world.generation)
            pictures += _judged(world, batch, traced)
            bar.update(len(batch))
    return pictures


def _judged(world: World, batch: Sequence[Asked], traced: Sequence[Traced]) -> list[Picture]:
    masks: list[dict[str, BoolMask | None]] | list[None] = [None] * len(batch)
    if world.annotator is not None:
        found = world.annotator.find([one.image for one in traced], [asked.nouns for asked in batch])
        masks = [{one.noun: one.mask if one.depicted else None for one in findings} for findings in found]
    return [
        Picture(asked, one.image, one.maps, seen)
        for asked, one, seen in zip(batch, traced, masks, strict=True)
    ]
