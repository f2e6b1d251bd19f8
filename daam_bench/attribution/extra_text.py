"""Another text than the prompt, compared with the image's queries while the prompt's image is generated.

With cross-attention the keys of a text depend on nothing else: the denoiser is called once more with the
other text, and each layer's keys are kept for all steps (OVAM, arXiv 2403.14291). In joint attention a text
changes from block to block with the image. There the other text rides along (ConceptAttention, arXiv
2502.04320): each double block runs once more with the same image and the other text's states. So that
text attends to itself and to the image, and nothing of the generation attends to it. Texts of one batch
share positions; what one has there beside its own words' tokens is hidden from it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from daam_bench.attribution.hidden_keys import HiddenKeys
from daam_bench.attribution.hooks import BESIDE, SharedHook, beside
from daam_bench.attribution.layout import Architecture, AttentionLayout, DenoiserCall, Layer, upscale
from daam_bench.attribution.streams import Encoding, Stream
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation


class AttentionOutputs(NamedTuple):
    """What the joint attention of one call of one layer returned, before its output projection.

    Attributes:
        layer: The layer's name.
        step: Which call with the prompt it was, from 0.
        image: (images, places, heads * channels) of the image's tokens, row-major over its grid.
        text: (images, positions, heads * channels) of the prompt's text.
        attribution: The same of the attribution text, the batch's kept positions alone, of which an image's
            own count; None without one.
        to_image: (images, kept positions, places), the attention of the attribution text's queries to the
            image's keys, softmax over its own keys and the image's, as a mean over heads; None without one.
    """

    layer: str
    step: int
    image: Tensor
    text: Tensor
    attribution: Tensor | None
    to_image: Tensor | None


class _StopError(Exception):
    """Ends a call of the denoiser before its first block."""


class ExtraText:
    """The attribution text of one generation: its keys or states, and the sums of its scores.

    Args:
        encodings: The text as each call of `encode_prompt` returned it, one row an image.
        streams: Where its tokens lie, by prompt.
        softmax: Whether scores are turned into shares of the attribution text's keys.

    Attributes:
        kept: Positions of its words' tokens in any row, ascending.
        own: (images, kept), which of them are tokens of a row's words; None where all are.
        sums: Layer -> float32 (images, 1, places, kept), scores summed over heads and calls.
        sizes: Layer -> size of its map.
    """

    def __init__(
        self,
        encodings: Sequence[Encoding],
        streams: Sequence[Sequence[Stream]],
        *,
        softmax: bool,
    ) -> None:
        self.encodings, self.streams = tuple(encodings), streams
        seen = [{place for stream in row for place in stream.prompt.seen} for row in streams]
        self.kept = tuple(sorted(set().union(*seen)))
        images = len(self.encodings[0].embeddings)
        own = [[p in seen[row * len(seen) // images] for p in self.kept] for row in range(images)]
        self.own = None if all(map(all, own)) else torch.tensor(own)
        self.softmax = softmax
        self.sums: dict[str, Tensor] = {}
        self.sizes: dict[str, tuple[int, ...]] = {}
        self.keys: dict[str, tuple[Tensor, Tensor | None]] = {}
        self.layout: AttentionLayout | None = None
        self._states: Tensor | None = None
        self._block_arguments: dict[str, Any] | None = None

    def prepare(
        self, run: Callable[..., Any], call: DenoiserCall, layout: AttentionLayout, names: Sequence[str]
    ) -> None:
        """Call the denoiser with the attribution text: for all keys, or up to its first block.

        Args:
            run: The denoiser.
            call: The generation's call that comes next.
            layout: How it lies.
            names: Names of the arguments that carry the text.
        """
        arguments = dict(call.arguments)
        if not layout.joint:
            if not self.keys:
                run(**(arguments | self._replaced(arguments, names, call)))
            return
        self.layout = self._riding(layout, call.length)
        self._states, self._block_arguments = None, None
        try:
            run(**(arguments | self._shortened(arguments, names[0], call)))
        except _StopError:
            return
        raise InputError("the denoiser ran without any of its blocks, so no other text can ride along")

    def ride(
        self, block: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Run a block once more with this text's states; nothing where an earlier block has ended them."""
        if self._states is None or self._block_arguments is None:
            return
        own = _bound(block, args, kwargs)
        arguments = own | self._block_arguments | {"hidden_states": own["hidden_states"]}
        with nullcontext() if self.own is None else HiddenKeys(self._hidden_keys(len(self._states))):
            result = run(**arguments | {"encoder_hidden_states": self._states})
        image = own["hidden_states"].shape[1]
        texts = [part for part in result if isinstance(part, Tensor) and part.shape[1] != image]
        self._states = texts[0] if texts else None

    def _hidden_keys(self, rows: int) -> Tensor:
        """Return (rows, keys), which keys of a riding call aren't those of its row's own text or image."""
        layout = self.layout
        assert self.own is not None
        assert layout is not None
        assert layout.image is not None
        hidden = torch.zeros(rows, max(layout.text[0].stop, layout.image[0].stop), dtype=torch.bool)
        hidden[:, layout.text[0]] = ~self.own[self._texts_of(rows, layout.rows)]
        return hidden

    @staticmethod
    def _texts_of(count: int, rows: Sequence[int]) -> list[int]:
        """Return which text each row of a riding call carries: those without a prompt carry the first."""
        texts = [0] * count
        for index, row in enumerate(rows):
            texts[row] = index
        return texts

    def begin_ride(self, block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep what the first block is handed for this text, and stop the call there."""
        arguments = _bound(block, args, kwargs)
        self._states = arguments.pop("encoder_hidden_states")
        image = arguments.pop("hidden_states")
        if self._states.shape[1] == image.shape[1]:
            raise InputError(
                f"the attribution text and the image both have {image.shape[1]} positions, so that they "
                "can't be told apart; change the text or the image's size"
            )
        self._block_arguments = arguments
        raise _StopError

    def total(self, layer: Layer, size: tuple[int, ...], device: torch.device) -> Tensor:
        """Return where a layer's scores are added up."""
        if layer.name not in self.sums:
            places = math.prod(size)
            shape = (len(self.encodings[0].embeddings), 1, places, len(self.kept))
            self.sums[layer.name] = torch.zeros(shape, dtype=torch.float32, device=device)
            self.sizes[layer.name] = size
        return self.sums[layer.name]

    def maps(self, grid: tuple[int, ...], interpolation: Interpolation, weight: float) -> Tensor:
        """Return the sum over layers (images, kept, *grid); without the softmax each map begins at 0."""
        total = torch.zeros(1)
        for name, sums in self.sums.items():
            maps = sums.transpose(2, 3).unflatten(-1, self.sizes[name]) * weight
            total = total.to(maps) + upscale(maps, grid, interpolation, clamp=self.softmax)[:, 0]
        if not self.softmax:
            places = tuple(range(2, total.ndim))
            total = total - total.amin(dim=places, keepdim=True)
        return total

    def _replaced(
        self, arguments: Mapping[str, Any], names: Sequence[str], call: DenoiserCall
    ) -> dict[str, Any]:
        """Put the text, and its mask, into the rows of the prompts."""
        changed: dict[str, Any] = {}
        for text, encoding in zip(names, self.encodings, strict=True):
            changed[text] = _put(arguments[text], call.rows, encoding.embeddings)
            if (mask := encoding.mask) is not None:
                for name, value in arguments.items():
                    if "mask" in name and isinstance(value, Tensor) and value.shape[1:] == mask.shape[1:]:
                        changed[name] = _put(value, call.rows, mask)
        return changed

    def _shortened(self, arguments: Mapping[str, Any], name: str, call: DenoiserCall) -> dict[str, Any]:
        """Put the kept positions of the text in place of the whole prompt, in all rows."""
        length, count = call.length, len(self.kept)
        kept = torch.tensor(self.kept)
        text = torch.stack([row[kept.to(row.device)] for row in self.encodings[0].embeddings])
        rows = self._texts_of(len(arguments[name]), call.rows)
        changed: dict[str, Any] = {name: text[rows].to(arguments[name])}
        for other, value in arguments.items():
            if other == "txt_ids":
                changed[other] = value[..., kept.to(value.device), :]
            elif other == "txt_seq_lens" and value is not None:
                changed[other] = [count] * len(value)
            elif "mask" in other and isinstance(value, Tensor) and value.ndim == 2:
                changed[other] = value.new_ones((len(value), value.shape[1] - length + count))
        return changed

    def _riding(self, layout: AttentionLayout, length: int) -> AttentionLayout:
        """Lay the call with the text's kept positions in place of the prompt's."""
        moved = len(self.kept) - length
        start = layout.text[0].start
        text = slice(start, start + len(self.kept))
        assert layout.image is not None
        image = layout.image[0]
        if image.start >= start:
            image = slice(image.start + moved, image.stop + moved)
        count = len(layout.rows)
        return AttentionLayout(layout.grid, layout.rows, (text,) * count, image=(image,) * count, joint=True)


class BlockHook(SharedHook["BlockListener"]):
    """A block of a transformer, after each of whose calls another text may ride along."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the block as ever, then once more for those who want it."""
        listeners = self.listeners
        for listener in listeners:
            listener.before(self.owner, args, kwargs)
        result = self.original(*args, **kwargs)
        for listener in listeners:
            listener.after(self.owner, self.original, args, kwargs)
        return result


class BlockListener:
    """What a tracer is to one block.

    Args:
        owner: Whose calls beside the generation's own they are.
        riding: Returns the text that rides along with this thread's generation, if any.
    """

    def __init__(self, owner: Any, riding: Callable[[], ExtraText | None]) -> None:
        self._owner, self._riding = owner, riding

    def before(self, block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin a ride at the first block."""
        if BESIDE.owner is self._owner and (extra := self._riding()) is not None:
            extra.begin_ride(block, args, kwargs)

    def after(
        self, block: Any, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Let the text ride along."""
        if BESIDE.owner is None and (extra := self._riding()) is not None:
            with beside(self._owner), torch.no_grad():
                extra.ride(block, run, args, kwargs)


def _put(value: Tensor, rows: Sequence[int], new: Any) -> Any:
    if value.shape[1:] != new.shape[1:]:
        raise InputError(
            f"the attribution text is encoded to shape {tuple(new.shape[1:])}, the prompt to "
            f"{tuple(value.shape[1:])}; such a pipeline can't compare them"
        )
    value = value.clone()
    value[list(rows)] = new.to(value)
    return value


def _bound(block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(type(block).forward).bind(block, *args, **kwargs).arguments
    return dict(list(bound.items())[1:])


def riding_blocks(architecture: Architecture, denoiser: Any) -> list[Any]:
    """Return the blocks that another text can ride along through."""
    doubles = (layer for layer in architecture.layers(denoiser) if layer.block == "double")
    names = [layer.name.rpartition(".")[0] for layer in doubles if architecture.rides]
    return [denoiser.get_submodule(name) for name in names]
