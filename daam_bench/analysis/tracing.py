"""Generating prompts from their seeds, traced: images with the heat maps of their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import generate
from daam_bench.types import Generation


@dataclass(frozen=True, slots=True)
class Traced:
    """An image and the heat maps of its prompt's words."""

    image: Image.Image
    maps: ImageHeatMaps


def generate_traced(
    pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], generation: Generation
) -> list[Traced]:
    """Generate prompts as one batch, each from its own seed, with DAAM (section 2.2 of the paper).

    Args:
        pipeline: A diffusers pipeline that can be traced.
        prompts: The prompts.
        seeds: One seed a prompt.
        generation: Scheduler, steps, guidance scale and size to generate with.

    Raises:
        InputError: The pipeline can't be traced, or diffusers has no such scheduler.
    """
    from daam_bench.attribution.trace import trace

    with trace(pipeline) as tracer:
        images = generate(pipeline, prompts, seeds, generation)
    return [Traced(one.image, maps) for one, maps in zip(images, tracer.heat_maps(), strict=True)]
