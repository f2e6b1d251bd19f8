"""The arguments of a pipeline's call: the pipeline's own defaults, and further ones that a user names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

from daam_bench.types import Generation
from daam_bench.types.errors import InputError

_SET_ELSEWHERE = {
    "prompt": "prompts come from the dataset or the command",
    "num_inference_steps": "give --steps",
    "guidance_scale": "give --guidance",
    "height": "give --height",
    "width": "give --width",
    "generator": "the seed sets the noise",
    "latents": "the seed sets the noise",
    "num_images_per_prompt": "each prompt has one image",
    "output_type": "images come out as such",
    "return_dict": "images come out as such",
}
"""Arguments of a pipeline's call that can't be chosen freely, and why."""

_NOT_JSON = ("callback", "embeds", "image", "timesteps", "sigmas")
"""Parts of the names of arguments that take tensors, images or functions."""


def own_default(pipeline: Any, name: str) -> Any:
    """Return the default of an argument of a pipeline's call; None where it has no such argument.

    >>> def call(self, prompt=None, num_inference_steps=28): ...
    >>> own_default(type("Pipeline", (), {"__call__": call})(), "num_inference_steps")
    28
    """
    parameter = _parameters(pipeline).get(name)
    return None if parameter is None or parameter.default is Parameter.empty else parameter.default


def takes(pipeline: Any, name: str) -> bool:
    """Tell whether a pipeline's call has an argument."""
    return name in _parameters(pipeline)


def call_arguments(pipeline: Any, generation: Generation, count: int) -> dict[str, Any]:
    """Return the arguments that a generation calls a pipeline with for `count` prompts, but prompt and noise.

    A text, such as a negative prompt, is repeated for each prompt, as pipelines ask for.

    Raises:
        InputError: The pipeline has no such argument, generates videos, or crops what it generates; or what
            is recorded can't be read.
    """
    if takes(pipeline, "num_frames"):
        raise InputError(
            f"{type(pipeline).__name__} generates videos, not images; in Python trace(pipeline) takes it"
        )
    call: dict[str, Any] = {"num_inference_steps": generation.steps}
    if generation.guidance_scale is not None:
        if not takes(pipeline, "guidance_scale"):
            raise InputError(f"{type(pipeline).__name__} has no guidance scale; leave --guidance out")
        call["guidance_scale"] = generation.guidance_scale
    call |= {"height": generation.height, "width": generation.width}
    for name, value in _from_json(generation.arguments).items():
        check_argument(pipeline, name)
        call[name] = [value] * count if isinstance(value, str) and "prompt" in name else value
    crops = call.get("use_resolution_binning", own_default(pipeline, "use_resolution_binning"))
    if crops and generation.height != generation.width:
        raise InputError(
            f"{type(pipeline).__name__} generates at a size that it was trained at and crops the image, so "
            "that its maps would lie elsewhere; give --argument use_resolution_binning=false, or a square"
        )
    return call


def _from_json(recorded: str | None) -> dict[str, Any]:
    try:
        arguments = json.loads(recorded or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise InputError(
            f"generation.arguments must be a JSON object, not {recorded!r:.80}; the dataset needs fixing"
        )
    return arguments


def check_argument(pipeline: Any, name: str) -> None:
    """Check that a pipeline's call has an argument that can be chosen freely.

    Raises:
        InputError: It has none of this name, or the argument is set elsewhere; the line says where, or what
            was meant.
    """
    if name in _SET_ELSEWHERE:
        raise InputError(f"{name} is no further argument: {_SET_ELSEWHERE[name]}")
    free = [
        known
        for known in _parameters(pipeline)
        if known not in _SET_ELSEWHERE and not any(part in known for part in _NOT_JSON)
    ]
    if name not in free:
        near = get_close_matches(name, free, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise InputError(
            f"{type(pipeline).__name__} takes no argument {name!r}{hint} It takes {', '.join(free)}"
        )


def _parameters(pipeline: Any) -> Mapping[str, Parameter]:
    """Return the named parameters of a pipeline's call."""
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {
        name: parameter
        for name, parameter in signature(type(pipeline).__call__).parameters.items()
        if parameter.kind in named and name != "self"
    }
