"""Attention with some of its keys left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from daam_bench.attribution.capture import AttentionMode
from daam_bench.attribution.layout import Layer
from daam_bench.types.errors import InputError


class HiddenKeys(AttentionMode):
    """While entered, leaves keys out of every attention of this thread that has the text's keys.

    Args:
        hidden: (rows, keys), or (1, keys) for all rows alike: which keys are left out.
        places: Number of further keys that a layer may have, the image's own, or none; None for any number.
    """

    def __init__(self, hidden: Tensor, places: int | None = None) -> None:
        super().__init__()
        self._hidden, self._places = hidden, places
        self._seen = False

    def check(self, layer: Layer) -> None:
        """Refuse a layer whose attention was out of sight."""
        if not self._seen:
            refuse_unseen(layer)

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Return the attention, with the keys left out where they are the text's."""
        if self._fits(key.shape[-2]):
            self._seen = True
            bias = self._bias(key, len(query), key.shape[-2])
            if attn_mask is None:
                attn_mask = bias
            elif attn_mask.dtype == torch.bool:
                attn_mask = attn_mask & (bias == 0)
            else:
                attn_mask = attn_mask + bias
        return functional.scaled_dot_product_attention(query, key, value, attn_mask, *args, **kwargs)

    def softmax(self, func: Callable[..., Tensor], scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the softmax, with the keys left out where they are the text's."""
        if len(self._hidden) == 1 and self._fits(scores.shape[-1]):
            self._seen = True
            scores = scores + self._bias(scores, 1, scores.shape[-1])[0, 0]
        return func(scores, *args, **kwargs)

    def _fits(self, keys: int) -> bool:
        more = keys - self._hidden.shape[1]
        return more >= 0 if self._places is None else more in (0, self._places)

    def _bias(self, like: Tensor, rows: int, keys: int) -> Tensor:
        """Return what is added to the scores: (rows, 1, 1, keys)."""
        bias = torch.zeros(rows, 1, 1, keys, dtype=like.dtype, device=like.device)
        hidden = self._hidden[:, None, None].to(like.device)
        bias[..., : hidden.shape[-1]].masked_fill_(hidden, -math.inf)
        return bias


def refuse_unseen(layer: Layer) -> NoReturn:
    """Refuse a layer whose attention was out of sight."""
    processor = type(getattr(layer.module, "processor", None)).__name__
    raise InputError(
        f"no word can be taken away in layer {layer.name}: its processor {processor} calls neither "
        "torch's scaled_dot_product_attention nor softmax; set the processor that diffusers made it with, "
        "such as diffusers.models.attention_processor.AttnProcessor2_0() in a U-Net"
    )
