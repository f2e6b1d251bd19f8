"""DAAM as plainly as it can be written: keep every probability, upscale with torch, add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor
from torch.nn import functional


class RecordingProcessor(AttnProcessor2_0):
    """Computes attention as ever, and beside it the probabilities, from the layer's own projections."""

    def __init__(self, name: str, records: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        self.name = name
        self.records = records

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        if encoder_hidden_states is not None:
            batch = hidden_states.shape[0]

            def by_head(states: Tensor) -> Tensor:
                return states.view(batch, states.shape[1], attn.heads, -1).transpose(1, 2).float()

            query, key = by_head(attn.to_q(hidden_states)), by_head(attn.to_k(encoder_hidden_states))
            scores = torch.einsum("bhqc,bhkc->bhqk", query, key) / query.shape[-1] ** 0.5
            if attention_mask is not None:
                scores = scores + attention_mask.float()[:, None]
            self.records.append((self.name, torch.softmax(scores, dim=-1)))
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, **kwargs)


def record(unet: Any) -> list[tuple[str, Tensor]]:
    """Set recording processors; the list fills with (layer, probabilities (batch, heads, places, tokens))."""
    records: list[tuple[str, Tensor]] = []
    unet.set_attn_processor(
        {name: RecordingProcessor(name.removesuffix(".processor"), records) for name in unet.attn_processors}
    )
    return records


def plain_maps(
    records: Iterable[tuple[str, Tensor]],
    images: int,
    latent_size: tuple[int, int],
    *,
    parts: Sequence[str] = ("down_blocks", "up_blocks"),
    heads: Sequence[int] | None = None,
    steps_per_call: float = 1.0,
    mode: str = "bicubic",
) -> Tensor:
    """Return the heat maps (images, tokens, height, width) of recorded probabilities."""
    sums: dict[str, Tensor] = {}
    for name, probabilities in records:
        if name.startswith(tuple(parts)):
            sums[name] = sums.get(name, 0) + probabilities[-images:] * steps_per_call
    total = torch.zeros(1)
    for layer in sums.values():
        layer = layer if heads is None else layer[:, list(heads)]
        size = latent_size
        while size[0] * size[1] > layer.shape[2]:
            size = (-(-size[0] // 2), -(-size[1] // 2))
        maps = layer.permute(0, 1, 3, 2).flatten(0, 1).unflatten(-1, size)
        align = {} if mode == "nearest" else {"align_corners": False}
        upscaled = functional.interpolate(maps, size=latent_size, mode=mode, **align).clamp(min=0)
        total = total + upscaled.unflatten(0, layer.shape[:2]).sum(dim=1)
    return total
