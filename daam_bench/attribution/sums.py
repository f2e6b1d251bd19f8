"""The attention of one generation, as it is being summed up."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from daam_bench.attribution.capture import undisturbed
from daam_bench.attribution.layout import AttentionLayout, Layer, upscale
from daam_bench.attribution.selection import Selection, layer_size
from daam_bench.attribution.sinks import AttentionSink, NormalizeOver, TextAttention
from daam_bench.attribution.streams import Encoding, Stream
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation

if TYPE_CHECKING:
    from daam_bench.attribution.extra_text import ExtraText

LARGEST_SELF = 32 * 32
"""Places above which self-attention is kept only on request: a map a place takes memory quadratic in them."""


class TracedGeneration:
    """One generation of a pipeline: the encoding it began with, and the sums of its attention so far.

    Each head's map is upscaled and clamped by itself, as castorini/daam does and as the paper's sum over the
    upscaled maps of layers, steps and heads has it. So layers smaller than the latents keep a sum a head;
    where nothing is to be clamped, heads are summed at once.

    Args:
        encoding: The encoding of the prompts, which the first call of the denoiser carries.
        streams: Where each prompt's tokens lie, by prompt; None where words can't be looked up.
        no_words: Why they can't.
        timesteps: The scheduler's timesteps at the first call; None for a loop without a known end.
        weight: How many inference steps one call counts for.
        rows: Number of images.
        length: Number of text positions.

    Attributes:
        thread: Identifier of the thread that generates.
        finished: Whether the images were generated to the end.
        rows: Number of images.
        kept: Positions of the text that are kept, ascending.
        extra: The attribution text that is compared with its image, if any.
    """

    def __init__(
        self,
        encoding: Encoding,
        streams: Sequence[Sequence[Stream]] | None,
        no_words: str | None,
        timesteps: Any,
        weight: float,
        rows: int,
        length: int,
    ) -> None:
        self.encoding, self.streams, self.no_words, self.timesteps = encoding, streams, no_words, timesteps
        self.rows, self._length = rows, length
        self.finished = False
        self.extra: ExtraText | None = None
        self.thread = threading.get_ident()
        self.kept = self._kept()
        self.calls_begun = 0
        self._calls_done = 0
        self._weight = weight
        self._batch = 0
        self._layout: AttentionLayout | None = None
        self._grid: tuple[int, ...] = ()
        self._kept_on: dict[torch.device, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._self_sums: dict[tuple[int, ...], Tensor] = {}
        self._self_calls: dict[tuple[int, ...], int] = {}
        self._resolutions: set[int] = set()

    @property
    def expected_calls(self) -> int:
        """Denoiser calls that the scheduler has planned; 0 where it plans none."""
        return 0 if self.timesteps is None else len(self.timesteps)

    @property
    def complete(self) -> bool:
        """Whether its images were generated to the end."""
        whole = self.finished or self._calls_done == self.expected_calls
        return 0 < self._calls_done == self.calls_begun and whole

    def begin_call(self, layout: AttentionLayout, batch: int) -> None:
        """Take note that the denoiser is being called with the prompts.

        Raises:
            InputError: There are more calls than planned, or the latents changed size.
        """
        if self._layout is not None and layout.grid != self._grid:
            raise InputError(
                f"the latents changed from (height, width) = {self._grid} to {layout.grid} within one "
                "generation; trace pipelines of one size"
            )
        if 0 < self.expected_calls <= self.calls_begun:
            raise InputError(
                "the denoiser was called with the prompt more often than the scheduler's "
                f"{self.expected_calls} steps (windows of a large image, or extra passes for guidance?); "
                "such a pipeline can't be traced"
            )
        self._layout, self._grid, self._batch = layout, layout.grid, batch
        self.calls_begun += 1

    def end_call(self) -> None:
        """Take note that the denoiser has returned."""
        self._calls_done += 1

    def finish(self, steps_per_call: float | None = None) -> None:
        """Take note that the images are there, perhaps by calls of other weight than the scheduler says."""
        self.finished = True
        if steps_per_call is not None:
            self._weight = steps_per_call

    @property
    def layout(self) -> AttentionLayout | None:
        """How the call that is running lies; None outside one."""
        return None if self.calls_begun == self._calls_done else self._layout

    def size(self, selection: Selection, states: Tensor) -> tuple[int, ...] | None:
        """Return the map size of a layer's call; None where the selection leaves it out."""
        layout = self.layout
        if layout is None:
            return None
        if selection.steps is not None and self.calls_begun - 1 not in selection.steps:
            return None
        factor, size = self._size(layout, states)
        self._resolutions.add(factor)
        return size if selection.resolutions is None or factor in selection.resolutions else None

    def listen(self, layer: Layer, selection: Selection, states: Tensor) -> list[AttentionSink]:
        """Return where to add up a layer's call; nothing where the selection leaves it out."""
        layout, size = self.layout, self.size(selection, states)
        if layout is None or size is None:
            return []
        heads = list(range(layer.heads) if selection.heads is None else selection.heads)
        kept = self._kept_of(states.device)
        if layer.name not in self._sums:
            apart = selection.keep_heads or (size != layout.grid and selection.upscale == "bicubic")
            shape = (self.rows, len(heads) if apart else 1, math.prod(size), len(kept))
            self._sums[layer.name] = torch.zeros(shape, dtype=torch.float32, device=states.device)
            self._sizes[layer.name] = size
        over: NormalizeOver = "text" if selection.normalize_over == "text" else "all"
        return [
            TextAttention(
                self._sums[layer.name],
                layout=layout,
                batch=self._batch,
                heads=layer.heads,
                selected=heads,
                kept=kept,
                over=over,
            )
        ]

    def listen_to_self(self, layer: Layer, selection: Selection, states: Tensor) -> list[AttentionSink]:
        """Return where to add up a layer's attention among the image's places."""
        layout = self.layout
        if layout is None:
            return []
        if selection.steps is not None and self.calls_begun - 1 not in selection.steps:
            return []
        factor, size = self._size(layout, states)
        places = math.prod(size)
        wanted = places <= LARGEST_SELF if selection.resolutions is None else factor in selection.resolutions
        if not wanted:
            return []
        if size not in self._self_sums:
            shape = (self.rows, places, places)
            self._self_sums[size] = torch.zeros(shape, dtype=torch.float32, device=states.device)
        self._self_calls[size] = self._self_calls.get(size, 0) + 1
        from daam_bench.attribution.self_attention import ImageAttention

        return [ImageAttention(self._self_sums[size], layout=layout, batch=self._batch, heads=layer.heads)]

    def layer_maps(self) -> dict[str, Tensor]:
        """Return the layers' maps (rows, tokens, *grid): sums over heads and steps, not upscaled."""
        return {name: self._head_maps(name).sum(dim=1) for name in self._recorded()}

    def head_maps(self) -> dict[str, Tensor]:
        """Return the layers' maps (rows, heads, tokens, *grid): sums over steps, not upscaled."""
        return {name: self._head_maps(name) for name in self._recorded()}

    def maps(self, interpolation: Interpolation) -> Tensor:
        """Return the sum of all upscaled maps: (rows, tokens, *grid) at the latents' size."""
        names = self._recorded()
        with undisturbed(self._sums[names[0]].device):
            by_layer = (
                upscale(self._head_maps(name), self._grid, interpolation).sum(dim=1) for name in names
            )
            return reduce(Tensor.add_, by_layer)

    def attribution_maps(self, interpolation: Interpolation) -> Tensor:
        """Return the attribution text's maps (rows, tokens, *grid), sums over heads, layers and steps."""
        if self.extra is None or not self.extra.sums:
            raise InputError(
                "no attribution text was traced: trace with attribution_prompts=..., and let the selection "
                "hold a layer that it can be compared in"
            )
        return self.extra.maps(self._grid, interpolation, self._weight)

    def self_attention(self) -> dict[tuple[int, ...], Tensor]:
        """Return attention among places by map size: (rows, places, places), means over layers and calls."""
        if not self._self_sums:
            raise InputError(
                "no self-attention was kept: trace with attention=('cross', 'self'); maps of more than 32x32 "
                "places are kept only for the resolutions that are asked for"
            )
        return {size: total / self._self_calls[size] for size, total in self._self_sums.items()}

    def _size(self, layout: AttentionLayout, states: Tensor) -> tuple[int, tuple[int, ...]]:
        if not layout.halved:
            return 1, layout.grid
        places = states.shape[1] if states.ndim == 3 else states.shape[-2] * states.shape[-1]
        return layer_size(layout.grid, places)

    def _kept(self) -> tuple[int, ...]:
        """Return the text positions worth keeping: those of the prompts, or all where they aren't known."""
        if self.streams is None:
            return tuple(range(self._length))
        kept = {place for streams in self.streams for stream in streams for place in stream.kept}
        return tuple(sorted(place for place in kept if place < self._length))

    def _kept_of(self, device: torch.device) -> Tensor:
        if device not in self._kept_on:
            self._kept_on[device] = torch.tensor(self.kept, dtype=torch.long, device=device)
        return self._kept_on[device]

    def _head_maps(self, name: str) -> Tensor:
        """Return a layer's maps (rows, heads, tokens, *grid), as sums over inference steps."""
        rows, heads, _, tokens = self._sums[name].shape
        by_token = self._sums[name].transpose(2, 3) * self._weight
        return by_token.reshape(rows, heads, tokens, *self._sizes[name])

    def _recorded(self) -> list[str]:
        if not self._sums:
            raise InputError(
                f"the selected steps and resolutions left nothing of a generation of {self._calls_done} "
                f"denoiser calls with layers at resolutions {sorted(self._resolutions)}"
            )
        return list(self._sums)
