"""Which further arguments of a pipeline's call a user may choose."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

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


def check_further(pipeline: str, name: str, parameters: Sequence[str]) -> None:
    """Check that a class of pipelines, whose call has these parameters, has one that can be chosen freely.

    Raises:
        InputError: It has none of this name, or the argument is set elsewhere; the line says where, or what
            was meant.
    """
    if name in _SET_ELSEWHERE:
        raise InputError(f"{name} is no further argument: {_SET_ELSEWHERE[name]}")
    free = [
        known
        for known in parameters
        if known not in _SET_ELSEWHERE and not any(part in known for part in _NOT_JSON)
    ]
    if name not in free:
        near = get_close_matches(name, free, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise InputError(f"{pipeline} takes no argument {name!r}{hint} It takes {', '.join(free)}")
