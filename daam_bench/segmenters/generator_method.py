"""Methods that look into the generator; those on its attention make their noun maps of one trace.

A method on attention is a subclass of `AttentionMethod` that says what is to be traced and turns a
`TracedImage` into one map a noun. Generating again, noising given images and drift are done here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from daam_bench.diffusion.generate import DRIFT_TOLERANCE, batches, settings_of
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedBatch, TracedImage, trace_queries
from daam_bench.types import FloatMap, Query
from daam_bench.types.errors import InputError, full_dtype
from daam_bench.types.heat_map import HeatMap

if TYPE_CHECKING:
    from daam_bench.attribution.selection import Selection

NounMaps = Sequence[FloatMap | HeatMap | None]
"""One map >= 0 for each noun of an image, of any size; None for no prediction."""


NOT_PARAMETERS = ("device", "batch_size", "offload")
"""Options that results don't depend on, but for rounding."""


@dataclass(kw_only=True, eq=False)
class GeneratorMethod:
    """A method on the model that generated the images: a dataclass whose fields are its options.

    Args:
        model: Pipeline to use in place of the recorded one, as a hub id or path.
        revision: Its revision on the hub.
        default_model: Pipeline for images that no model generated, if `model` is None.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        dtype: "float32", "float16" or "bfloat16"; None for the recorded one, but float32 on a CPU.
        batch_size: Most images looked at at once; None for as many as are handed in.
        seed: Seed of the noise added to images.
        offload: Where weights wait, see `daam_bench.diffusion.pipelines.load_pipeline`.
        variant: Which weights of the pipeline to load, such as "fp16"; None for the recorded ones, and for
            the plain ones of `model`. A parameter where it is given.

    Attributes:
        parameters: All its options but those of where and how it runs.
        drift: See `daam_bench.segmenters.base.RegeneratesImages`.
        seconds: What its last batch took, with the calls of the generator that it shared.
        pipelines: The loaded pipelines.
    """

    name: ClassVar[str]
    track: ClassVar[str] = "generator"
    tolerance: ClassVar[float] = DRIFT_TOLERANCE

    model: str | None = None
    revision: str | None = None
    default_model: str | None = None
    device: str = "auto"
    dtype: str | None = None
    batch_size: int | None = None
    seed: int = 0
    offload: str | None = None
    variant: str | None = None

    def __post_init__(self) -> None:
        self.pipelines = Pipelines(self.device, self.dtype, self.offload)
        self.device = self.pipelines.device
        self.dtype = full_dtype(self.dtype) if self.dtype else None
        self.drift: dict[str, float] = {}
        self.seconds = 0.0
        self.parameters: Mapping[str, Any] = {
            field.name: _as_json(getattr(self, field.name))
            for field in fields(self)
            if field.name not in NOT_PARAMETERS and (field.name != "variant" or self.variant)
        }

    def pipeline_of(self, query: Query) -> Any:
        """Return the loaded pipeline to look into: `model` goes before what is recorded.

        Raises:
            InputError: It can't be loaded, or no model generated the image and none is named.
        """
        generation = query.generation
        dtype = "float32" if generation is None else generation.dtype
        if self.model is not None:
            return self.pipelines.get(self.model, self.revision, dtype, self.variant)
        if generation is not None:
            variant = self.variant or generation.variant
            return self.pipelines.get(generation.model, generation.revision, dtype, variant)
        if self.default_model is None:
            raise InputError(
                f"no model generated the image of example {query.id!r}, so {self.name} has none to look "
                "into; name one with --model (the option `model`)"
            )
        return self.pipelines.get(self.default_model, None, dtype, self.variant)

    def pipeline_key(self) -> tuple[Any, ...]:
        """Return what decides which pipelines it looks into: methods with the same key can share them."""
        place = (self.device, self.dtype, self.offload)
        return self.model, self.revision, self.variant, self.default_model, *place


@dataclass(kw_only=True, eq=False)
class AttentionMethod(GeneratorMethod):
    """A method on the attention of the generator. See `GeneratorMethod` for the other options.

    Args:
        timesteps: For images that are noised, not generated again: the time steps they are noised to; None
            for the default of `daam_bench.attribution.given_images.trace_images`.
    """

    timesteps: Sequence[int] | None = None

    def traced(self) -> Mapping[str, Any]:
        """Return what is to be traced, as arguments of `daam_bench.trace`."""
        return {}

    def traces(self, pipeline: Any, queries: Sequence[Query]) -> Sequence[Mapping[str, Any]]:
        """Return what is to be traced of a batch, where it is several traces or depends on the batch."""
        return [self.traced()]

    def looks_at_images(self) -> bool:
        """Whether images are noised even where they could be generated again."""
        return False

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Make the map of each noun of an image. This is the method."""
        raise NotImplementedError

    def maps_of(self, images: Sequence[TracedImage]) -> NounMaps:
        """Make the map of each noun of an image that was traced as `traces` says, one object a trace."""
        return self.noun_maps(images[0])

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's heat map; None for a noun past the tokenizer's limit.

        Raises:
            InputError: An image's model can't be loaded or traced, or it is not known.
        """
        return segment_with_shared_traces([self], queries)[0]


@dataclass(kw_only=True, eq=False)
class OneCallMethod(AttentionMethod):
    """An attention method whose paper noises the image and calls the denoiser once.

    Args:
        timesteps: The time steps that images are noised to, one call each.
        source: "image" to noise the dataset's image; "generation" to generate it again and sum all steps,
            which costs nothing beside other methods that do.
    """

    timesteps: Sequence[int] | None = (100,)
    source: str = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source not in ("image", "generation"):
            raise InputError(f"source must be 'image' or 'generation', not {self.source!r}")

    def looks_at_images(self) -> bool:
        """Whether images are noised even where they could be generated again."""
        return self.source == "image"


def segment_with_shared_traces(
    methods: Sequence[AttentionMethod], queries: Sequence[Query]
) -> list[list[list[HeatMap | None]]]:
    """Segment with several methods: those that want the same calls of the generator share them.

    Args:
        methods: Methods with one `pipeline_key`.
        queries: A batch.

    Returns:
        For each method, what its `segment` returns.
    """
    for method in methods:
        method.drift, method.seconds = {}, 0.0
    found: list[dict[int, list[HeatMap | None]]] = [{} for _ in methods]
    size = min((method.batch_size for method in methods if method.batch_size), default=len(queries))
    together = batches(
        range(len(queries)), size, key=lambda place: (settings_of(queries[place]), queries[place].image.size)
    )
    for places in together:
        batch = [queries[place] for place in places]
        by_calls: dict[Any, list[int]] = {}
        for index, method in enumerate(methods):
            by_calls.setdefault(_calls(method, batch[0]), []).append(index)
        for members in by_calls.values():
            began = time.monotonic()
            traced = _trace([methods[index] for index in members], batch)
            shared = time.monotonic() - began
            for index, images in zip(members, traced, strict=True):
                began = time.monotonic()
                for place, image in zip(places, images, strict=True):
                    maps = methods[index].maps_of(image)
                    found[index][place] = [_as_heat_map(one) for one in maps]
                methods[index].seconds += shared + time.monotonic() - began
    return [[by_place[place] for place in range(len(queries))] for by_place in found]


def _calls(method: AttentionMethod, query: Query) -> tuple[Any, ...] | None:
    """Return which calls of the generator a method wants for an image: None for those of its generation."""
    if query.generation is not None and not method.looks_at_images():
        return None
    return (None if method.timesteps is None else tuple(method.timesteps), method.seed)


def _trace(methods: Sequence[AttentionMethod], batch: Sequence[Query]) -> list[list[list[TracedImage]]]:
    """Trace a batch for methods that want the same calls; return each one's images, by trace."""
    from daam_bench.attribution.selection import make_selection

    pipeline = methods[0].pipeline_of(batch[0])
    asked = [method.traces(pipeline, batch) for method in methods]
    distinct: list[Selection] = []
    served: list[int] = []
    for wanted in (make_selection(**one) for traces in asked for one in traces):
        cross = [_of_cross_attention(one) for one in distinct]
        if _of_cross_attention(wanted) in cross:
            index = cross.index(_of_cross_attention(wanted))
            kinds = tuple(dict.fromkeys((*distinct[index].attention, *wanted.attention)))
            resolutions = distinct[index].resolutions or wanted.resolutions
            distinct[index] = replace(wanted, attention=kinds, resolutions=resolutions)
        else:
            index = len(distinct)
            distinct.append(wanted)
        served.append(index)
    calls = _calls(methods[0], batch[0])
    tracers, drift = trace_queries(
        pipeline,
        batch,
        distinct,
        again=calls is None,
        timesteps=methods[0].timesteps,
        seed=methods[0].seed,
    )
    for method in methods:
        method.drift |= drift
    traced = [TracedBatch(pipeline, tracer, batch).images for tracer in tracers]
    left = iter(served)
    by_method = [[traced[next(left)] for _ in traces] for traces in asked]
    return [[list(by_trace) for by_trace in zip(*images, strict=True)] for images in by_method]


def _of_cross_attention(selection: Selection) -> Selection:
    """Return what a selection says of cross-attention: self-attention beside it changes nothing there."""
    every = selection.resolutions == frozenset(EVERY_RESOLUTION)
    return replace(selection, attention=(), resolutions=None if every else selection.resolutions)


def _as_heat_map(values: FloatMap | HeatMap | None) -> HeatMap | None:
    if values is None or isinstance(values, HeatMap):
        return values
    return HeatMap(np.asarray(values, dtype=np.float32))


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    return value
