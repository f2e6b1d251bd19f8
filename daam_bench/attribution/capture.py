"""Reading attention probabilities beside a running attention layer, without changing what it computes.

The layer's own forward pass runs under a `TorchFunctionMode`, which sees the very queries and keys that are
handed to `scaled_dot_product_attention` (after LoRA, norms and rotary embeddings, whatever the processor is),
or, where the processor spells attention out, the probabilities that come out of its `softmax`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from daam_bench.attribution.hooks import SharedHook
from daam_bench.types.errors import InputError

_CHUNK_ELEMENTS = 2**18
"""Probabilities computed at once, where one head of all images needs no more: 1 MiB."""

_SOFTMAX = (torch.softmax, Tensor.softmax, functional.softmax)


class LayerSum:
    """Adds up one call of one attention layer.

    Args:
        total: float32 sums of shape (rows, heads, places, tokens), added to in place. It holds either all
            `selected` heads in their order or, with room for one, their sum.
        batch: Images in the batch, unconditional ones included; the last `rows` of them are added.
        heads: Number of heads of the layer.
        selected: Indices of the heads to add.
    """

    def __init__(self, total: Tensor, *, batch: int, heads: int, selected: Sequence[int]) -> None:
        self.total = total
        self.batch = batch
        self.heads = heads
        self.selected = list(selected)
        self.seen = 0

    @property
    def complete(self) -> bool:
        """Whether all heads of all images have been read."""
        return self.seen >= self.batch * self.heads

    def add_queries(self, query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> None:
        """Add softmax(query key^T * scale + mask).

        Args:
            query: (batch, heads, places, channels).
            key: (batch, heads, tokens or more, channels).
            mask: Boolean, or to be added; broadcasts to (batch, heads, places, keys).
            scale: Factor of the scores; None for one over the root of the channels.
        """
        if self.complete:
            return
        self._check(query.shape[0] * query.shape[1], query.shape[-2])
        self.seen = self.batch * self.heads
        rows, _, places, _ = self.total.shape
        query, key = query[-rows:], key[-rows:]
        if mask is not None:
            mask = mask.expand(self.batch, self.heads, places, key.shape[-2])[-rows:]
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        step = max(1, _CHUNK_ELEMENTS // (rows * places * key.shape[-2]))
        for start in range(0, len(self.selected), step):
            heads = self.selected[start : start + step]
            scores = (query[:, heads].float() * factor) @ key[:, heads].float().transpose(-1, -2)
            if mask is not None:
                scores = _masked(scores, mask[:, heads])
            self._add(scores.softmax(dim=-1), start)

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Add probabilities (batch * heads or a slice of it, places, keys), slices in their order."""
        if self.complete:
            return
        probabilities = probabilities.reshape(-1, *probabilities.shape[-2:])
        self._check(self.batch * self.heads, probabilities.shape[-2])
        rows = self.total.shape[0]
        first, self.seen = self.seen, self.seen + len(probabilities)
        if len(probabilities) == self.batch * self.heads:
            by_head = probabilities.view(self.batch, self.heads, *probabilities.shape[1:])
            self._add(by_head[-rows:, self.selected].float(), 0)
            return
        for index, values in enumerate(probabilities[..., : self.total.shape[-1]], start=first):
            image, head = index // self.heads - (self.batch - rows), index % self.heads
            if image >= 0 and head in self.selected:
                slot = self.selected.index(head) if self.total.shape[1] > 1 else 0
                self.total[image, slot] += values

    def _add(self, probabilities: Tensor, start: int) -> None:
        probabilities = probabilities[..., : self.total.shape[-1]]
        if self.total.shape[1] == 1:
            self.total += probabilities.sum(dim=1, keepdim=True)
        else:
            self.total[:, start : start + probabilities.shape[1]] += probabilities

    def _check(self, seen: int, places: int) -> None:
        if seen != self.batch * self.heads or places != self.total.shape[2]:
            raise InputError(
                f"expected attention of {self.batch} images by {self.heads} heads over {self.total.shape[2]} "
                f"places, but saw {seen} rows over {places} places; this attention processor can't be traced"
            )


class AttentionReader(TorchFunctionMode):
    """While entered, hands every attention call of this thread to `sums`, once it has been computed."""

    def __init__(self, sums: Sequence[LayerSum]) -> None:
        super().__init__()
        self.sums = sums

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func` as it is, then read its arguments or result where it is an attention."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            query, key, mask, scale = _attention_arguments(*args, **kwargs)
            with undisturbed(query.device):
                for layer_sum in self.sums:
                    layer_sum.add_queries(query, key, mask, scale)
        elif func in _SOFTMAX:
            with undisturbed(result.device):
                for layer_sum in self.sums:
                    layer_sum.add_probabilities(result)
        return result


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Compute without gradients and, whatever the caller's autocast, in the tensors' own precision."""
    with torch.no_grad():
        if torch.is_autocast_enabled(device.type):
            with torch.autocast(device.type, enabled=False):
                yield
        else:
            yield


class LayerListener(Protocol):
    """Wants the probabilities of an attention layer."""

    @property
    def name(self) -> str:
        """The layer's name, for messages."""

    def listen(self, image: Tensor, text: Any) -> LayerSum | None:
        """Return where to add this call up, or None for a call of no interest.

        Args:
            image: The hidden states that become queries, (batch, places, channels) or
                (batch, channels, height, width).
            text: The hidden states that become keys, or None for self-attention.
        """


class AttentionHook(SharedHook[LayerListener]):
    """The forward method of an attention layer, read by its listeners."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer as ever; add its probabilities up beside it for those who want them."""
        image = args[0] if args else kwargs["hidden_states"]
        text = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
        listeners = self.listeners
        sums = [found for listener in listeners if (found := listener.listen(image, text)) is not None]
        if not sums:
            return self.original(*args, **kwargs)
        with AttentionReader(sums):
            result = self.original(*args, **kwargs)
        if not all(layer_sum.complete for layer_sum in sums):
            processor = type(getattr(self.owner, "processor", None)).__name__
            raise InputError(
                f"the attention of layer {listeners[0].name} can't be seen: its processor {processor} calls "
                "neither torch's scaled_dot_product_attention nor softmax; use pipeline.unet."
                "set_attn_processor(diffusers.models.attention_processor.AttnProcessor2_0())"
            )
        return result


def _attention_arguments(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, float | None]:
    return query, key, attn_mask, scale


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, float("-inf"))
    return scores + mask.float()
