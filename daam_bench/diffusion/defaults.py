"""How a model generates by default: its preset, or its pipeline's own steps, guidance scale and size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from daam_bench.diffusion.call_arguments import call_arguments, check_argument, own_default, takes
from daam_bench.diffusion.pipelines import SHIPPED
from daam_bench.diffusion.presets import preset_of
from daam_bench.emoji import GUIDANCE_SCALE, SIBLINGS, STEPS
from daam_bench.types import Generation
from daam_bench.types.errors import InputError


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
    arguments: Mapping[str, Any] | None = None,
    variant: str | None = None,
) -> Generation:
    """Return how a model generates by default: at its own size, with its own scheduler.

    Steps, guidance scale and further arguments are those of the model's preset (`preset_of`), else the
    defaults of the pipeline's call; those of the shipped model, "emoji", are 50 and 3. Sizes are in pixels;
    `arguments` go before the preset's.

    Raises:
        InputError: The pipeline doesn't say at what size it generates, and the size isn't given; or it lacks
            an argument that is.
    """
    if height is None or width is None:
        default = default_size(pipeline)
        height, width = height or default[0], width or default[1]
    preset = preset_of(model)
    if guidance_scale is None:
        usual = GUIDANCE_SCALE if model in (SHIPPED, *SIBLINGS) else own_default(pipeline, "guidance_scale")
        if preset is not None and takes(pipeline, "guidance_scale"):
            usual = preset.guidance_scale
        guidance_scale = None if usual is None else float(usual)
    if steps is None:
        steps = preset.steps if preset else own_default(pipeline, "num_inference_steps") or STEPS
    of_preset = {
        name: value for name, value in (preset.arguments if preset else {}).items() if takes(pipeline, name)
    }
    generation = Generation(
        model=model,
        revision=revision,
        scheduler=type(pipeline.scheduler).__name__,
        steps=steps,
        guidance_scale=guidance_scale,
        height=height,
        width=width,
        dtype=dtype,
        arguments=_to_json(pipeline, {**of_preset, **(arguments or {})}),
        variant=variant,
    )
    call_arguments(pipeline, generation, 1)
    return generation


def default_size(pipeline: Any) -> tuple[int, int]:
    """Return the (height, width) in pixels that a pipeline generates by default.

    Raises:
        InputError: It does not say.
    """
    signed = own_default(pipeline, "height"), own_default(pipeline, "width")
    if all(isinstance(length, int) for length in signed):
        return signed
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    usual = getattr(getattr(denoiser, "config", None), "sample_size", None)
    sample = getattr(pipeline, "default_sample_size", None) or usual
    factor = getattr(pipeline, "vae_scale_factor", None)
    if sample is None or factor is None:
        raise InputError(
            f"{type(pipeline).__name__} doesn't say at what size it generates; give --height and --width"
        )
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return height * factor, width * factor


def takes_whole(pipeline: Any, prompt: str, *, limit: int | None = None) -> bool:
    """Tell whether a prompt fits each tokenizer of a pipeline, so that nothing of it is cut off.

    `limit` is how many tokens a text encoder is fed at most, where the pipeline's call says it.
    """
    tokenizers = [part for name, part in pipeline.components.items() if "tokenizer" in name and part]
    return all(
        len(tokenizer(prompt, truncation=False, verbose=False).input_ids)
        <= min(tokenizer.model_max_length, limit or tokenizer.model_max_length)
        for tokenizer in tokenizers
    )


def _to_json(pipeline: Any, arguments: Mapping[str, Any]) -> str | None:
    """Return further arguments of a pipeline's call as they are recorded: JSON, or None for none."""
    for name in arguments:
        check_argument(pipeline, name)
    return json.dumps(dict(arguments), sort_keys=True) if arguments else None
