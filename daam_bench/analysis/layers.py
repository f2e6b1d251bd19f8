"""Which layers and steps carry the attribution: the IoU of DAAM made from each alone, as table and figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from daam_bench.analysis.layer_parts import Part, check_bins
from daam_bench.analysis.layer_traces import PARTS, ImageParts, PartsWorker, TracedPart, trace_parts
from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.diffusion.generate import batches, settings_of
from daam_bench.engine import Local, WholeJob
from daam_bench.figures.charts import Value, draw_dots
from daam_bench.figures.style import PAGE, PALETTE, new_figure, percent_axis, styled
from daam_bench.files.replacing import write_csv
from daam_bench.scoring.results import GroundTruth
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import percent, percent_with_interval, text_table
from daam_bench.types import Environment, Prediction, PredictionsHeader, Split
from daam_bench.types.errors import InputError, check_batch_size, check_tau

if TYPE_CHECKING:
    from daam_bench.engine.seam import Engine

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


def measure_layers(
    splits: Sequence[Split],
    output: Path,
    *,
    tau: float = 0.4,
    bins: int = 5,
    batch_size: int = 16,
    device: str = "auto",
    dtype: str | None = None,
    offload: str | None = None,
    progress: bool = True,
    restart: bool = False,
    engine: Engine | None = None,
    part: WholeJob | None = None,
) -> LayerScores | None:
    """Score DAAM made from each layer alone, and from some of the steps alone.

    Each image is generated, or noised and denoised, once, with all parts traced at the same time. Each batch
    is in `output/<split>/parts.jsonl` as soon as it and those before it are done; an interrupted run resumes
    there, unless `restart` overwrites it. For `engine` and `part` see `daam_bench.engine`.

    One model generated the images of each split in one number of steps, or no model did. `tau` is in [0, 1],
    relative to each map's maximum. A `dtype` of None is the recorded one, but float32 on a CPU.

    Returns:
        The scores; None for a part that is not the whole.

    Raises:
        InputError: A setting out of range, a split without any mask or of several models, or a model that
            can't be loaded or traced.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    part = part or WholeJob()
    models = [_model_of(split, bins) for split in splits]
    settings = {"analysis": "layers", "tau": tau, "bins": bins}
    found = []
    with (engine or Local()).start(partial(PartsWorker, tau, bins, device, dtype, offload)) as pool:
        settings |= {"dtype": pool.about["dtype"]}
        for split, model in zip(splits, models, strict=True):
            header = PredictionsHeader("daam", settings, split.dataset, split.name, split.fingerprint)
            path = part.folder(output) / split.name / PARTS
            queries = [query for query in split.queries() if query.nouns]
            parted = list(batches(queries, batch_size, key=settings_of))
            found.append(
                trace_parts(pool, model, parted, path, header, part=part, progress=progress, restart=restart)
            )
    if not part.is_whole:
        return None
    scores = [
        one for split, images in zip(splits, found, strict=True) for one in _score_parts(split, images, tau)
    ]
    return LayerScores(tuple(scores), sum(image.drifted for images in found for image in images))


def _score_parts(split: Split, images: Sequence[ImageParts], tau: float) -> Iterator[PartScore]:
    by_part: dict[Part, list[tuple[str, TracedPart]]] = {}
    for image in images:
        for traced in image.parts:
            by_part.setdefault(traced.part, []).append((image.id, traced))
    for one, traces in by_part.items():
        predictions = [
            Prediction(name, noun, tau, mask)
            for name, traced in traces
            for noun, mask in enumerate(traced.masks)
        ]
        (scored,) = score(split, predictions).values()
        assert scored.miou_inf is not None
        assert scored.ci95_inf is not None
        shares = [traced.share for _, traced in traces if traced.share is not None]
        share = sum(shares) / len(shares) if shares else None
        resolution = traces[0][1].resolution
        yield PartScore(split.name, one, resolution, scored.miou_inf, scored.ci95_inf, share)


def _model_of(split: Split, bins: int) -> tuple[str, str | None, str, str | None]:
    """Return the model, revision, dtype and variant that a split's images are generated or traced with."""
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
        return split.model, None, "float32", None
    ways = {
        one and (one.model, one.revision, one.dtype, one.variant, one.scheduler, one.steps)
        for one in generations
    }
    if first is None or len(ways) > 1:
        raise InputError(
            f"the images of split {split.name!r} of {split.dataset!r} were generated in several ways "
            "(models, schedulers, numbers of steps), whose layers and steps differ; choose another --split"
        )
    check_bins(bins, first.steps)
    return first.model, first.revision, first.dtype, first.variant


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
