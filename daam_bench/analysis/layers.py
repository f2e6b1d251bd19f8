"""Which layers and steps carry the attribution: the IoU of DAAM made from each of them alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from daam_bench.analysis.layer_parts import Part, check_bins, drawn_parts, looked_at_parts
from daam_bench.analysis.tracing import check_settings
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.selection import cross_attention_layers
from daam_bench.diffusion.generate import draw, set_scheduler
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.scoring.score import score
from daam_bench.segmenters.daam import DRIFT_TOLERANCE, grouped, mean_difference, noun_maps, seed_of
from daam_bench.types import Generation, Prediction, Query, Split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode


@dataclass(frozen=True, slots=True)
class PartScore:
    """How well a part alone attributes, over the pairs of a split.

    Attributes:
        split: Name of the split.
        part: The part.
        resolution: (height, width) of its maps, those of several layers upscaled; of the first image.
        miou_inf: Mean IoU in [0, 1] over all pairs.
        ci95_inf: Its 95 % bootstrap interval (low, high) over images.
        start_token_share: Share in [0, 1] of the part's attention that goes to the start token, mean over
            images.
    """

    split: str
    part: Part
    resolution: tuple[int, int]
    miou_inf: float
    ci95_inf: tuple[float, float]
    start_token_share: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores of all parts of all splits, and how many images came out unlike the dataset's."""

    scores: tuple[PartScore, ...]
    drifted: int


@dataclass(slots=True)
class _Found:
    """What was found of one part so far."""

    resolution: tuple[int, int]
    predictions: list[Prediction] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


def measure_layers(
    splits: Sequence[Split],
    *,
    tau: float = 0.4,
    bins: int = 5,
    batch_size: int = 16,
    device: str = "auto",
    dtype: str | None = None,
    progress: bool = True,
) -> Measured:
    """Score DAAM made from each layer alone, and from some of the steps alone.

    Each image is drawn, or looked at, once, with all parts traced beside one another.

    Args:
        splits: The splits; the images of each were drawn by one model in one number of steps, or by none.
        tau: Threshold in [0, 1], relative to each map's maximum.
        bins: Number of bins of consecutive steps.
        batch_size: Most images drawn at once.
        device: A torch device, or "auto".
        dtype: Of the pipeline; None for the recorded one, but float32 on a CPU.
        progress: Show a bar with the time left, on stderr.

    Raises:
        InputError: A setting out of range, a split without any mask or of several models, or a model that
            can't be loaded or traced.
    """
    check_settings(tau, batch_size)
    pipelines = Pipelines(device, dtype)
    models = [_model_of(split, bins) for split in splits]
    scores: list[PartScore] = []
    drifted = 0
    for split, model in zip(splits, models, strict=True):
        measurement = _SplitMeasurement(pipelines.get(*model), bins=bins, tau=tau)
        queries = [query for query in split.queries() if query.nouns]
        with tqdm(total=len(queries), desc=split.name, unit="image", disable=not progress) as bar:
            for generation, places in grouped(queries, batch_size):
                measurement.add([queries[index] for index in places], generation)
                bar.update(len(places))
        scores.extend(measurement.scores(split))
        drifted += measurement.drifted
    return Measured(tuple(scores), drifted)


def prepare(pipeline: Any, generation: Generation | None, bins: int) -> list[Part]:
    """Return the parts of a drawing or a look, with the pipeline's scheduler as they are to have it.

    Args:
        pipeline: The pipeline.
        generation: How it is to draw; None for a look at given images.
        bins: Number of bins of a drawing's steps.

    Raises:
        InputError: There are more bins than steps, or diffusers has no such scheduler.
    """
    from daam_bench.attribution.given_images import TIMESTEPS

    layers = cross_attention_layers(pipeline.unet)
    if generation is None:
        # Else the calls of a look would be weighed as steps of the scheduler's last drawing.
        pipeline.scheduler.num_inference_steps = None
        return looked_at_parts(layers, TIMESTEPS)
    set_scheduler(pipeline, generation.scheduler)
    pipeline.scheduler.set_timesteps(generation.steps)
    calls = len(pipeline.scheduler.timesteps)
    return drawn_parts(layers, steps=generation.steps, calls=calls, bins=bins)


def start_token_share(
    layer_maps: Mapping[str, NDArray[np.float32]], heads: Mapping[str, int], steps: float
) -> float:
    """Return the share of the attention that goes to the start token, each head of each layer alike.

    The probabilities of one head at one place add up to 1 over all tokens, those that no word of the prompt
    has included, so the whole is the number of heads times that of steps.

    Args:
        layer_maps: Layer -> its maps (tokens, h, w), summed over heads and steps; the start token's is first.
        heads: Layer -> its number of heads.
        steps: How many inference steps the maps are sums over.

    >>> start_token_share({"a": np.full((3, 2, 2), 1.5), "b": np.full((3, 1, 1), 0.5)}, {"a": 2, "b": 2}, 2)
    0.25
    """
    to_start = sum(float(maps[0].mean()) for maps in layer_maps.values())
    return to_start / (steps * sum(heads[layer] for layer in layer_maps))


class _SplitMeasurement:
    """What is found of the parts of one split's images, batch by batch."""

    def __init__(self, pipeline: Any, *, bins: int, tau: float) -> None:
        self.drifted = 0
        self._pipeline, self._bins, self._tau = pipeline, bins, tau
        layers = cross_attention_layers(pipeline.unet)
        self._heads = {name: layer.heads for name, layer in layers.items()}
        self._found: dict[Part, _Found] = {}

    def add(self, queries: Sequence[Query], generation: Generation | None) -> None:
        """Draw images again, or look at them where no model generated them, and keep what each part shows."""
        from daam_bench.attribution.trace import trace

        parts = prepare(self._pipeline, generation, self._bins)
        with ExitStack() as traces:
            tracers = [traces.enter_context(trace(self._pipeline, **part.selection)) for part in parts]
            if generation is None:
                self._look(queries)
            else:
                self._draw(queries, generation)
        for part, tracer in zip(parts, tracers, strict=True):
            image_maps, layer_maps = tracer.heat_maps(), tracer.layer_maps()
            found = self._found.setdefault(part, _Found(_resolution(part, image_maps[0], layer_maps[0])))
            for query, maps, by_layer in zip(queries, image_maps, layer_maps, strict=True):
                found.predictions.extend(_predict(query, maps, self._tau))
                found.shares.append(start_token_share(by_layer, self._heads, part.steps))

    def scores(self, split: Split) -> Iterator[PartScore]:
        """Yield the scores of the parts."""
        for part, found in self._found.items():
            (scores,) = score(split, found.predictions).values()
            assert scores.miou_inf is not None
            assert scores.ci95_inf is not None
            share = sum(found.shares) / len(found.shares)
            yield PartScore(split.name, part, found.resolution, scores.miou_inf, scores.ci95_inf, share)

    def _draw(self, queries: Sequence[Query], generation: Generation) -> None:
        seeds = [seed_of(query) for query in queries]
        drawings = draw(self._pipeline, [query.prompt for query in queries], seeds, generation)
        for query, drawing in zip(queries, drawings, strict=True):
            self.drifted += mean_difference(drawing.image, query.image) > DRIFT_TOLERANCE

    def _look(self, queries: Sequence[Query]) -> None:
        from daam_bench.attribution.given_images import trace_images

        prompts = [query.prompt for query in queries]
        trace_images(self._pipeline, prompts, [query.image for query in queries])


def _model_of(split: Split, bins: int) -> tuple[str, str | None, str]:
    """Return the model, revision and dtype that a split's images are drawn or looked at with."""
    if not len(GroundTruth(split).pairs()):
        raise InputError(
            f"no noun of split {split.name!r} of {split.dataset!r} has a mask, so nothing can be scored"
        )
    generations = {query.generation for query in split.queries() if query.nouns}
    first = next(iter(generations))
    if first is None and len(generations) == 1:
        if split.model is None:
            raise InputError(
                f"no model generated the images of split {split.name!r} and {split.dataset!r} names none "
                "to look into; choose generated splits, such as --split coco_gen,unreal_gen"
            )
        return split.model, None, "float32"
    ways = {one and (one.model, one.revision, one.dtype, one.scheduler, one.steps) for one in generations}
    if first is None or len(ways) > 1:
        raise InputError(
            f"the images of split {split.name!r} of {split.dataset!r} were drawn in several ways (models, "
            "schedulers, numbers of steps), whose layers and steps differ; choose another --split"
        )
    check_bins(bins, first.steps)
    return first.model, first.revision, first.dtype


def _resolution(
    part: Part, maps: ImageHeatMaps, layer_maps: Mapping[str, NDArray[np.float32]]
) -> tuple[int, int]:
    if part.kind != "layer":
        return maps.token(0).shape
    _, height, width = layer_maps[part.name].shape
    return height, width


def _predict(query: Query, maps: ImageHeatMaps, tau: float) -> Iterator[Prediction]:
    for noun, heat_map in enumerate(noun_maps(query, maps)):
        if heat_map is not None:
            mask = heat_map.resize(query.image.size).threshold(tau)
            yield Prediction(query.id, noun, tau, encode(mask))
