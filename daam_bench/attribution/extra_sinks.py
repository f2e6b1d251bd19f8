"""What the scores of an attribution text are added up by, layer by layer, and outputs handed on by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from daam_bench.attribution.extra_text import AttentionOutputs, ExtraText
from daam_bench.attribution.hooks import BESIDE
from daam_bench.attribution.layout import AttentionLayout, Layer
from daam_bench.attribution.selection import Selection
from daam_bench.attribution.sinks import AttentionCall, AttentionSink, masked
from daam_bench.attribution.sums import TracedGeneration


class ImageQueries(NamedTuple):
    """What the image asked the text in one call of one layer of cross-attention.

    Attributes:
        layer: The layer's name.
        size: (height, width) of its map.
        queries: (images, heads, places, channels), times the scale of the scores: products with the keys of a
            text are its scores.
    """

    layer: str
    size: tuple[int, ...]
    queries: Tensor


def listen_for_extras(
    generation: TracedGeneration, layer: Layer, selection: Selection, kept: Any, states: Tensor
) -> list[AttentionSink]:
    """Return what a call of a layer is wanted for beside the prompt's words.

    Args:
        generation: The generation whose call is running.
        layer: The layer.
        selection: What is added up.
        kept: Where this thread keeps the layer's outputs until the attribution text has ridden along.
        states: The hidden states that become queries.
    """
    layout, extra, outputs = generation.layout, generation.extra, selection.outputs
    if layout is None:
        return []
    own = BESIDE.owner is None
    if not own and not layout.joint and extra is not None:
        return [KeyKeeper(extra, layer.name, layout)]
    size = generation.size(selection, states)
    if size is None:
        return []

    def hand_on(attribution: Tensor | None = None, to_image: Tensor | None = None) -> None:
        if outputs is not None:
            (image, text), step = kept.outputs, generation.calls_begun - 1
            outputs(AttentionOutputs(layer.name, step, image, text, attribution, to_image))

    def keep(image: Tensor, text: Tensor) -> None:
        kept.outputs = image, text
        if extra is None or layer.block != "double":
            hand_on()

    if own and layout.joint:
        return [] if outputs is None else [OutputKeeper(layout, keep)]
    heads = selection.heads or range(layer.heads)
    sinks: list[AttentionSink] = []
    if own and selection.queries is not None:
        sinks.append(QueryKeeper(layer, size, layout, heads, selection.queries))
    if extra is None:
        return sinks
    total = extra.total(layer, size, states.device)
    if own:
        return [*sinks, ExtraScores(extra, layer, total, layout, heads)]
    return [RidingScores(extra, total, heads, None if outputs is None else hand_on)]


class KeyKeeper:
    """Keeps the keys of the attribution text, of one layer."""

    wants_normaliser = False

    def __init__(self, extra: ExtraText, name: str, layout: AttentionLayout) -> None:
        self._extra, self._name, self._layout = extra, name, layout
        self.complete = False

    def add_attention(self, call: AttentionCall) -> None:
        """Keep the keys, and the mask of the first query."""
        length = max(text.stop for text in self._layout.text)
        if self.complete or call.key.shape[2] not in (length, length + call.query.shape[2]):
            return
        rows = list(self._layout.rows)
        mask = call.mask
        if mask is not None:
            mask = mask.expand(*call.query.shape[:3], call.key.shape[2])[rows, :, :1, :length].clone()
        self._extra.keys[self._name] = call.key[rows, :, :length].clone(), mask
        self.complete = True

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Keys can't be read off probabilities."""


class ExtraScores:
    """Adds up the scores of the image's queries with the keys that were kept, of one layer."""

    wants_normaliser = False

    def __init__(
        self, extra: ExtraText, layer: Layer, total: Tensor, layout: AttentionLayout, heads: Sequence[int]
    ) -> None:
        self._extra, self._name, self._total = extra, layer.name, total
        self._layout, self._heads = layout, list(heads)
        self.complete = False

    def add_attention(self, call: AttentionCall) -> None:
        """Add query key^T * scale, or its softmax over the attribution text."""
        key, mask = self._extra.keys[self._name]
        length = max(text.stop for text in self._layout.text)
        places = self._total.shape[2]
        if self.complete or call.key.shape[2] not in (length, length + places):
            return
        image = slice(0, places) if self._layout.image is None else self._layout.image[0]
        query = call.query[list(self._layout.rows)][:, self._heads, image]
        part = None if mask is None else mask[:, self._heads]
        kept = torch.tensor(self._extra.kept, device=key.device)
        add_scores(self._total, query, key[:, self._heads], call.scale, part, kept, self._extra.softmax)
        self.complete = True

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Queries can't be read off probabilities."""


class QueryKeeper:
    """Hands the image's queries of one call of one layer of cross-attention on."""

    wants_normaliser = False

    def __init__(
        self,
        layer: Layer,
        size: tuple[int, ...],
        layout: AttentionLayout,
        heads: Sequence[int],
        hand_on: Callable[[ImageQueries], None],
    ) -> None:
        self._name, self._size, self._layout = layer.name, size, layout
        self._heads, self._hand_on = list(heads), hand_on
        self.complete = False

    def add_attention(self, call: AttentionCall) -> None:
        """Cut the queries of the image out of the rows that carry the prompts."""
        length, places = max(text.stop for text in self._layout.text), math.prod(self._size)
        if self.complete or call.key.shape[2] not in (length, length + places):
            return
        image = slice(0, places) if self._layout.image is None else self._layout.image[0]
        query = call.query[list(self._layout.rows)][:, self._heads, image]
        self._hand_on(ImageQueries(self._name, self._size, query.float() * call.scale))
        self.complete = True

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Queries can't be read off probabilities."""


class RidingScores:
    """Adds up the scores of a text that rides along, and hands its outputs on."""

    wants_normaliser = False

    def __init__(
        self,
        extra: ExtraText,
        total: Tensor,
        heads: Sequence[int],
        outputs: Callable[[Tensor, Tensor], None] | None,
    ) -> None:
        self._extra, self._total, self._heads, self._outputs = extra, total, list(heads), outputs
        self.complete = False

    def add_attention(self, call: AttentionCall) -> None:
        """Add query key^T * scale, or its softmax over the attribution text."""
        layout = self._extra.layout
        if self.complete or layout is None or layout.image is None or call.output is None:
            return
        rows, text = list(layout.rows), layout.text[0]
        query = call.query[rows][:, self._heads, layout.image[0]]
        key = call.key[rows][:, self._heads, text]
        kept = torch.arange(key.shape[2], device=key.device)
        own = self._extra.own
        mask = None if own is None else own[:, None, None].to(key.device).expand(-1, len(self._heads), -1, -1)
        add_scores(self._total, query, key, call.scale, mask, kept, self._extra.softmax)
        if self._outputs is not None:
            scores = (call.query[rows][:, :, text].float() * call.scale) @ call.key[rows].float().mT
            if own is not None:
                scores[..., text] = masked(scores[..., text], own[:, None, None].to(key.device))
            to_image = scores.softmax(dim=-1)[..., layout.image[0]].mean(dim=1)
            self._outputs(side_by_side_heads(call.output[rows][:, :, text]), to_image)
        self.complete = True

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Keys can't be read off probabilities."""


class OutputKeeper:
    """Hands on what the attention of one call of one layer returned for image and text."""

    wants_normaliser = False

    def __init__(self, layout: AttentionLayout, hand_on: Callable[[Tensor, Tensor], None]) -> None:
        self._layout, self._hand_on = layout, hand_on
        self.complete = False

    def add_attention(self, call: AttentionCall) -> None:
        """Cut image and text out of the output."""
        layout = self._layout
        if self.complete or layout.image is None or call.output is None:
            return
        output, longest = call.output, max(text.stop - text.start for text in layout.text)
        images = [output[row, :, part] for row, part in zip(layout.rows, layout.image, strict=True)]
        texts = [output[row, :, part] for row, part in zip(layout.rows, layout.text, strict=True)]
        text = torch.stack([torch.nn.functional.pad(one, (0, 0, 0, longest - one.shape[1])) for one in texts])
        self._hand_on(side_by_side_heads(torch.stack(images)), side_by_side_heads(text))
        self.complete = True

    def add_probabilities(self, probabilities: Tensor) -> None:
        """Outputs can't be read off probabilities."""


def add_scores(
    total: Tensor,
    query: Tensor,
    key: Tensor,
    scale: float,
    mask: Tensor | None,
    kept: Tensor,
    softmax: bool,
) -> None:
    """Add scores (rows, heads, places, keys), or their softmax over the keys, summed over heads.

    Args:
        total: float32 (rows, 1, places, kept), added to in place.
        query: (rows, heads, places, channels).
        key: (rows, heads, keys, channels).
        scale: Factor of the scores.
        mask: As for `scaled_dot_product_attention`, broadcasting to (rows, heads, places, keys).
        kept: Keys to keep.
        softmax: Whether a place's scores are turned into shares of the keys.
    """
    for head in range(query.shape[1]):
        scores = (query[:, head].float() * scale) @ key[:, head].float().transpose(-1, -2)
        if softmax:
            scores = masked(scores, None if mask is None else mask[:, head]).softmax(dim=-1)
        total[:, 0] += scores[..., kept]


def side_by_side_heads(states: Tensor) -> Tensor:
    """Return (rows, heads, places, channels) as (rows, places, heads * channels)."""
    return states.transpose(1, 2).flatten(2)
