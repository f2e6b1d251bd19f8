"""What attention is added up to: a word's probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from daam_bench.attribution.layout import AttentionLayout
from daam_bench.types.errors import InputError

_CHUNK_ELEMENTS = 2**18
"""Probabilities computed at once, where one head of all images needs no more: 1 MiB."""

NormalizeOver: TypeAlias = Literal["all", "text"]
"""Which keys share the softmax: all that the model computes it over, or the text's alone."""


class AttentionCall(NamedTuple):
    """What `scaled_dot_product_attention` was handed.

    Attributes:
        query: (batch, heads, queries, channels).
        key: (batch, heads, keys, channels), repeated where query heads share them.
        mask: Boolean, or to be added; broadcasts to (batch, heads, queries, keys). None for none.
        scale: Factor of the scores.
        normaliser: Log of the sum of exponentiated scores, (batch, heads, queries), where the kernel gave it.
        output: What attention returned, (batch, heads, queries, channels); None where only the call is known.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None
    scale: float
    normaliser: Tensor | None = None
    output: Tensor | None = None


class AttentionSink(Protocol):
    """Takes attention of one call of one layer."""

    @property
    def complete(self) -> bool:
        """Whether it has all it wants of this call."""

    @property
    def wants_normaliser(self) -> bool:
        """Whether the log-sum-exp of the kernel would spare it work."""

    def add_attention(self, call: AttentionCall) -> None:
        """Take queries and keys, unless they aren't those of the text and the image."""

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Take probabilities (batch * heads or a slice of it, queries, keys), slices in their order."""


class TextAttention:
    """Adds up the probabilities between the image's queries and the text's keys, of one call of one layer.

    Args:
        total: float32 sums of shape (rows, heads, places, tokens), added to in place. It holds either all
            `selected` heads in their order or, with room for one, their sum.
        layout: Where rows, queries and keys lie.
        batch: Rows of the whole batch.
        heads: Number of heads of the layer.
        selected: Indices of the heads to add.
        kept: Positions of the text to keep, ascending. Shape (tokens,).
        over: Which keys share the softmax.
    """

    def __init__(
        self,
        total: Tensor,
        *,
        layout: AttentionLayout,
        batch: int,
        heads: int,
        selected: Sequence[int],
        kept: Tensor,
        over: NormalizeOver = "all",
    ) -> None:
        self._total, self._layout, self._batch = total, layout, batch
        self._heads, self._selected, self._kept, self._over = heads, list(selected), kept, over
        self._seen = 0
        self._places = int(total.shape[2])
        self._keys: int = max(text.stop for text in layout.text)

    @property
    def complete(self) -> bool:
        """Whether all heads of all rows have been read."""
        return self._seen >= self._batch * self._heads

    @property
    def wants_normaliser(self) -> bool:
        """Whether keys other than the text's share the softmax, so that the kernel's own sum spares work."""
        return self._layout.joint and self._over == "all"

    def add_attention(self, call: AttentionCall) -> None:
        """Add softmax(query key^T * scale + mask), image queries and text keys alone."""
        batch, heads, queries, _ = call.query.shape
        if self.complete or not self._fits(call.key.shape[-2]):
            return
        self._check(batch * heads, queries)
        self._seen = self._batch * self._heads
        mask = call.mask
        if mask is not None:
            mask = mask.expand(batch, heads, queries, call.key.shape[-2])
        for rows, image, text in self._parts(queries):
            index = _as_slice([self._layout.rows[row] for row in rows])
            query, key = call.query[index, :, image], call.key[index]
            part = None if mask is None else mask[index, :, image]
            lse = None if call.normaliser is None else call.normaliser[index, :, image]
            if self._over == "text" and key.shape[2] > text.stop - text.start:
                key, part, lse = key[:, :, text], None if part is None else part[..., text], None
                text = slice(0, key.shape[2])
            self._add_rows(rows, AttentionCall(query, key, part, call.scale, lse), text)

    def _add_rows(self, rows: Sequence[int], call: AttentionCall, text: slice) -> None:
        # A shorter text than the batch's longest has nothing at the positions past its end.
        columns = (self._kept < text.stop - text.start).nonzero().flatten()
        kept = self._kept[columns] + text.start
        own = call.key.shape[2] if call.normaliser is None else max(1, len(kept))
        step = max(1, _CHUNK_ELEMENTS // (len(rows) * self._places * own))
        width = max(1, _CHUNK_ELEMENTS // (len(rows) * own))
        for start in range(0, len(self._selected), step):
            heads = _as_slice(self._selected[start : start + step])
            for first in range(0, self._places, width if step == 1 else self._places):
                places = slice(first, first + width if step == 1 else self._places)
                query, key = call.query[:, heads, places], call.key[:, heads]
                mask = None if call.mask is None else call.mask[:, heads, places]
                if call.normaliser is None:
                    query, key = query.float() * call.scale, key.float()
                    scores = masked(query @ key.transpose(-1, -2), mask)
                    probabilities = scores.softmax(dim=-1)[..., kept]
                else:
                    key, mask = (
                        key[:, :, kept].float() * call.scale,
                        None if mask is None else mask[..., kept],
                    )
                    scores = masked(query.float() @ key.transpose(-1, -2), mask)
                    probabilities = scores.sub_(call.normaliser[:, heads, places, None]).exp_()
                self._add(rows, probabilities, start, places, columns)

    def _add(
        self, rows: Sequence[int], probabilities: Tensor, start: int, places: slice, columns: Tensor
    ) -> None:
        summed = self._total.shape[1] == 1
        probabilities = probabilities.sum(dim=1, keepdim=True) if summed else probabilities
        heads = slice(start, start + probabilities.shape[1]) if not summed else slice(0, 1)
        total = self._total[rows[0] : rows[-1] + 1, heads, places]
        if len(columns) == total.shape[-1]:
            total += probabilities
        else:
            total[..., columns] += probabilities

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Add probabilities (batch * heads or a slice of it, places, keys), slices in their order."""
        if self.complete or not self._fits(probabilities.shape[-1]):
            return
        probabilities = probabilities.reshape(-1, *probabilities.shape[-2:])
        self._check(self._batch * self._heads, probabilities.shape[-2])
        first, self._seen = self._seen, self._seen + len(probabilities)
        texts = self._layout.text
        if len(probabilities) == self._batch * self._heads and all(text == texts[0] for text in texts):
            by_head = probabilities.view(self._batch, self._heads, *probabilities.shape[1:])
            chosen = by_head[list(self._layout.rows)][:, self._selected]
            values, columns = self._of_text(chosen, texts[0])
            self._add(range(len(texts)), values, 0, slice(0, self._places), columns)
            return
        row_of = {row: index for index, row in enumerate(self._layout.rows)}
        for index, values in enumerate(probabilities, start=first):
            row, head = row_of.get(index // self._heads), index % self._heads
            if row is not None and head in self._selected:
                slot = self._selected.index(head) if self._total.shape[1] > 1 else 0
                own, columns = self._of_text(values, texts[row])
                self._total[row, slot][:, columns] += own

    def _of_text(self, probabilities: Tensor, text: slice) -> tuple[Tensor, Tensor]:
        """Cut the kept positions of a text out of probabilities (..., keys); return their columns too."""
        columns = (self._kept < text.stop - text.start).nonzero().flatten()
        kept = self._kept[columns]
        if self._over == "all":
            return probabilities[..., kept + text.start].float(), columns
        shares = probabilities[..., text].float()
        return (shares / shares.sum(dim=-1, keepdim=True).clamp_min(1e-30))[..., kept], columns

    def _fits(self, keys: int) -> bool:
        """Whether so many keys can be the text's: adapters attend to keys of their own beside it."""
        if self._layout.joint:
            return keys >= self._keys
        return keys == self._keys or keys == self._keys + self._places

    def _parts(self, queries: int) -> Iterator[tuple[list[int], slice, slice]]:
        """Yield runs of rows whose image and text lie in the same places."""
        image = self._layout.image or (slice(0, queries),) * len(self._layout.rows)
        run: list[int] = []
        for row in range(len(self._layout.rows)):
            if run and (image[run[0]], self._layout.text[run[0]]) != (image[row], self._layout.text[row]):
                yield run, image[run[0]], self._layout.text[run[0]]
                run = []
            run.append(row)
        yield run, image[run[0]], self._layout.text[run[0]]

    def _check(self, seen: int, queries: int) -> None:
        image = self._layout.image
        enough = queries == self._places if image is None else queries >= max(part.stop for part in image)
        if seen != self._batch * self._heads or not enough:
            raise InputError(
                f"expected attention of {self._batch} rows by {self._heads} heads over {self._places} "
                f"places, but saw {seen} rows over {queries}; this attention processor can't be traced"
            )


def _as_slice(places: list[int]) -> list[int] | slice:
    """Return places in a row as a slice, which indexes without copying."""
    whole = slice(places[0], places[-1] + 1)
    return whole if places == list(range(whole.start, whole.stop)) else places


def masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Mask scores as `scaled_dot_product_attention` does, by a boolean mask or by one to be added."""
    if mask is None:
        return scores
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, float("-inf"))
    return scores + mask.float()
