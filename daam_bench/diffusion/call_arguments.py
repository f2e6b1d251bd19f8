"""The arguments of a pipeline's call: the pipeline's own defaults, and further ones that a user names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from daam_bench.types import Generation
from daam_bench.types.errors import InputError


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
    """Check that a pipeline's call has an argument that can be chosen freely; see `check_further`."""
    from daam_bench.diffusion.further_arguments import check_further

    check_further(type(pipeline).__name__, name, list(_parameters(pipeline)))


def _parameters(pipeline: Any) -> Mapping[str, Parameter]:
    """Return the named parameters of a pipeline's call."""
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {
        name: parameter
        for name, parameter in signature(type(pipeline).__call__).parameters.items()
        if parameter.kind in named and name != "self"
    }
