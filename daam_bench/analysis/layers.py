"""Which layers and steps carry the attribution: the IoU of DAAM made from each alone, as table and figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from daam_bench.analysis.layer_parts import Part, check_bins, generated_parts, given_parts
from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.attribution.architectures import architecture_of, traced_layers
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, batches, set_scheduler, settings_of
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.figures.charts import Value, draw_dots
from daam_bench.figures.style import PAGE, PALETTE, new_figure, percent_axis, styled
from daam_bench.files.replacing import write_csv
from daam_bench.scoring.results import GroundTruth
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import percent, percent_with_interval, text_table
from daam_bench.segmenters.traced_image import noun_maps, trace_queries
from daam_bench.types import Environment, Generation, Prediction, Query, Split
from daam_bench.types.errors import InputError, check_batch_size, check_tau
from daam_bench.types.masks import encode

MOST_SPLITS = len(PALETTE)
"""How many splits the figure has colours for."""

_ROW, _FRAME = 5.0, 14.0  # millimetres

_COLUMNS = ("split", "kind", "part", "resolution", "miou_inf", "low", "high", "start_token_share")


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
            images; None for a text encoder that begins without one.
    """

    split: str
    part: Part
    resolution: tuple[int, int]
    miou_inf: float
    ci95_inf: tuple[float, float]
    start_token_share: float | None


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
    offload: str | None = None,
    progress: bool = True,
) -> LayerScores:
    """Score DAAM made from each layer alone, and from some of the steps alone.

    Each image is generated, or noised and denoised, once, with all parts traced at the same time.

    One model generated the images of each split in one number of steps, or no model did. `tau` is in [0, 1],
    relative to each map's maximum. A `dtype` of None is the recorded one, but float32 on a CPU.

    Raises:
        InputError: A setting out of range, a split without any mask or of several models, or a model that
            can't be loaded or traced.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    pipelines = Pipelines(device, dtype, offload)
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
        for part, found in results.items():
            (scored,) = score(split, found.predictions).values()
            assert scored.miou_inf is not None
            assert scored.ci95_inf is not None
            share = sum(found.shares) / len(found.shares) if found.shares else None
            scores.append(
                PartScore(split.name, part, found.resolution, scored.miou_inf, scored.ci95_inf, share)
            )
    return LayerScores(tuple(scores), drifted)


def prepare(pipeline: Any, generation: Generation | None, bins: int) -> list[Part]:
    """Return the parts of a generation, whose scheduler the pipeline gets, or (None) of given images.

    Raises:
        InputError: There are more bins than steps, or diffusers has no such scheduler.
    """
    layers, usual = traced_layers(pipeline), architecture_of(pipeline).blocks
    if generation is None:
        from daam_bench.diffusion.noise import TIMESTEPS

        return given_parts(layers, usual, TIMESTEPS)
    set_scheduler(pipeline, generation.scheduler)
    # How many calls there are doesn't depend on how far a flow's steps are shifted.
    shift = {"mu": 1.0} if pipeline.scheduler.config.get("use_dynamic_shifting") else {}
    pipeline.scheduler.set_timesteps(generation.steps, **shift)
    calls = len(pipeline.scheduler.timesteps)
    return generated_parts(layers, usual, steps=generation.steps, calls=calls, bins=bins)


def start_token_share(
    layer_maps: Mapping[str, NDArray[np.float32]], heads: Mapping[str, int], steps: float
) -> float:
    """Return the share of the attention that goes to the start token, each head of each layer alike.

    The probabilities of one head at one place add up to 1 over all keys (tokens that no word of the prompt
    has included, and in joint attention the image's), so the whole is the number of heads times that of
    steps.

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

    parts = prepare(pipeline, queries[0].generation, bins)
    heads = {name: layer.heads for name, layer in traced_layers(pipeline).items()}
    tracers, drift = trace_queries(
        pipeline,
        queries,
        [make_selection(**part.selection) for part in parts],
        again=True,
    )
    for part, tracer in zip(parts, tracers, strict=True):
        image_maps, layer_maps = tracer.heat_maps(), tracer.layer_maps()
        resolution = (layer_maps[0][part.name][0] if part.kind == "layer" else image_maps[0].token(0)).shape
        found = results.setdefault(part, _PartResults(resolution))
        for query, maps, by_layer in zip(queries, image_maps, layer_maps, strict=True):
            for noun, heat_map in enumerate(noun_maps(query, maps)):
                resized = None if heat_map is None else heat_map.resize(query.image.size)
                mask = None if resized is None else encode(resized.threshold(tau))
                found.predictions.append(Prediction(query.id, noun, tau, mask))
            if maps.begins_with_special:
                found.shares.append(start_token_share(by_layer, heads, part.steps))
    return sum(difference > DRIFT_TOLERANCE for difference in drift.values())


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


def write_layers(
    folder: Path, measured: LayerScores, settings: Mapping[str, Any], environment: Environment
) -> None:
    """Write `layers.csv`, `layers.png`, `.svg` and `.pdf`, and `report.json` with `settings`."""
    rows = []
    for one in measured.scores:
        scores = (one.miou_inf, *one.ci95_inf, one.start_token_share)
        rows.append((one.split, one.part.kind, one.part.name, _size(one), *scores))
    write_csv(folder / "layers.csv", _COLUMNS, rows)
    save_all_formats(draw_layers(measured.scores), folder, "layers")
    report = {
        "analysis": "layers",
        **settings,
        "parts": [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
        "environment": asdict(environment),
    }
    write_json_report(folder / "report.json", report)


def format_layers(scores: Sequence[PartScore]) -> str:
    """Return the parts as a table for the terminal, in percent, split by split."""
    rows = [
        (
            one.split,
            one.part.label,
            _size(one),
            percent_with_interval(one.miou_inf, one.ci95_inf),
            percent(one.start_token_share),
        )
        for one in scores
    ]
    return text_table(("split", "part", "map", "mIoU_inf", "start token"), rows)


@styled
def draw_layers(scores: Sequence[PartScore], *, width: float = PAGE) -> Figure:
    """Draw the mIoU of each part, layers above and steps below, and beside it what the start token takes.

    The scores are of at most `MOST_SPLITS` splits; `width` is in millimetres.
    """
    layers = _labels(scores, "all", "layer")
    steps = _labels(scores, "all", "steps", "timestep")
    heights = [len(layers) + 0.2, len(steps) + 0.2]
    figure = new_figure(width, 2 * _FRAME + _ROW * sum(heights))
    panels = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=heights)
    measures: dict[str, Callable[[PartScore], Value | None]] = {
        "mIoU$_\\infty$": lambda one: (one.miou_inf, one.ci95_inf),
        "attention to the start token": _start_value,
    }
    for pair, labels in zip(panels, (layers, steps), strict=True):
        for axes, (name, measure) in zip(pair, measures.items(), strict=True):
            series = {}
            for split in dict.fromkeys(one.split for one in scores):
                found = {one.part.label: measure(one) for one in scores if one.split == split}
                series[split] = [found.get(label) for label in labels]
            draw_dots(axes, labels, series, axis=name)
            axes.set_box_aspect(None)
            percent_axis(axes, "x", name)
            axes.set_xlim(left=0)
            axes.label_outer()
            if axes is not panels[0, 0] and (legend := axes.get_legend()) is not None:
                legend.remove()
    return figure


def _start_value(score: PartScore) -> Value | None:
    share = score.start_token_share
    return None if share is None else (share, (share, share))


def _labels(scores: Sequence[PartScore], *kinds: str) -> list[str]:
    return list(dict.fromkeys(score.part.label for score in scores if score.part.kind in kinds))


def _size(score: PartScore) -> str:
    return "x".join(map(str, score.resolution))
