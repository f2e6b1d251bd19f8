"""Drawing prompts from their seeds: the one way in which every image of the package is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from daam_bench.types import Generation
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class Drawing:
    """An image, and whether the pipeline's safety checker put a black one in its place."""

    image: Image.Image
    blanked: bool


def draw(
    pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], generation: Generation
) -> list[Drawing]:
    """Draw one image a prompt, each from its own seed.

    The noise comes from the CPU's generators, so it is the same on every device, and no image depends on
    its batch but for rounding.

    Args:
        pipeline: A diffusers pipeline. It keeps the scheduler that it draws with.
        prompts: The prompts.
        seeds: One seed a prompt.
        generation: Scheduler, steps, guidance scale and size to draw with.

    Raises:
        InputError: Diffusers has no such scheduler.
    """
    import torch

    set_scheduler(pipeline, generation.scheduler)
    output = pipeline(
        list(prompts),
        num_inference_steps=generation.steps,
        guidance_scale=generation.guidance_scale,
        height=generation.height,
        width=generation.width,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    )
    blanked = getattr(output, "nsfw_content_detected", None) or [False] * len(prompts)
    return [Drawing(image, bool(flag)) for image, flag in zip(output.images, blanked, strict=True)]


def set_scheduler(pipeline: Any, name: str) -> None:
    """Let a pipeline draw with a scheduler of diffusers, configured as its present one.

    Raises:
        InputError: Diffusers has no such scheduler.
    """
    if type(pipeline.scheduler).__name__ == name:
        return
    import diffusers

    scheduler = getattr(diffusers, name, None)
    if scheduler is None or not name.endswith("Scheduler"):
        raise InputError(
            f"diffusers has no scheduler {name!r}; upgrade diffusers, or name one such as 'DDIMScheduler'"
        )
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)


def default_size(pipeline: Any) -> tuple[int, int]:
    """Return the (height, width) in pixels that a pipeline draws by default.

    Raises:
        InputError: It does not say.
    """
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    sample = getattr(pipeline, "default_sample_size", None) or getattr(
        getattr(denoiser, "config", None), "sample_size", None
    )
    factor = getattr(pipeline, "vae_scale_factor", None)
    if sample is None or factor is None:
        raise InputError(
            f"{type(pipeline).__name__} doesn't say what size it draws at; give --height and --width"
        )
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return height * factor, width * factor
