"""The attention among the image's own places, added up."""

from __future__ import annotations

from torch import Tensor

from daam_bench.attribution.layout import AttentionLayout
from daam_bench.attribution.sinks import AttentionCall, masked


class ImageAttention:
    """Adds up the attention among the image's places of one call of one layer, as a mean over its heads.

    Args:
        total: float32 sums (rows, places, places), added to in place.
        layout: Where rows and queries lie.
    """

    wants_normaliser = False

    def __init__(self, total: Tensor, *, layout: AttentionLayout, batch: int, heads: int) -> None:
        self._total, self._layout, self._batch, self._heads = total, layout, batch, heads
        self._places = total.shape[1]
        self._seen = 0

    @property
    def complete(self) -> bool:
        """Whether all heads of all rows have been read."""
        return self._seen >= self._batch * self._heads

    def add_attention(self, call: AttentionCall) -> None:
        """Add softmax(query key^T * scale + mask) of the image's queries, the image's keys alone."""
        batch, heads, queries, _ = call.query.shape
        keys = call.key.shape[-2]
        if self.complete or keys < self._places:
            return
        self._seen = self._batch * self._heads
        mask = None if call.mask is None else call.mask.expand(batch, heads, queries, keys)
        for row, index in enumerate(self._layout.rows):
            image = self._layout.image[row] if self._layout.image else slice(0, self._places)
            for head in range(heads):
                scores = (call.query[index, head, image].float() * call.scale) @ call.key[
                    index, head
                ].float().T
                scores = masked(scores, None if mask is None else mask[index, head, image])
                self._total[row] += scores.softmax(dim=-1)[:, image] / heads

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Add probabilities (batch * heads or a slice of it, places, places), slices in their order."""
        if self.complete or probabilities.shape[-1] != self._places:
            return
        probabilities = probabilities.reshape(-1, *probabilities.shape[-2:])
        first, self._seen = self._seen, self._seen + len(probabilities)
        row_of = {row: index for index, row in enumerate(self._layout.rows)}
        for index, values in enumerate(probabilities, start=first):
            if (row := row_of.get(index // self._heads)) is not None:
                self._total[row] += values / self._heads
