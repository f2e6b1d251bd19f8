"""Drawing prompts from their seeds and keeping what every word of them looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import default_size, draw
from daam_bench.diffusion.pipelines import SHIPPED
from daam_bench.emoji import GUIDANCE_SCALE, STEPS
from daam_bench.types import Generation
from daam_bench.types.errors import InputError

PAPER_GUIDANCE_SCALE = 7.5
"""Guidance scale of the paper's images, which is Stable Diffusion's usual one."""


@dataclass(frozen=True, slots=True)
class Traced:
    """An image and the heat maps of its prompt's words."""

    image: Image.Image
    maps: ImageHeatMaps


def check_settings(tau: float, batch_size: int) -> None:
    """Check what an analysis is asked for.

    Raises:
        InputError: tau is outside [0, 1], or a batch is empty.
    """
    if not 0 <= tau <= 1:
        raise InputError(f"tau is a share of the heat map's maximum in [0, 1], not {tau}")
    if batch_size < 1:
        raise InputError(f"the batch size must be at least 1, not {batch_size}")


def generate_traced(
    pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], generation: Generation
) -> list[Traced]:
    """Draw prompts as one batch, each from its own seed, with DAAM (section 2.2 of the paper).

    Args:
        pipeline: A diffusers pipeline that can be traced.
        prompts: The prompts.
        seeds: One seed a prompt.
        generation: Scheduler, steps, guidance scale and size to draw with.

    Raises:
        InputError: The pipeline can't be traced, or diffusers has no such scheduler.
    """
    from daam_bench.attribution.trace import trace

    with trace(pipeline) as tracer:
        drawings = draw(pipeline, prompts, seeds, generation)
    return [Traced(drawing.image, maps) for drawing, maps in zip(drawings, tracer.heat_maps(), strict=True)]


def usual_generation(
    pipeline: Any,
    model: str,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> Generation:
    """Return how a model draws by default: at its own size with its own scheduler, in 50 steps.

    Args:
        pipeline: The loaded pipeline.
        model: Its hub id or path; "emoji" is the shipped one.
        revision: Its revision.
        dtype: What it was loaded as.
        steps: Another number of steps.
        guidance_scale: Another guidance scale than 3 for the shipped model and 7.5 for others.
    """
    usual = GUIDANCE_SCALE if model == SHIPPED else PAPER_GUIDANCE_SCALE
    height, width = default_size(pipeline)
    return Generation(
        model=model,
        revision=revision,
        scheduler=type(pipeline.scheduler).__name__,
        steps=STEPS if steps is None else steps,
        guidance_scale=usual if guidance_scale is None else guidance_scale,
        height=height,
        width=width,
        dtype=dtype,
    )
