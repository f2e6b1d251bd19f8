"""DAAM as a method: generate the images again, trace the generation, hand out the nouns' heat maps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, batches, reproduce, settings_of
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.types import Query
from daam_bench.types.errors import InputError, full_dtype
from daam_bench.types.heat_map import HeatMap, Normalization

logger = logging.getLogger(__name__)


class Daam:
    """Section 2.2 of "What the DAAM" (arXiv 2210.04885), over the model that generated the images.

    Args:
        model: Pipeline to use in place of the recorded one, as a hub id or path.
        revision: Its revision on the hub.
        default_model: Pipeline for images that no model generated, if `model` is None.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        dtype: "float32", "float16" or "bfloat16"; None for the recorded one, but float32 on a CPU.
        batch_size: Most images generated at once; None for as many as are handed in.
        blocks: Parts of the denoiser that are added up; None for its family's: "down" and "up" of a UNet, all
            layers of a transformer.
        timesteps: For images that no model generated: the time steps they are noised to; None for the
            default of `daam_bench.attribution.given_images.trace_images`.
        normalize: "max" as in the paper; "minmax" stretches each map to begin at 0, as castorini/daam does.
        seed: Seed of the noise added to images that no model generated.
        offload: Where weights wait, see `daam_bench.diffusion.pipelines.load_pipeline`.

    Attributes:
        drift: See `daam_bench.segmenters.base.RegeneratesImages`.
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
        blocks: Sequence[str] | None = None,
        timesteps: Sequence[int] | None = None,
        normalize: Normalization = "max",
        seed: int = 0,
        offload: str | None = None,
    ) -> None:
        if normalize not in ("max", "minmax"):
            raise InputError(f"normalize must be 'max' or 'minmax', not {normalize!r}")
        self._pipelines = Pipelines(device, dtype, offload)
        self.device = self._pipelines.device
        self.drift: dict[str, float] = {}
        self._model, self._revision, self._default_model = model, revision, default_model
        self._batch_size, self._normalize = batch_size, normalize
        self._blocks, self._timesteps, self._seed = blocks, timesteps, seed
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "default_model": default_model,
            "revision": revision,
            "dtype": full_dtype(dtype) if dtype else None,
            "blocks": None if blocks is None else list(blocks),
            "timesteps": None if timesteps is None else list(timesteps),
            "normalize": normalize,
            "seed": seed,
        }

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's heat map at the latents' size; None for a noun past the tokenizer's limit.

        Raises:
            InputError: An image's model can't be loaded or traced, or it is not known.
        """
        self.drift = {}
        found: dict[int, list[HeatMap | None]] = {}
        size = self._batch_size or len(queries)
        for places in batches(range(len(queries)), size, key=lambda place: settings_of(queries[place])):
            batch = [queries[place] for place in places]
            for place, query, maps in zip(places, batch, self._trace(batch), strict=True):
                found[place] = [self._normalized(one, query.image) for one in noun_maps(query, maps)]
        return [found[place] for place in range(len(queries))]

    def _trace(self, queries: Sequence[Query]) -> Sequence[ImageHeatMaps]:
        """Trace the images of one batch, generated again from their seeds where a model generated them."""
        from daam_bench.attribution.trace import trace

        generation = queries[0].generation
        if generation is None:
            return self._trace_given(queries)
        pipeline = self._pipeline(generation.model, generation.revision, generation.dtype)
        with trace(pipeline, blocks=self._blocks) as tracer:
            self.drift |= reproduce(pipeline, queries, generation)
        return tracer.heat_maps()

    def _trace_given(self, queries: Sequence[Query]) -> Sequence[ImageHeatMaps]:
        """Trace images that no model generated: noise them and denoise them for one step."""
        from daam_bench.attribution.given_images import trace_images

        if self._model is None and self._default_model is None:
            raise InputError(
                f"no model generated the image of example {queries[0].id!r}, so DAAM has none to trace; "
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

    def _normalized(self, heat_map: HeatMap | None, image: Image.Image) -> HeatMap | None:
        """Let a map begin at 0, at the image's size: a threshold by its maximum is then one by its range."""
        if heat_map is None or self._normalize == "max":
            return heat_map
        values = heat_map.resize(image.size).values
        return HeatMap(values - values.min())


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
