"""Layers that are run in another way: cross-attention to two texts, each in its own part of the image."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from daam_bench.attribution.hidden_keys import HiddenKeys
from daam_bench.attribution.hooks import SharedHook
from daam_bench.attribution.layout import AttentionLayout, Layer
from daam_bench.attribution.selection import layer_size

Run = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Runs a layer in another way, given its own forward method and the arguments."""


@dataclass(frozen=True, eq=False)
class LayerChange:
    """How a layer is run in calls of one thread."""

    run: Run
    thread: int = field(default_factory=threading.get_ident)


class LayerHook(SharedHook[LayerChange]):
    """The forward method of an attention layer, run as the last listener of the thread says."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer; as ever in a thread without a listener."""
        here = threading.get_ident()
        for change in reversed(self.listeners):
            if change.thread == here:
                return change.run(self.original, args, kwargs)
        return self.original(*args, **kwargs)


class Blend(Protocol):
    """Changes the layers of a denoiser."""

    def run(
        self, layer: Layer, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return what a layer gives in place of `forward(*args, **kwargs)`."""


class TextKeeper:
    """Changes nothing, and keeps what each layer gets for text.

    Attributes:
        texts: Name of a layer -> its text (1, positions, channels).
    """

    def __init__(self) -> None:
        self.texts: dict[str, Tensor] = {}

    def run(
        self, layer: Layer, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a layer as ever."""
        self.texts[layer.name] = args[1] if len(args) > 1 else kwargs["encoder_hidden_states"]
        return forward(*args, **kwargs)


class CrossBlend:
    """Cross-attention to two texts: the layers' outputs for both are mixed place by place.

    Args:
        layout: How the calls lie in the attention; every row has the prompt.
        shares: How much of the second text each row's places see, in [0, 1]: (rows, height, width).
        hidden: Keys that are left out of the second text.
        texts: Name of a layer -> its second text, (1, positions, channels).
    """

    def __init__(
        self, layout: AttentionLayout, shares: Tensor, hidden: Sequence[int], texts: Mapping[str, Tensor]
    ) -> None:
        self.layout, self._shares = layout, shares
        self._hidden, self._texts = hidden, texts

    def run(
        self, layer: Layer, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return a layer's output for both texts."""
        plain = forward(*args, **kwargs)
        states = args[0] if args else kwargs["hidden_states"]
        share = _on_grid(self._shares, self.layout, states).to(plain)
        if not share.any():
            return plain
        text = self._texts[layer.name].expand(len(plain), -1, -1)
        args, kwargs = _with_text(args, kwargs, text)
        hidden = torch.zeros(1, max(part.stop for part in self.layout.text), dtype=torch.bool)
        hidden[:, list(self._hidden)] = True
        with HiddenKeys(hidden, _places(states)) as hiding:
            other = forward(*args, **kwargs)
        hiding.check(layer)
        # Where nothing is blended, not a bit of the output changes.
        return torch.where(share == 0, plain, share * other + (1 - share) * plain)


def _with_text(
    args: tuple[Any, ...], kwargs: dict[str, Any], text: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if len(args) > 1:
        return (args[0], text, *args[2:]), kwargs
    return args, kwargs | {"encoder_hidden_states": text}


def _places(states: Tensor) -> int:
    """Return how many places a layer has: of (rows, places, channels), or (rows, channels, height, width)."""
    return int(states.shape[1] if states.ndim == 3 else math.prod(states.shape[-2:]))


def _on_grid(shares: Tensor, layout: AttentionLayout, states: Tensor) -> Tensor:
    """Average shares over the area of each of a layer's places, in the shape of its output."""
    size: tuple[int, ...] = layout.grid
    if layout.halved:
        _, size = layer_size(layout.grid, _places(states))
    height, width = size
    averages = functional.adaptive_avg_pool2d(shares[:, None], (height, width))
    return averages if states.ndim == 4 else averages.flatten(2).transpose(1, 2)
