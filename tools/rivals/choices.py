"""Values of tau and of the methods' options, scored on the split `dev`: what defaults are chosen by.

Each variant of a method differs from its defaults in one option, or in some that go together. The images of
`dev` are composited, so every method noises them; variants that want the same calls of the denoiser share
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from daam_bench.attribution.architectures import traced_layers
from daam_bench.datasets.load import DEV, load_split
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.engine import InProcess
from daam_bench.files import PREDICTIONS
from daam_bench.job import folder_name
from daam_bench.scoring.bootstrap import Difference, paired_difference
from daam_bench.scoring.conventions import USUAL_TAU
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import markdown_table, percent_with_interval
from daam_bench.segmenters.base import Segmenter
from daam_bench.segmenters.bundle import Bundle, BundleWorker, segment_together
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types.errors import InputError, check_limit
from tools.method_lists import ON_TRANSFORMERS, ON_UNETS, sharing_first
from tools.rivals.against_daam import signed

TAUS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def _alone(**values: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return options to set: one option at a time, to each of its values."""
    return [{option: value} for option, of_option in values.items() for value in of_option]


_FINEST: Mapping[str, Any] = {"weights": {"1": 1.0}}
_EDGES: Mapping[str, Any] = {"superpixels": "felzenszwalb"}

GRID: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "daam": _alone(normalize=["minmax"], blocks=[["up"]]),
    "daam-mean": _alone(normalize=["minmax"]),
    "daam-self": _alone(power=[2, 4], normalize=["max"]),
    "daam-superpixels": [
        *_alone(segments=[50, 100, 400], superpixels=["felzenszwalb"], normalize=["minmax"]),
        *({**_EDGES, "scale": scale} for scale in (10.0, 25.0, 50.0, 200.0)),
        *({**_EDGES, "scale": scale, "normalize": "minmax"} for scale in (10.0, 25.0, 100.0)),
    ],
    "head-selection": _alone(share=[0.1, 0.5, 1.0], normalize=["minmax"]),
    "ovam": [
        *_alone(scores=["softmax"], template=["{}"]),
        {"scores": "softmax", "template": "{}"},
        {"scores": "softmax", "blocks": ["up"]},
    ],
    "diffsegmenter": [
        *_alone(
            weights=[{"1": 1.0}, {"2": 1.0}, {"1": 0.5, "2": 0.5}, {"1": 0.4, "2": 0.4, "4": 0.2}],
            timesteps=[[300], [500]],
        ),
        {"weights": {"1": 0.7, "2": 0.3}},
        {**_FINEST, "timesteps": [300]},
    ],
    "iseg": [
        *_alone(
            weights=[{"1": 1.0}, {"2": 1.0}, {"1": 0.5, "2": 0.5}, {"1": 0.3, "2": 0.7}],
            iterations=[1, 2, 4],
            entropy=[0.0, 0.2],
            timesteps=[[300], [500]],
        ),
        *({**_FINEST, "iterations": count} for count in (1, 2, 4)),
        {**_FINEST, "iterations": 1, "entropy": 0.2},
    ],
    "diffseg": [
        *_alone(thresholds=[[0.3] * 3, [0.1] * 3, [0.03] * 3, [0.01] * 3], timesteps=[[100], [500]]),
        {"thresholds": [0.03] * 3, "refine": False},
        {"thresholds": [0.03] * 3, "timesteps": [100]},
        {"thresholds": [0.03] * 3, "naming": "argmax"},
        {"thresholds": [0.003] * 3},
    ],
    "drop-word": _alone(timesteps=[[200, 400], [600, 800]], noises=[1, 4], replacement=["thing"]),
    "gradient": _alone(score=["target"]),
    "jvp": _alone(points=[[0.5], [0.25, 0.5, 0.75, 1.0]], noises=[2]),
    "concept-attention": _alone(first=[0.0, 0.25, 0.5]),
    "seg4diff": _alone(layer=[0, 1, 2, 3, 4, 5, 6, 7], streams=[None]),
    "anchor-diff": _alone(gate=[0.5, 2.0], power=[1.0, 8.0], spreads=[1, 6]),
}
"""Method -> the options to try beside its defaults: each alone, then what goes with the best."""


class Variant(NamedTuple):
    """A method with options of its own; none for its defaults."""

    method: str
    options: Mapping[str, Any] = {}

    @property
    def label(self) -> str:
        """How tables call it."""
        said = [f"{option}={json.dumps(value)}" for option, value in self.options.items()]
        return ", ".join(said) or "defaults"


class ChoiceRow(NamedTuple):
    """The scores of a variant.

    Attributes:
        variant: The variant.
        images: Number of images.
        usual: Its mIoU_inf at tau 0.4, with its interval.
        tau: The tau at which its mIoU_inf is highest.
        best: That mIoU_inf, with its interval.
        gain: Its best less the defaults' best, image by image; for the defaults their best less that at 0.4.
    """

    variant: Variant
    images: int
    usual: tuple[float | None, tuple[float, float] | None]
    tau: str
    best: tuple[float | None, tuple[float, float] | None]
    gain: Difference | None


def variants_of(methods: Sequence[str]) -> list[Variant]:
    """Return the variants of methods, defaults first.

    Raises:
        InputError: One has no options to choose from here.
    """
    if unknown := [method for method in methods if method not in GRID]:
        raise InputError(
            f"no values are listed to choose from for {unknown[0]!r}; there are some for {', '.join(GRID)}"
        )
    found = []
    for method in methods:
        found += [Variant(method), *(Variant(method, options) for options in GRID[method])]
    return found


def choose(
    methods: Sequence[str] | None,
    output: Path,
    *,
    dataset: str,
    model: str | None,
    limit: int | None,
    device: str,
) -> list[ChoiceRow]:
    """Run the variants of methods on `dev`, each into a folder of its own that is resumed, and score them.

    Args:
        methods: Their names; None for all that the model takes.
        output: Folder for it all.
        dataset: The dataset with the split.
        model: The pipeline to look into; None for the dataset's generator.
        limit: Only the first so many images.
        device: A torch device.

    Raises:
        InputError: See `daam_bench.segmenters.bundle.segment_together`.
    """
    check_limit(limit)
    split = load_split(dataset, DEV)[:limit]
    model = model or split.model
    if model is None:
        raise InputError(f"{dataset} doesn't say which model generated its images; name one with --model")
    variants = variants_of(methods or _methods_of(model, device))
    made = [_make(variant, model, device) for variant in variants]
    folders = [output / variant.method / folder_name(variant.label) for variant in variants]
    for group in sharing_first([variant.method for variant in variants]):
        members = [index for index, variant in enumerate(variants) if variant.method in group]
        if members:
            pool = InProcess(BundleWorker(Bundle([made[index] for index in members])))
            places = [folders[index] for index in members]
            segment_together(pool, split, places, taus=TAUS, batch_size=5)
    rows: list[ChoiceRow] = []
    for variant, folder in zip(variants, folders, strict=True):
        found = score(split, folder / PREDICTIONS)
        if not variant.options:
            defaults = found
        rows.append(_row(variant, found, defaults))
    return rows


def _methods_of(model: str, device: str) -> tuple[str, ...]:
    """Return the methods that take a model: those of U-Nets, or those of joint attention."""
    layers = traced_layers(Pipelines(device, None).get(model, None, "float32")).values()
    joint = any(layer.block in ("double", "single") for layer in layers)
    listed = ON_TRANSFORMERS if joint else ON_UNETS
    return tuple(method for method in listed if method in GRID)


def _make(variant: Variant, model: str, device: str) -> Segmenter:
    return get_segmenter(variant.method, device=device, default_model=model, **variant.options)


def _row(variant: Variant, found: SplitScores, defaults: SplitScores) -> ChoiceRow:
    tau, of_defaults = _best_tau(found), _best_tau(defaults)
    beside = (defaults, USUAL_TAU) if not variant.options else (defaults, of_defaults)
    gain = paired_difference(
        *(one.ious.image_totals(at, only_80=False) for one, at in ((found, tau), beside))
    )
    usual, best = ((found[at].miou_inf, found[at].ci95_inf) for at in (USUAL_TAU, tau))
    return ChoiceRow(variant, len(found.split), usual, tau, best, gain)


def _best_tau(scores: SplitScores) -> str:
    return max(scores, key=lambda tau: scores[tau].miou_inf or 0.0)


def to_markdown(rows: Sequence[ChoiceRow], dataset: str, model: str | None) -> str:
    """Return the table in percent, with how many images and which model it is of; clear gains are bold."""
    columns = ("method", "options", "mIoU_inf at 0.4", "best tau", "mIoU_inf there", "gain")
    body = [
        [
            f"`{row.variant.method}`" if not row.variant.options else "",
            row.variant.label if not row.variant.options else f"`{row.variant.label}`",
            percent_with_interval(*row.usual),
            row.tau,
            percent_with_interval(*row.best),
            signed(row.gain),
        ]
        for row in rows
    ]
    images = f"{rows[0].images} images of `{DEV}` of `{dataset}`"
    by = "the dataset's generator" if model is None else f"`{model}`"
    return f"Scored on {images}, noised and looked at by {by}:\n\n{markdown_table(columns, body)}"
