"""A traced image as attention methods see it: its maps by word, by layer and by head, and self-attention."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daam_bench.diffusion.generate import reproduce
from daam_bench.types import Query
from daam_bench.types.heat_map import HeatMap

if TYPE_CHECKING:
    from daam_bench.attribution.layout import Layer
    from daam_bench.attribution.maps import ImageHeatMaps
    from daam_bench.attribution.selection import Selection
    from daam_bench.attribution.trace import Tracer

logger = logging.getLogger(__name__)

EVERY_RESOLUTION = (1, 2, 4, 8, 16, 32)
"""As `resolutions` of a trace: self-attention also of maps of more than 32x32 places, at any memory."""


def trace_queries(
    pipeline: Any,
    queries: Sequence[Query],
    selections: Sequence[Selection],
    *,
    again: bool,
    timesteps: Sequence[int] | None = None,
    seed: int = 0,
) -> tuple[list[Tracer], dict[str, float]]:
    """Trace several selections of the same calls of the generator, over a batch of images.

    Args:
        pipeline: The generator.
        queries: Queries of one generation and one size of image.
        selections: What to trace.
        again: Generate the images again; else noise them and call the denoiser once a time step.
        timesteps: Time steps to noise to; None for `daam_bench.diffusion.noise.TIMESTEPS`.
        seed: Seed of the noise.

    Returns:
        A tracer for each selection, and the drift of the images generated again, by id.

    Raises:
        InputError: The pipeline can't be traced, or the images can't be generated again or noised.
    """
    from daam_bench.attribution.trace import Tracer

    generation = queries[0].generation if again else None
    drift: dict[str, float] = {}
    with ExitStack() as block:
        tracers = [
            block.enter_context(Tracer(pipeline, selection, planned=generation is not None))
            for selection in selections
        ]
        if generation is not None:
            drift = reproduce(pipeline, queries, generation)
        else:
            _noise(pipeline, queries, timesteps, seed)
            for tracer in tracers:
                tracer.finish()
            pipeline.maybe_free_model_hooks()
    return tracers, drift


def _noise(pipeline: Any, queries: Sequence[Query], timesteps: Sequence[int] | None, seed: int) -> None:
    """Noise images to each time step, and call the denoiser once for each."""
    from daam_bench.diffusion.noise import TIMESTEPS, check_given_images, denoise_given_images

    prompts, images = [query.prompt for query in queries], [query.image for query in queries]
    timesteps = TIMESTEPS if timesteps is None else timesteps
    check_given_images(pipeline, prompts, images, timesteps)
    denoise_given_images(pipeline, prompts, images, timesteps=timesteps, seed=seed)


def noun_maps(query: Query, image_maps: ImageHeatMaps) -> list[HeatMap | None]:
    """Return DAAM's map of each noun; None, and a warning, for one that the tokenizer cut off."""
    return [None if span is None else image_maps.word(*span) for span in _spans(query, image_maps)]


def _spans(query: Query, image_maps: ImageHeatMaps) -> list[tuple[int, int] | None]:
    seen = max((word.end for word in image_maps.words()), default=0)
    for noun in query.nouns:
        if noun.end > seen:
            logger.warning("example %s: the tokenizer cut off %r; it has no heat map", query.id, noun.text)
    return [(noun.start, noun.end) if noun.end <= seen else None for noun in query.nouns]


class TracedBatch:
    """The images of one trace. What was traced is computed when it is first asked for, and once.

    Args:
        pipeline: The traced pipeline.
        tracer: Its tracer, after the block.
        queries: The images' queries, in their order.
    """

    def __init__(self, pipeline: Any, tracer: Tracer, queries: Sequence[Query]) -> None:
        self.tracer = tracer
        self._pipeline = pipeline
        self.images = [TracedImage(query, self, row) for row, query in enumerate(queries)]

    @cached_property
    def words(self) -> list[ImageHeatMaps]:
        """Maps by word, by image."""
        return self.tracer.heat_maps()

    @cached_property
    def layer_maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """Maps by layer, by image."""
        return self.tracer.layer_maps()

    @cached_property
    def head_maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """Maps by layer and head, by image."""
        return self.tracer.head_maps()

    @cached_property
    def self_attention(self) -> list[dict[tuple[int, ...], NDArray[np.float32]]]:
        """Attention among places, by image."""
        return self.tracer.self_attention()

    @cached_property
    def attribution(self) -> list[ImageHeatMaps]:
        """Maps by the words of another text, by image."""
        return self.tracer.attribution_maps()

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The layers of the denoiser that attend to the prompt, by name."""
        from daam_bench.attribution.architectures import traced_layers

        return traced_layers(self._pipeline)


class TracedImage:
    """One image of a trace.

    Attributes:
        query: Its query.
        row: Its number in the batch.
    """

    def __init__(self, query: Query, batch: TracedBatch, row: int) -> None:
        self.query, self.row = query, row
        self._batch = batch

    @property
    def words(self) -> ImageHeatMaps:
        """DAAM's maps of the traced layers, heads and steps, by word."""
        return self._batch.words[self.row]

    @property
    def layer_maps(self) -> Mapping[str, NDArray[np.float32]]:
        """Layer -> maps (tokens, h, w): sums over heads and steps, not upscaled."""
        return self._batch.layer_maps[self.row]

    @property
    def head_maps(self) -> Mapping[str, NDArray[np.float32]]:
        """Layer -> maps (heads, tokens, h, w): sums over steps, of a trace with `keep_heads`."""
        return self._batch.head_maps[self.row]

    @property
    def self_attention(self) -> Mapping[tuple[int, ...], NDArray[np.float32]]:
        """Map size -> attention (places, places) of a trace with attention="self": means over layers."""
        return self._batch.self_attention[self.row]

    @property
    def attribution(self) -> ImageHeatMaps:
        """Maps of the words of another text, of a trace with `attribution_prompts`."""
        return self._batch.attribution[self.row]

    @property
    def layers(self) -> Mapping[str, Layer]:
        """What is known of each layer: its heads and block."""
        return self._batch.layers

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the latents, or of a transformer's patches."""
        height, width = self.words.size
        return height, width

    def factor(self, size: Sequence[int]) -> int:
        """Return how many times maps of a size are smaller than the latents: 1, 2, 4, ..."""
        return round(self.size[0] / size[0])

    def noun_maps(self) -> list[HeatMap | None]:
        """Return DAAM's map of each noun at the latents' size; None for one that the tokenizer cut off."""
        return [None if span is None else self.words.word(*span) for span in self.noun_spans]

    def noun_weights(self) -> list[NDArray[np.float32] | None]:
        """Return how each noun's map is made of its tokens'; None for one that the tokenizer cut off."""
        return [None if span is None else self.words.token_weights(*span) for span in self.noun_spans]

    def noun_tokens(self) -> list[tuple[int, ...]]:
        """Return the positions in the text of each noun's tokens; none for one that the tokenizer cut off."""
        positions = self.words.positions
        return [
            () if weights is None else tuple(positions[index] for index in np.flatnonzero(weights))
            for weights in self.noun_weights()
        ]

    def nouns_of(self, maps: NDArray[np.float32]) -> list[NDArray[np.float32] | None]:
        """Return what each noun has of maps of the tokens: the mean over its tokens.

        Args:
            maps: Shape (..., tokens, h, w), such as a layer's or its heads'.

        Returns:
            For each noun its maps (..., h, w); None for one that the tokenizer cut off.
        """
        return [
            None if weights is None else np.einsum("t,...thw->...hw", weights, maps)
            for weights in self.noun_weights()
        ]

    def finest_self_attention(self) -> tuple[tuple[int, int], NDArray[np.float32]]:
        """Return the finest map size with self-attention, and that attention, its rows summing to 1."""
        size = max(self.self_attention, key=lambda one: one[0])
        attention = self.self_attention[size]
        return (size[0], size[1]), attention / attention.sum(axis=-1, keepdims=True)

    @cached_property
    def noun_spans(self) -> list[tuple[int, int] | None]:
        """Each noun's first character and one past its last; None, and a warning, for one cut off."""
        return _spans(self.query, self.words)
