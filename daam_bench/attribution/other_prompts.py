"""Prompts of a trace other than the generating one: what can be asked for, and how they are encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import BoundArguments
from typing import Any

from daam_bench.attribution.extra_text import riding_blocks
from daam_bench.attribution.layout import Architecture, Layer
from daam_bench.attribution.selection import Selection
from daam_bench.types.errors import InputError


def check_extras(
    pipeline: Any, architecture: Architecture, traced: tuple[Any, tuple[Layer, ...]], selection: Selection
) -> None:
    """Refuse what a family can't give.

    Raises:
        InputError: What was asked for beside words isn't there.
    """
    denoiser, layers = traced
    apart = architecture.self_layers
    if "self" in selection.attention and apart is not None and not apart(denoiser):
        raise InputError(f"{type(denoiser).__name__} has no self-attention with a softmax to be traced")
    blocks = {layer.block for layer in layers}
    joint, name = bool(blocks & {"double", "single"}), type(pipeline).__name__
    if selection.outputs is not None and not joint:
        raise InputError(f"outputs are those of joint attention, which the denoiser of {name} doesn't have")
    if selection.queries is not None and joint:
        raise InputError(
            f"queries are handed on of cross-attention, and {name} has joint attention, where they change "
            "with the text"
        )
    if selection.attribution_prompts is None or not joint:
        return
    if not riding_blocks(architecture, denoiser):
        raise InputError(
            f"attribution prompts can't be compared in {name}: no other text can ride along in its blocks"
        )
    if "double" not in blocks:
        raise InputError("attribution prompts are compared in double blocks, and none is traced")


def attribution_prompts(texts: str | Sequence[str] | None, prompts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the attribution prompt of each prompt: one for each, or a single text for all.

    Raises:
        InputError: There are no prompts, or other many.
    """
    if prompts is None:
        raise InputError("attribution prompts need a pipeline that is given prompts, not prompt_embeds")
    texts = (texts,) * len(prompts) if isinstance(texts, str) else tuple(texts or ())
    if len(texts) != len(prompts):
        raise InputError(
            f"there are {len(texts)} attribution prompts for {len(prompts)} prompts; give one for each, "
            "or a single text for all"
        )
    return texts


def encoding_of(
    encode: Callable[..., Any], given: BoundArguments, prompts: Sequence[str]
) -> Callable[[], Any]:
    """Return a call of `encode_prompt` with other prompts than it was given, and without negative ones."""
    bound = given.signature.bind(*given.args, **given.kwargs)
    for name in bound.arguments:
        own = name in ("prompt_2", "prompt_3", "prompt_4") or "prompt_embeds" in name
        if own and not name.startswith("negative"):
            bound.arguments[name] = None
        if name == "do_classifier_free_guidance":
            bound.arguments[name] = False
    bound.arguments["prompt"] = list(prompts)
    return partial(encode, *bound.args, **bound.kwargs)
