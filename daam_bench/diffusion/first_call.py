"""The arguments that a pipeline hands its denoiser for some prompts, as of its first call.

How a family's denoiser is called is its pipeline's own business: packed latents, position ids, pooled text,
guidance. So the pipeline is called with the prompts, stopped at its first call of the denoiser, and asked.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from daam_bench.types.errors import InputError

SAMPLES = ("sample", "hidden_states", "x")
"""What denoisers call their noisy latents."""


class _FirstCallError(Exception):
    """Stops a pipeline at its first call of the denoiser."""


def first_call(
    pipeline: Any, prompts: list[str], images: Sequence[Image.Image], size: tuple[int, int]
) -> tuple[dict[str, Any], float]:
    """Return the denoiser's arguments at the pipeline's first call, and the time step planned for it."""
    parameters = inspect.signature(pipeline.__call__).parameters
    settings: dict[str, Any] = {"num_inference_steps": 3, "output_type": "latent"}
    settings |= {"width": size[0], "height": size[1], "use_resolution_binning": False, "strength": 1.0}
    if "strength" in parameters:
        settings["image"] = [image.resize(size) for image in images]
    config = denoiser_of(pipeline).config
    embedded = config.get("guidance_embeds") or config.get("time_cond_proj_dim")
    scales: list[dict[str, float]] = [{"guidance_scale": 1.0}, {"guidance_scale": 0.0}]
    given = "guidance_scale" in parameters and parameters["guidance_scale"].default is not None
    # Guidance is off at 1, or only at 0; where it is embedded, the pipeline's default stays.
    for scale in scales if given and not embedded else [{}]:
        known = {name: value for name, value in (settings | scale).items() if name in parameters}
        arguments, planned = _stopped(pipeline, prompts, known)
        sample = next(arguments[name] for name in SAMPLES if name in arguments)
        if len(sample) == len(images):
            return arguments, planned
    raise InputError(f"{cannot_noise(pipeline)}: its guidance can't be switched off")


def _stopped(pipeline: Any, prompts: list[str], settings: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    seen: dict[str, Any] = {}

    def stop(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = inspect.signature(type(module).forward).bind_partial(module, *args, **kwargs).arguments
        seen.update(list(bound.items())[1:])
        raise _FirstCallError

    generator = torch.Generator("cpu").manual_seed(0)
    hook = denoiser_of(pipeline).register_forward_pre_hook(stop, with_kwargs=True, prepend=True)
    try:
        with _own_scheduler(pipeline) as scheduler:
            try:
                pipeline(prompt=list(prompts), generator=generator, **settings)
            except _FirstCallError:
                return seen, float(scheduler.timesteps[0])
            except (TypeError, ValueError, AttributeError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise InputError(
                    f"{cannot_noise(pipeline)}: its call with prompts alone failed ({reason})"
                ) from error
    finally:
        hook.remove()
    raise InputError(f"{cannot_noise(pipeline)}: it doesn't call its denoiser")


@contextmanager
def _own_scheduler(pipeline: Any) -> Iterator[Any]:
    """Lend the pipeline a copy of its scheduler, and quiet its progress bar."""
    scheduler, progress = pipeline.scheduler, getattr(pipeline, "_progress_bar_config", None)
    pipeline.scheduler = copy.deepcopy(scheduler)
    pipeline.set_progress_bar_config(disable=True)
    try:
        yield pipeline.scheduler
    finally:
        pipeline.scheduler = scheduler
        if progress is None:
            del pipeline._progress_bar_config
        else:
            pipeline._progress_bar_config = progress


def time_rule(pipeline: Any, seen: float, planned: float, trained: int) -> Callable[[int], float]:
    """Find out how a denoiser is told the time: as it is, as a share, or counted down from 1."""
    scale = float(denoiser_of(pipeline).config.get("timestep_scale") or 1.0)
    rules: list[Callable[[float], float]] = [
        lambda time: time * scale,
        lambda time: time / trained,
        lambda time: 1 - time / trained,
    ]
    for rule in rules:
        if math.isclose(rule(planned), seen, rel_tol=0.01, abs_tol=0.001):
            return rule
    raise InputError(
        f"{cannot_noise(pipeline)}: its denoiser is told {seen:g} at time step {planned:g}, in a way "
        "that is not known here"
    )


def denoiser_of(pipeline: Any) -> Any:
    """Return a pipeline's UNet or transformer; None for neither."""
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def cannot_noise(pipeline: Any) -> str:
    """Return how a refusal begins."""
    return f"{type(pipeline).__name__} can't noise given images"
