"""What references of rivals are made of: all probabilities of a call, by attention in plain steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from daam_bench.diffusion.noise import NoisedImages
from daam_bench.types import Query


class PlainProcessor(AttnProcessor2_0):
    """Computes attention as ever, and keeps probabilities (rows, heads, places, keys) beside it."""

    def __init__(self, name: str, kept: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.name, self.kept = name, kept

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states

        def by_head(states: torch.Tensor) -> torch.Tensor:
            return states.unflatten(2, (attn.heads, -1)).transpose(1, 2).double()

        query, key = by_head(attn.to_q(hidden_states)), by_head(attn.to_k(text))
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        probabilities = torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True)
        self.kept[self.name] = self.kept.get(self.name, 0) + probabilities
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, **kwargs)


@contextmanager
def recording(unet: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Yield layer -> probabilities, summed over the calls made in the block."""
    kept: dict[str, torch.Tensor] = {}
    before = unet.attn_processors
    unet.set_attn_processor({n: PlainProcessor(n.removesuffix(".processor"), kept) for n in before})
    try:
        yield kept
    finally:
        unet.set_attn_processor(before)


def recorded(pipeline: Any, query: Query, timesteps: Sequence[int], seed: int = 0) -> dict[str, np.ndarray]:
    """Return layer -> probabilities (heads, places, keys) of the image, noised, with its prompt."""
    noised = NoisedImages(pipeline, [query.prompt], [query.image])
    with torch.no_grad(), recording(pipeline.unet) as kept:
        for timestep in timesteps:
            noised.predict(noised.noisy(timestep, seed), timestep)
    return {name: values[0].numpy() for name, values in kept.items()}


def sizes(latents: tuple[int, int]) -> dict[int, tuple[int, int]]:
    """Return number of places -> map size, for latents halved up to three times."""
    found = {}
    for _ in range(4):
        found[latents[0] * latents[1]] = latents
        latents = (-(-latents[0] // 2), -(-latents[1] // 2))
    return found


def bilinear(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a map (h, w) bilinearly, place by place: centres at halves, borders repeated."""
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            v = min(max((y + 0.5) * values.shape[0] / size[0] - 0.5, 0), values.shape[0] - 1)
            u = min(max((x + 0.5) * values.shape[1] / size[1] - 0.5, 0), values.shape[1] - 1)
            top, left = int(v), int(u)
            down, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
            upper = values[top, left] * (1 - u + left) + values[top, right] * (u - left)
            lower = values[down, left] * (1 - u + left) + values[down, right] * (u - left)
            out[y, x] = upper * (1 - v + top) + lower * (v - top)
    return out
