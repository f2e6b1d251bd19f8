"""DAAM as a method: draw the images again, trace the drawing, hand out the nouns' heat maps."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import draw
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.types import Generation, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, Normalization

DRIFT_TOLERANCE = 4.0
"""Mean absolute difference, in grey levels from 0 to 255, up to which two images count as the same.

Other hardware or another batch size rounds differently, which shifts pixels by less than this; another seed,
prompt or model shifts them by tens.
"""

logger = logging.getLogger(__name__)


class Daam:
    """Section 2.2 of "What the DAAM" (arXiv 2210.04885), over the model that generated the images.

    Args:
        model: Pipeline to use in place of the recorded one, as a hub id or path.
        revision: Its revision on the hub.
        default_model: Pipeline for images that no model generated, if `model` is None.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        dtype: "float32", "float16" or "bfloat16"; None for the recorded one, but float32 on a CPU.
        batch_size: Most images drawn at once; None for as many as are handed in.
        blocks: "down", "mid" and "up": the parts of the UNet that are added up.
        timesteps: For images that no model generated: the noise levels they are looked at; None for the
            default of `daam_bench.attribution.given_images.trace_images`.
        normalize: "max" as in the paper; "minmax" stretches each map to begin at 0, as castorini/daam does.
        seed: Seed of the noise added to images that no model generated.

    Attributes:
        drift: See `daam_bench.segmenters.base.DrawsAnew`.
    """

    name = "daam"
    tolerance = DRIFT_TOLERANCE

    def __init__(
        self,
        model: str | None = None,
        revision: str | None = None,
        default_model: str | None = None,
        device: str = "auto",
        dtype: str | None = None,
        batch_size: int | None = None,
        blocks: Sequence[str] = ("down", "up"),
        timesteps: Sequence[int] | None = None,
        normalize: Normalization = "max",
        seed: int = 0,
    ) -> None:
        if normalize not in ("max", "minmax"):
            raise InputError(f"normalize must be 'max' or 'minmax', not {normalize!r}")
        self._pipelines = Pipelines(device, dtype)
        self.device = self._pipelines.device
        self.drift: dict[str, float] = {}
        self._model, self._revision, self._default_model = model, revision, default_model
        self._dtype, self._batch_size, self._normalize = dtype, batch_size, normalize
        self._blocks, self._timesteps, self._seed = tuple(blocks), timesteps, seed

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that the heat maps depend on."""
        return {
            "model": self._model,
            "default_model": self._default_model,
            "revision": self._revision,
            "dtype": self._dtype,
            "blocks": list(self._blocks),
            "timesteps": None if self._timesteps is None else list(self._timesteps),
            "normalize": self._normalize,
            "seed": self._seed,
        }

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's heat map at the latents' size; None for a noun past the tokenizer's limit.

        Raises:
            InputError: An image's model can't be loaded or traced, or it is not known.
        """
        self.drift = {}
        found: dict[int, list[HeatMap | None]] = {}
        for generation, places in grouped(queries, self._batch_size or len(queries)):
            members = [queries[place] for place in places]
            maps = self._look(members) if generation is None else self._draw(members, generation)
            for place, query, image_maps in zip(places, members, maps, strict=True):
                found[place] = self._normalized(noun_maps(query, image_maps), query.image)
        return [found[place] for place in range(len(queries))]

    def _draw(self, queries: Sequence[Query], generation: Generation) -> Sequence[Any]:
        """Draw images again from their seeds, traced. A seed an image: none depends on its batch."""
        from daam_bench.attribution.trace import trace

        pipeline = self._pipeline(generation.model, generation.revision, generation.dtype)
        prompts, seeds = [query.prompt for query in queries], [seed_of(query) for query in queries]
        with trace(pipeline, blocks=self._blocks) as tracer:
            drawings = draw(pipeline, prompts, seeds, generation)
        for query, drawing in zip(queries, drawings, strict=True):
            self.drift[query.id] = mean_difference(drawing.image, query.image)
        return tracer.heat_maps()

    def _look(self, queries: Sequence[Query]) -> Sequence[Any]:
        """Look at images that no model generated: noise them and trace one step each."""
        from daam_bench.attribution.given_images import trace_images

        if self._model is None and self._default_model is None:
            raise InputError(
                f"no model generated the image of example {queries[0].id!r}, so DAAM has none to look into; "
                "name one with --model (the option `model`)"
            )
        pipeline = self._pipeline(self._default_model or "", None, "float32")
        options: dict[str, Any] = {} if self._timesteps is None else {"timesteps": self._timesteps}
        return trace_images(
            pipeline,
            [query.prompt for query in queries],
            [query.image for query in queries],
            seed=self._seed,
            blocks=self._blocks,
            **options,
        )

    def _pipeline(self, model: str, revision: str | None, dtype: str) -> Any:
        """Return the loaded pipeline; `self._model` goes before what is recorded."""
        if self._model is not None:
            model, revision = self._model, self._revision
        return self._pipelines.get(model, revision, dtype)

    def _normalized(self, maps: list[HeatMap | None], image: Image.Image) -> list[HeatMap | None]:
        if self._normalize == "max":
            return maps
        return [None if heat_map is None else _stretch(heat_map, image) for heat_map in maps]


def noun_maps(query: Query, image_maps: ImageHeatMaps) -> list[HeatMap | None]:
    """Return each noun's heat map; None, and a warning, for a noun that the tokenizer cut off."""
    seen = max((word.end for word in image_maps.words()), default=0)
    maps: list[HeatMap | None] = []
    for noun in query.nouns:
        if noun.end > seen:
            logger.warning("example %s: the tokenizer cut off %r; it has no heat map", query.id, noun.text)
            maps.append(None)
            continue
        maps.append(image_maps.word(noun.start, noun.end))
    return maps


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference of two pictures' RGB values, 0 to 255; 255 if they differ in size.

    >>> mean_difference(Image.new("RGB", (2, 1), "black"), Image.new("RGB", (2, 1), (3, 0, 0)))
    1.0
    """
    if one.size != other.size:
        return 255.0
    pixels = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def grouped(queries: Sequence[Query], batch_size: int) -> Iterator[tuple[Generation | None, Sequence[int]]]:
    """Part queries into batches of equal settings; each comes with the queries' places."""
    groups: dict[Generation | tuple[int, int], list[int]] = {}
    for place, query in enumerate(queries):
        groups.setdefault(query.generation or query.image.size, []).append(place)
    for key, places in groups.items():
        for start in range(0, len(places), batch_size):
            yield key if isinstance(key, Generation) else None, places[start : start + batch_size]


def seed_of(query: Query) -> int:
    """Return the seed that a model generated an image from.

    Raises:
        InputError: None is recorded.
    """
    if query.seed is None:
        raise InputError(
            f"example {query.id!r} records how it was drawn but no seed; its dataset needs fixing"
        )
    return query.seed


def _stretch(heat_map: HeatMap, image: Image.Image) -> HeatMap:
    """Let a map begin at 0, at the picture's size: thresholding by its maximum is then by its range."""
    values = heat_map.resize(image.size).values
    return HeatMap(values - values.min())
