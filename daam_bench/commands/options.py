"""What commands share: the options of a model that generates images, loading it, choosing splits."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daam_bench.segmenters.registry import VARIANT, add_offload, parse_option
from daam_bench.types.errors import InputError, check_steps, did_you_mean, full_dtype

if TYPE_CHECKING:
    from daam_bench.types import Generation


USUAL_DTYPE = "float32; on a GPU that of the model's card, where it is known"
"""What a model is loaded as that generates by no record."""


def add_model(parser: argparse.ArgumentParser, default: str | None = "emoji", purpose: str = "") -> None:
    """Add the options of the model that generates."""
    add, pipeline = parser.add_argument, f"diffusers pipeline{purpose} (default: emoji)"
    add("--model", default=default, metavar="emoji|PATH|HUB_ID", help=pipeline)
    add("--revision", help="its revision on the hub (default: the newest)")
    add("--variant", metavar="NAME", help=VARIANT)
    add_call(parser, purpose)


def add_call(parser: argparse.ArgumentParser, purpose: str = "") -> None:
    """Add the options of how a model is called."""
    add, own = parser.add_argument, f"{purpose} (default: the pipeline's own)"
    add("--steps", type=int, metavar="N", help=f"inference steps{own}")
    add("--guidance", type=float, metavar="G", help=f"guidance scale{own[:-1]}; 3 for emoji)")
    add("--height", type=int, metavar="PIXELS", help=f"height of the images{own}")
    add("--width", type=int, metavar="PIXELS", help=f"width of the images{own}")
    further = (
        "further argument of the pipeline's call, such as max_sequence_length=256; a value is JSON, or else "
        "text (may be repeated)"
    )
    add("--argument", action="append", default=[], type=parse_option, metavar="NAME=VALUE", help=further)


def add_place(parser: argparse.ArgumentParser, usual_dtype: str) -> None:
    """Add the options of where and as what a model runs, and of the threshold of its maps."""
    add = parser.add_argument
    add("--tau", type=float, default=0.4, metavar="T", help="threshold in [0, 1] (default: 0.4)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    add("--dtype", type=full_dtype, help=f"float32, float16 or bfloat16 (default: {usual_dtype})")
    add_offload(parser)


def choose_splits(given: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the splits that an option names; all of them without the option.

    Raises:
        InputError: One is not in the dataset.
    """
    if given is None:
        return list(known)
    for name in given:
        if name not in known:
            raise InputError(
                f"no split {name!r} in the dataset{did_you_mean(name, known)}; it holds {', '.join(known)}"
            )
    return list(given)


def load_model(
    arguments: argparse.Namespace, model: str, dtype: str | None, *, only_to_plan: bool = False
) -> tuple[Any, Generation, str]:
    """Return the pipeline of --model, how it generates, and the device.

    Args:
        arguments: What `add_model` and `add_place` added.
        model: The model.
        dtype: What to load it as; None for `daam_bench.diffusion.presets.usual_dtype`.
        only_to_plan: It is to leave the GPUs to workers, which load their own.

    Raises:
        InputError: It can't be loaded, or a setting is out of range.
    """
    check_steps(arguments.steps)
    from daam_bench.diffusion.defaults import usual_generation
    from daam_bench.diffusion.pipelines import load_pipeline, pick_device
    from daam_bench.diffusion.presets import usual_dtype

    device = pick_device(arguments.device)
    dtype = dtype or usual_dtype(model, device)
    place = "cpu" if only_to_plan else device
    offload = None if only_to_plan else arguments.offload
    variant = arguments.variant
    pipeline = load_pipeline(model, arguments.revision, place, dtype, offload=offload, variant=variant)
    generation = usual_generation(
        pipeline,
        model,
        revision=arguments.revision,
        dtype=dtype,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
        height=arguments.height,
        width=arguments.width,
        arguments=dict(arguments.argument),
        variant=variant,
    )
    return pipeline, generation, device
