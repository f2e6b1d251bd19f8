"""Which attention layers, heads and steps a trace adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

from daam_bench.attribution.layout import Layer
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation

LayerChoice: TypeAlias = str | int | range | slice
"""A layer by its name in the denoiser, by its place in the family's list, or several by their places."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the attention is added up (section 2.2 of the paper: a UNet's down and up blocks).

    Attributes:
        blocks: Parts of the denoiser; None for those its family adds up by default.
        resolutions: How many times the layers' maps are smaller than the latents: 1, 2, 4, ...; None for all.
        layers: Single layers, instead of `blocks`; None for all of the blocks.
        heads: Indices of attention heads; None for all.
        steps: Indices of denoiser calls within one generation, from 0; None for all. A second-order scheduler
            makes two calls a step.
        streams: Names of text streams that words are looked up in; None for all that the prompt is in.
        normalize_over: "all": the softmax that the model computes. "text": over the text's keys alone.
        upscale: How layers' maps reach the common size.
        attention: "cross" for words, "self" for attention among the image's places.
        keep_heads: Whether each head's sum is kept, which takes that many times the memory.
        attribution_prompts: Texts whose words are compared with the image, one a prompt or one for all.
        attribution_scores: "raw" or "softmax" over the attribution text.
        outputs: Called with the outputs of each traced layer of joint attention.
        queries: Called with the image's queries of each traced layer of cross-attention.
    """

    blocks: tuple[str, ...] | None = None
    resolutions: frozenset[int] | None = None
    layers: tuple[LayerChoice, ...] | None = None
    heads: tuple[int, ...] | None = None
    steps: frozenset[int] | None = None
    streams: tuple[str, ...] | None = None
    normalize_over: str = "all"
    upscale: Interpolation = "bicubic"
    attention: tuple[str, ...] = ("cross",)
    keep_heads: bool = False
    attribution_prompts: str | tuple[str, ...] | None = None
    attribution_scores: str = "raw"
    outputs: Callable[[Any], None] | None = None
    queries: Callable[[Any], None] | None = None


def make_selection(
    *,
    blocks: str | Iterable[str] | None = None,
    resolutions: Iterable[int] | None = None,
    layers: LayerChoice | Iterable[LayerChoice] | None = None,
    heads: Iterable[int] | None = None,
    steps: Iterable[int] | None = None,
    streams: str | Iterable[str] | None = None,
    normalize_over: str = "all",
    upscale: Interpolation = "bicubic",
    attention: str | Iterable[str] = ("cross",),
    keep_heads: bool = False,
    attribution_prompts: str | Iterable[str] | None = None,
    attribution_scores: str = "raw",
    outputs: Callable[[Any], None] | None = None,
    queries: Callable[[Any], None] | None = None,
) -> Selection:
    """Check a selection as a user gave it.

    Raises:
        InputError: An unknown interpolation or kind of attention, an empty selection, or a negative index.
    """
    if upscale not in ("bicubic", "nearest"):
        raise InputError(f'upscale must be "bicubic" or "nearest", not {upscale!r}')
    if normalize_over not in ("all", "text"):
        raise InputError(f'normalize_over must be "all" or "text", not {normalize_over!r}')
    kinds = _names(attention) or ()
    block_names, stream_names = _names(blocks), _names(streams)
    if not kinds or set(kinds) - {"cross", "self"}:
        raise InputError(f'attention must be "cross", "self" or both, not {attention!r}')
    if attribution_scores not in ("raw", "softmax"):
        raise InputError(f'attribution_scores must be "raw" or "softmax", not {attribution_scores!r}')
    if attribution_prompts is not None and not isinstance(attribution_prompts, str):
        attribution_prompts = tuple(attribution_prompts)
    numbered = {"resolutions": resolutions, "heads": heads, "steps": steps}
    chosen = {name: None if numbers is None else tuple(numbers) for name, numbers in numbered.items()}
    for name, numbers in chosen.items():
        least = 1 if name == "resolutions" else 0
        if numbers is not None and any(not isinstance(n, int) or n < least for n in numbers):
            raise InputError(f"{name} must be whole numbers of at least {least}, not {numbers!r}")
    if layers is not None:
        layers = (layers,) if isinstance(layers, str | int | range | slice) else tuple(layers)
    given = {
        "blocks": block_names,
        "layers": layers,
        "streams": stream_names,
        "attribution_prompts": attribution_prompts,
        **chosen,
    }
    for name, value in given.items():
        if value is not None and len(value) == 0:
            raise InputError(f"{name} is empty, so there is nothing to trace; leave it out or name some")
    return Selection(
        blocks=block_names,
        resolutions=_set(chosen["resolutions"]),
        layers=layers,
        heads=None if chosen["heads"] is None else tuple(dict.fromkeys(chosen["heads"])),
        steps=_set(chosen["steps"]),
        streams=stream_names,
        normalize_over=normalize_over,
        upscale=upscale,
        attention=kinds,
        keep_heads=keep_heads,
        attribution_prompts=attribution_prompts,
        attribution_scores=attribution_scores,
        outputs=outputs,
        queries=queries,
    )


def select_layers(layers: list[Layer], selection: Selection, default: tuple[str, ...]) -> tuple[Layer, ...]:
    """Return the layers of a denoiser that a selection names.

    Args:
        layers: All its traced layers.
        selection: What was asked for.
        default: The blocks that are added up where neither blocks nor layers are named.

    Raises:
        InputError: No layer is selected, a named block or layer doesn't exist, or a layer lacks a named head.
    """
    there = list(dict.fromkeys(layer.block for layer in layers))
    blocks = selection.blocks or default
    if selection.layers is None:
        for block in blocks:
            if block not in there and selection.blocks is not None:
                names = " and ".join(f'"{name}"' for name in there)
                raise InputError(
                    f"there is no block {block!r} with attention to the prompt; there is {names}"
                )
        chosen = [layer for layer in layers if layer.block in blocks]
        if not chosen:
            raise InputError(f"the denoiser has no attention to the prompt in its {', '.join(blocks)} blocks")
    else:
        chosen = list(dict.fromkeys(one for choice in selection.layers for one in _chosen(layers, choice)))
    for layer in chosen:
        if selection.heads is not None and max(selection.heads) >= layer.heads:
            raise InputError(
                f"layer {layer.name} has heads 0 to {layer.heads - 1}, not {max(selection.heads)}; "
                "name heads that all traced layers have, or trace fewer layers"
            )
    return tuple(chosen)


def _chosen(layers: list[Layer], choice: LayerChoice) -> list[Layer]:
    if isinstance(choice, slice):
        found = layers[choice]
    elif isinstance(choice, int | range):
        places = [choice] if isinstance(choice, int) else list(choice)
        wrong = [place for place in places if not 0 <= place < len(layers)]
        if wrong:
            raise InputError(f"layers have places 0 to {len(layers) - 1}, not {wrong[0]}")
        found = [layers[place] for place in places]
    else:
        found = [layer for layer in layers if choice in (layer.name, layer.block)]
        if not found:
            names = [layer.name for layer in layers]
            near = get_close_matches(choice, names, n=1, cutoff=0) or ["none"]
            raise InputError(
                f"the denoiser has no layer {choice!r} with attention to the prompt; the nearest name is "
                f"{near[0]!r}"
            )
    if not found:
        raise InputError(f"layers {choice} holds none of the {len(layers)} layers")
    return found


def layer_size(latent_size: tuple[int, ...], places: int) -> tuple[int, tuple[int, ...]]:
    """Find a layer's map size from its number of places, by halving the latents, odd lengths rounded up.

    Args:
        latent_size: (height, width) of the latents.
        places: Number of queries of the layer.

    Returns:
        The factor (1, 2, 4, ...) and the layer's (height, width).

    Raises:
        InputError: No halving of the latents has that many places.

    >>> layer_size((9, 16), 40)
    (2, (5, 8))
    """
    height, width = latent_size
    factor = 1
    while height * width > places:
        factor, height, width = factor * 2, (height + 1) // 2, (width + 1) // 2
        if height == width == 1:
            break
    if height * width != places:
        raise InputError(
            f"an attention layer has {places} places, which is no halving of latents of size {latent_size}; "
            "is something merging tokens? Take it off before tracing"
        )
    return factor, (height, width)


def _set(numbers: tuple[int, ...] | None) -> frozenset[int] | None:
    return None if numbers is None else frozenset(numbers)


def _names(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    return None if value is None else (value,) if isinstance(value, str) else tuple(value)
