"""Which attention layers, heads and steps a trace adds up."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation

BLOCKS = ("down", "mid", "up")
BLOCK_OF_MODULE = {"down_blocks": "down", "mid_block": "mid", "up_blocks": "up"}
"""Name of a UNet's part -> the block that it belongs to."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the attention is added up (section 2.2 of the paper: everything in the down and up blocks).

    Attributes:
        blocks: "down", "mid" and "up" parts of the UNet.
        resolutions: How many times the layers' maps are smaller than the latents: 1, 2, 4, ...; None for all.
        layers: Names of single layers, instead of `blocks`; None for all of the blocks.
        heads: Indices of attention heads; None for all.
        steps: Indices of UNet calls within one generation, from 0; None for all. A second-order scheduler
            makes two calls a step.
        upscale: How layers' maps reach the common size.
    """

    blocks: tuple[str, ...] = ("down", "up")
    resolutions: frozenset[int] | None = None
    layers: tuple[str, ...] | None = None
    heads: tuple[int, ...] | None = None
    steps: frozenset[int] | None = None
    upscale: Interpolation = "bicubic"


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A cross-attention layer of a UNet: its name there, its module and its number of heads."""

    name: str
    module: Any
    heads: int


def make_selection(
    *,
    blocks: Iterable[str],
    resolutions: Collection[int] | None,
    layers: Iterable[str] | None,
    heads: Collection[int] | None,
    steps: Collection[int] | None,
    upscale: Interpolation,
) -> Selection:
    """Check a selection as a user gave it.

    Raises:
        InputError: An unknown block or interpolation, an empty selection, or a negative index.
    """
    block_names = (blocks,) if isinstance(blocks, str) else tuple(blocks)
    for block in block_names:
        if block not in BLOCKS:
            raise InputError(f'there is no block {block!r}; blocks are "down", "mid" and "up"')
    if upscale not in ("bicubic", "nearest"):
        raise InputError(f'upscale must be "bicubic" or "nearest", not {upscale!r}')
    layer_names = (layers,) if isinstance(layers, str) else None if layers is None else tuple(layers)
    chosen = {"resolutions": resolutions, "heads": heads, "steps": steps}
    for name, numbers in chosen.items():
        least = 1 if name == "resolutions" else 0
        if numbers is not None and any(not isinstance(n, int) or n < least for n in numbers):
            raise InputError(f"{name} must be whole numbers of at least {least}, not {numbers!r}")
    for name, given in {"blocks": block_names, "layers": layer_names, **chosen}.items():
        if given is not None and len(given) == 0:
            raise InputError(f"{name} is empty, so there is nothing to trace; leave it out or name some")
    return Selection(
        block_names,
        None if resolutions is None else frozenset(resolutions),
        layer_names,
        None if heads is None else tuple(dict.fromkeys(heads)),
        None if steps is None else frozenset(steps),
        upscale,
    )


def cross_attention_layers(unet: Any) -> dict[str, Layer]:
    """Return the cross-attention layers of a UNet by name, in the order of its modules."""
    return {
        name: Layer(name, module, module.heads)
        for name, module in unet.named_modules()
        if getattr(module, "is_cross_attention", False) and _block(name) is not None
    }


def select_layers(unet: Any, selection: Selection) -> tuple[Layer, ...]:
    """Return the layers of a UNet that a selection names.

    Raises:
        InputError: No layer is selected, a named layer doesn't exist, or a layer lacks a named head.
    """
    layers = cross_attention_layers(unet)
    if selection.layers is None:
        chosen = [layer for name, layer in layers.items() if _block(name) in selection.blocks]
        if not chosen:
            raise InputError(f"the UNet has no cross-attention in its {', '.join(selection.blocks)} blocks")
    else:
        for name in selection.layers:
            if name not in layers:
                near = get_close_matches(name, layers, n=1, cutoff=0) or ["none"]
                raise InputError(
                    f"the UNet has no cross-attention layer {name!r}; the nearest name is {near[0]!r}"
                )
        chosen = [layers[name] for name in dict.fromkeys(selection.layers)]
    for layer in chosen:
        if selection.heads is not None and max(selection.heads) >= layer.heads:
            raise InputError(
                f"layer {layer.name} has heads 0 to {layer.heads - 1}, not {max(selection.heads)}; "
                "name heads that all traced layers have, or trace fewer layers"
            )
    return tuple(chosen)


def layer_size(latent_size: tuple[int, int], places: int) -> tuple[int, tuple[int, int]]:
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
    factor, (height, width) = 1, latent_size
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


def _block(name: str) -> str | None:
    return next((BLOCK_OF_MODULE[part] for part in name.split(".") if part in BLOCK_OF_MODULE), None)
