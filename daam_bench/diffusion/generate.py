"""Generating images from prompts and seeds: the one way in which every image of the package is generated."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from PIL import Image

from daam_bench.diffusion.pipelines import SHIPPED
from daam_bench.emoji import GUIDANCE_SCALE, STEPS
from daam_bench.types import Generation
from daam_bench.types.errors import InputError

PAPER_GUIDANCE_SCALE = 7.5
"""Guidance scale of the paper's images, which is Stable Diffusion's usual one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """An image, and whether the pipeline's safety checker put a black one in its place."""

    image: Image.Image
    blanked: bool


def generate(
    pipeline: Any,
    prompts: Sequence[str],
    seeds: Sequence[int],
    generation: Generation,
    *,
    batch_size: int | None = None,
) -> list[GeneratedImage]:
    """Generate one image a prompt, each from its own seed.

    The noise comes from the CPU's generators, so it is the same on every device, and no image depends on
    its batch but for rounding.

    Args:
        pipeline: A diffusers pipeline. It keeps the scheduler that it generates with.
        prompts: The prompts.
        seeds: One seed a prompt.
        generation: Scheduler, steps, guidance scale and size.
        batch_size: Most images in one call of the pipeline; None for all in one.

    Raises:
        InputError: Diffusers has no such scheduler.
    """
    import torch

    set_scheduler(pipeline, generation.scheduler)
    images: list[GeneratedImage] = []
    for batch in batches(list(zip(prompts, seeds, strict=True)), batch_size or len(prompts)):
        output = pipeline(
            [prompt for prompt, _ in batch],
            num_inference_steps=generation.steps,
            guidance_scale=generation.guidance_scale,
            height=generation.height,
            width=generation.width,
            generator=[torch.Generator("cpu").manual_seed(seed) for _, seed in batch],
        )
        blanked = getattr(output, "nsfw_content_detected", None) or [False] * len(batch)
        images += [
            GeneratedImage(image, bool(flag)) for image, flag in zip(output.images, blanked, strict=True)
        ]
    return images


def batches(
    items: Sequence[T], size: int, key: Callable[[T], Hashable] = lambda item: None
) -> Iterator[list[T]]:
    """Part items into batches.

    Args:
        items: The items.
        size: Most items in a batch.
        key: What the items of one batch have in common, such as how their images were generated.

    Yields:
        The batches, key after key as they first occur.

    >>> list(batches([1, 3, 2, 5], 2, key=lambda number: number % 2))
    [[1, 3], [5], [2]]
    """
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def usual_generation(
    pipeline: Any,
    model: str,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    steps: int | None = None,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Generation:
    """Return how a model generates by default: at its own size with its own scheduler, in 50 steps.

    Args:
        pipeline: The loaded pipeline, with the scheduler to use.
        model: Its hub id or path; "emoji" is the shipped one.
        revision: Its revision.
        dtype: What it was loaded as.
        steps: Another number of steps.
        guidance_scale: Another guidance scale than 3 for the shipped model and 7.5 for others.
        height: Another height, in pixels.
        width: Another width, in pixels.

    Raises:
        InputError: The pipeline doesn't say at what size it generates, and the size isn't given.
    """
    if height is None or width is None:
        default = default_size(pipeline)
        height, width = height or default[0], width or default[1]
    usual_guidance = GUIDANCE_SCALE if model == SHIPPED else PAPER_GUIDANCE_SCALE
    return Generation(
        model=model,
        revision=revision,
        scheduler=type(pipeline.scheduler).__name__,
        steps=STEPS if steps is None else steps,
        guidance_scale=usual_guidance if guidance_scale is None else guidance_scale,
        height=height,
        width=width,
        dtype=dtype,
    )


def set_scheduler(pipeline: Any, name: str) -> None:
    """Let a pipeline generate with a scheduler of diffusers, configured as its present one.

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
    """Return the (height, width) in pixels that a pipeline generates by default.

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
            f"{type(pipeline).__name__} doesn't say at what size it generates; give --height and --width"
        )
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return height * factor, width * factor
