"""Generating images from prompts and seeds, the one way of the package, and reproducing a dataset's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from daam_bench.diffusion.call_arguments import call_arguments
from daam_bench.types import Generation, Query
from daam_bench.types.errors import InputError

DRIFT_TOLERANCE = 4.0
"""Mean absolute difference, in grey levels from 0 to 255, up to which two images count as the same.

Other hardware or another batch size rounds differently, which shifts pixels by less than this; another seed,
prompt or model shifts them by tens.
"""

_NEUTRAL = {"clip_sample": False}
"""Settings that some schedulers have and others lack, as they are where they are missing.

By default DDIM and DDPM clip latents to [-1, 1], which PNDM and Euler never do: a change from PNDM to DDIM
would move the pixels of the shipped model's images by 75 grey levels on average in place of 1.
"""

_SHIFT = ("shift", "flow_shift")

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
    its batch but for rounding. The pipeline keeps the scheduler that it generates with.

    A call of the pipeline generates at most `batch_size` images; all for None.

    Raises:
        InputError: Diffusers has no such scheduler, or the pipeline can't generate with these settings or
            not in this memory.
    """
    import torch

    set_scheduler(pipeline, generation.scheduler)
    images: list[GeneratedImage] = []
    for batch in batches(list(zip(prompts, seeds, strict=True)), batch_size or len(prompts)):
        call = call_arguments(pipeline, generation, len(batch))
        noise = [torch.Generator("cpu").manual_seed(seed) for _, seed in batch]
        with _told_in_a_line(pipeline, len(batch)):
            output = pipeline(prompt=[prompt for prompt, _ in batch], **call, generator=noise)
        blanked = getattr(output, "nsfw_content_detected", None) or [False] * len(batch)
        images += [
            GeneratedImage(image, bool(flag)) for image, flag in zip(output.images, blanked, strict=True)
        ]
    return images


@contextmanager
def _told_in_a_line(pipeline: Any, count: int) -> Iterator[None]:
    """Raise what a pipeline says of its arguments, or of too little memory, as an InputError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{count} images at once need more memory than there is; give a smaller --batch-size, --offload "
            "or a --dtype of half the size"
        ) from error
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{type(pipeline).__name__} can't generate with these settings: {reason}") from error


def batches(
    items: Sequence[T], size: int, key: Callable[[T], Hashable] = lambda item: None
) -> Iterator[list[T]]:
    """Part items into batches of at most `size`, whose items have a key in common; keys as they first occur.

    >>> list(batches([1, 3, 2, 5], 2, key=lambda number: number % 2))
    [[1, 3], [5], [2]]
    """
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def reproduce(pipeline: Any, queries: Sequence[Query], generation: Generation) -> dict[str, float]:
    """Generate the images of queries of one generation again, as one batch.

    Returns:
        Their drift by id: the mean absolute difference to the recorded image, see `mean_difference`.

    Raises:
        InputError: A query records no seed, or diffusers has no such scheduler.
    """
    prompts, seeds = [query.prompt for query in queries], []
    for query in queries:
        if query.seed is None:
            raise InputError(
                f"example {query.id!r} records how it was generated but no seed; its dataset needs fixing"
            )
        seeds.append(query.seed)
    images = generate(pipeline, prompts, seeds, generation)
    return {
        query.id: mean_difference(generated.image, query.image)
        for query, generated in zip(queries, images, strict=True)
    }


def settings_of(query: Query) -> Hashable:
    """Return what the queries of one batch share: their generation, or the size of given images."""
    return query.generation or query.image.size


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference of two images' RGB values, 0 to 255; 255 if they differ in size.

    >>> mean_difference(Image.new("RGB", (2, 1), "black"), Image.new("RGB", (2, 1), (3, 0, 0)))
    1.0
    """
    if one.size != other.size:
        return 255.0
    pixels = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def set_scheduler(pipeline: Any, name: str) -> None:
    """Let a pipeline generate with a scheduler of diffusers, configured as its present one.

    Raises:
        InputError: Diffusers has no such scheduler, or one of the two matches flows and the other does not.
    """
    if type(pipeline.scheduler).__name__ == name:
        return
    import diffusers

    scheduler = getattr(diffusers, name, None)
    if scheduler is None or not name.endswith("Scheduler"):
        raise InputError(
            f"diffusers has no scheduler {name!r}; upgrade diffusers, or name one such as 'DDIMScheduler'"
        )
    config = pipeline.scheduler.config
    known = signature(scheduler.__init__).parameters
    flows = "FlowMatch" in type(pipeline.scheduler).__name__ or bool(config.get("use_flow_sigmas"))
    if flows != (
        "FlowMatch" in name or (flows and "use_flow_sigmas" in config and "use_flow_sigmas" in known)
    ):
        other = "a flow-matching one" if flows else "none that matches flows"
        raise InputError(
            f"{type(pipeline).__name__} can't generate with {name}: its model was trained for {other}, such "
            f"as {type(pipeline.scheduler).__name__}"
        )
    # How far a flow's steps are shifted has two names, of which a scheduler knows one.
    shifts = {new: config[old] for new, old in (_SHIFT, _SHIFT[::-1]) if old in config}
    given = {name: value for name, value in (_NEUTRAL | shifts).items() if name in known}
    missing = {name: value for name, value in given.items() if name not in config}
    pipeline.scheduler = scheduler.from_config(config, **missing)


def scheduled_calls(pipeline: Any, generation: Generation) -> int:
    """Return how often a pipeline calls its denoiser in a generation, whose scheduler it gets.

    Raises:
        InputError: See `set_scheduler`.
    """
    set_scheduler(pipeline, generation.scheduler)
    # How many calls there are doesn't depend on how far a flow's steps are shifted.
    shift = {"mu": 1.0} if pipeline.scheduler.config.get("use_dynamic_shifting") else {}
    pipeline.scheduler.set_timesteps(generation.steps, **shift)
    return len(pipeline.scheduler.timesteps)
