"""Which layers and steps carry the attribution: the IoU of DAAM made from each of them alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from daam_bench.analysis.layer_parts import Part, check_bins, generated_parts, given_parts
from daam_bench.attribution.architectures import architecture_of, traced_layers
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import batches, set_scheduler
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.diffusion.reproduce import DRIFT_TOLERANCE, reproduce, settings_of
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.scoring.score import score
from daam_bench.segmenters.daam import noun_maps
from daam_bench.types import Generation, Prediction, Query, Split
from daam_bench.types.checks import check_batch_size, check_tau
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode

if TYPE_CHECKING:
    from daam_bench.attribution.trace import Tracer


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
class LayerScores:
    """The scores of all parts of all splits, and how many images came out unlike the dataset's."""

    scores: tuple[PartScore, ...]
    drifted: int


@dataclass(slots=True)
class _PartResults:
    """The results of one part so far."""

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
) -> LayerScores:
    """Score DAAM made from each layer alone, and from some of the steps alone.

    Each image is generated, or noised and denoised, once, with all parts traced at the same time.

    Args:
        splits: The splits; one model generated the images of each in one number of steps, or no model did.
        tau: Threshold in [0, 1], relative to each map's maximum.
        bins: Number of bins of consecutive steps.
        batch_size: Most images generated at once.
        device: A torch device, or "auto".
        dtype: Of the pipeline; None for the recorded one, but float32 on a CPU.
        progress: Show a bar with the time left, on stderr.

    Raises:
        InputError: A setting out of range, a split without any mask or of several models, or a model that
            can't be loaded or traced.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    pipelines = Pipelines(device, dtype)
    models = [_model_of(split, bins) for split in splits]
    scores: list[PartScore] = []
    drifted = 0
    for split, model in zip(splits, models, strict=True):
        pipeline = pipelines.get(*model)
        queries = [query for query in split.queries() if query.nouns]
        results: dict[Part, _PartResults] = {}
        with tqdm(total=len(queries), desc=split.name, unit="image", disable=not progress) as bar:
            for batch in batches(queries, batch_size, key=settings_of):
                drifted += _measure_batch(pipeline, batch, results, bins=bins, tau=tau)
                bar.update(len(batch))
        scores += [_score_part(split, part, found) for part, found in results.items()]
    return LayerScores(tuple(scores), drifted)


def prepare(pipeline: Any, generation: Generation | None, bins: int) -> list[Part]:
    """Return the parts of a generation or of given images; the pipeline gets the generation's scheduler.

    Args:
        pipeline: The pipeline.
        generation: How the images are generated; None for given images.
        bins: Number of bins of a generation's steps.

    Raises:
        InputError: There are more bins than steps, or diffusers has no such scheduler.
    """
    layers, usual = traced_layers(pipeline), architecture_of(pipeline).blocks
    if generation is None:
        from daam_bench.diffusion.noise import TIMESTEPS

        return given_parts(layers, usual, TIMESTEPS)
    set_scheduler(pipeline, generation.scheduler)
    pipeline.scheduler.set_timesteps(generation.steps)
    calls = len(pipeline.scheduler.timesteps)
    return generated_parts(layers, usual, steps=generation.steps, calls=calls, bins=bins)


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


def _measure_batch(
    pipeline: Any, queries: Sequence[Query], results: dict[Part, _PartResults], *, bins: int, tau: float
) -> int:
    """Trace each part over a batch, add to its results, and return how many images drifted."""
    from daam_bench.attribution.selection import make_selection
    from daam_bench.attribution.trace import Tracer

    planned = queries[0].generation is not None
    parts = prepare(pipeline, queries[0].generation, bins)
    heads = {name: layer.heads for name, layer in traced_layers(pipeline).items()}
    with ExitStack() as traces:
        tracers = [
            traces.enter_context(Tracer(pipeline, make_selection(**part.selection), planned=planned))
            for part in parts
        ]
        drifted = _run(pipeline, queries, tracers)
    for part, tracer in zip(parts, tracers, strict=True):
        image_maps, layer_maps = tracer.heat_maps(), tracer.layer_maps()
        resolution = (layer_maps[0][part.name][0] if part.kind == "layer" else image_maps[0].token(0)).shape
        found = results.setdefault(part, _PartResults(resolution))
        for query, maps, by_layer in zip(queries, image_maps, layer_maps, strict=True):
            found.predictions.extend(_predict(query, maps, tau))
            found.shares.append(start_token_share(by_layer, heads, part.steps))
    return drifted


def _run(pipeline: Any, queries: Sequence[Query], tracers: Sequence[Tracer]) -> int:
    """Generate images again, or noise those that no model generated; return how many drifted."""
    if (generation := queries[0].generation) is not None:
        drift = reproduce(pipeline, queries, generation)
        return sum(difference > DRIFT_TOLERANCE for difference in drift.values())
    from daam_bench.diffusion.noise import TIMESTEPS, check_given_images, denoise_given_images

    prompts, images = [query.prompt for query in queries], [query.image for query in queries]
    check_given_images(pipeline, prompts, images, TIMESTEPS)
    denoise_given_images(pipeline, prompts, images)
    for tracer in tracers:
        tracer.finish()
    pipeline.maybe_free_model_hooks()
    return 0


def _predict(query: Query, maps: ImageHeatMaps, tau: float) -> Iterator[Prediction]:
    for noun, heat_map in enumerate(noun_maps(query, maps)):
        if heat_map is not None:
            mask = heat_map.resize(query.image.size).threshold(tau)
            yield Prediction(query.id, noun, tau, encode(mask))


def _score_part(split: Split, part: Part, results: _PartResults) -> PartScore:
    (scores,) = score(split, results.predictions).values()
    assert scores.miou_inf is not None
    assert scores.ci95_inf is not None
    share = sum(results.shares) / len(results.shares)
    return PartScore(split.name, part, results.resolution, scores.miou_inf, scores.ci95_inf, share)


def _model_of(split: Split, bins: int) -> tuple[str, str | None, str]:
    """Return the model, revision and dtype that a split's images are generated or traced with."""
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
                "to trace them with; choose generated splits, such as --split coco_gen,unreal_gen"
            )
        return split.model, None, "float32"
    ways = {one and (one.model, one.revision, one.dtype, one.scheduler, one.steps) for one in generations}
    if first is None or len(ways) > 1:
        raise InputError(
            f"the images of split {split.name!r} of {split.dataset!r} were generated in several ways "
            "(models, schedulers, numbers of steps), whose layers and steps differ; choose another --split"
        )
    check_bins(bins, first.steps)
    return first.model, first.revision, first.dtype
