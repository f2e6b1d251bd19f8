"""Measuring how much of words' effects lies where maps say, image by image. Resumable."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.attribution.intervene import SHARES, AbsentWord, Intervention
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.shuffled import shuffled_maps
from daam_bench.attribution.trajectory import record
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, generate, mean_difference
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.files.json_lines import Line, LinesWriter
from daam_bench.files.outside import parse_record
from daam_bench.scoring.effects import (
    ANOTHER,
    BLURRED,
    CENTRE,
    GROUND_TRUTH,
    MEASURE,
    OWN,
    RANDOM,
    SHIFTED,
    SHUFFLED,
    ImageEffects,
    MaskEffect,
    WordEffect,
)
from daam_bench.scoring.faithfulness import (
    AREAS,
    LEAST_EFFECT,
    blurred,
    centred,
    effect,
    necessity,
    order_of_chance,
    shifted,
    top_share,
    top_shares,
)
from daam_bench.scoring.metrics import rle_iou
from daam_bench.scoring.results import HARD
from daam_bench.types import RLE, BoolMask, Example, FloatMap, Noun, PredictionsHeader
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode

logger = logging.getLogger(__name__)

REFERENCE = "reference"
"""Name of what is measured once for all methods."""

CONTROLS = (ANOTHER, SHIFTED, BLURRED)
HARD_CONTROLS = (*CONTROLS, CENTRE, SHUFFLED)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on a split.

    Attributes:
        ids: Ids of the images that came out as recorded.
        left_out: Number of images that came out otherwise.
        effects: "reference", or a method -> id -> its words.
    """

    ids: tuple[str, ...]
    left_out: int
    effects: Mapping[str, Mapping[str, ImageEffects]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What measuring a split will take: images to generate, and rows that the denoiser is called with."""

    images: int
    words: int
    rows: int
    generations: float
    """`rows`, in generations of an image."""


class EffectsFiles:
    """The files of a split's effects, one for each method and one for what they share.

    Args:
        folder: Folder of the split.
        asked: The split.
        methods: What the methods say.
        kinds: What words were asked for.
        dtype: What the pipelines are loaded as; None for what is recorded.
        restart: Overwrite what is there.

    Raises:
        InputError: A file is of other words, settings, or another method.
    """

    def __init__(
        self,
        folder: Path,
        asked: AskedSplit,
        methods: Sequence[MethodMaps],
        kinds: Sequence[str],
        *,
        dtype: str | None,
        restart: bool,
    ) -> None:
        self.effects: dict[str, dict[str, ImageEffects]] = {}
        self._files = ExitStack()
        self._writers: dict[str, LinesWriter] = {}
        settings = {"faithfulness": MEASURE, "words": sorted(kinds), "shares": list(SHARES), "dtype": dtype}
        split = asked.split
        given = {REFERENCE: (REFERENCE, {})} | {
            maps.name: (maps.header.method, maps.header.parameters) for maps in methods
        }
        for name, (method, parameters) in given.items():
            header = PredictionsHeader(
                method, {**settings, "method": dict(parameters)}, split.dataset, split.name, split.fingerprint
            )
            path = folder / f"{re.sub(r'[^\w.]+', '-', name).strip('-')}.effects.jsonl"
            kept = self.effects.setdefault(name, {})

            def read(lines: Iterator[Line], kept: dict[str, ImageEffects] = kept, path: Path = path) -> None:
                for line in lines:
                    one = _parsed(path, line)
                    kept[one.id] = one

            writer = LinesWriter(path, header, restart=restart, existing=read)
            self._writers[name] = self._files.enter_context(writer)

    def missing(self, identifier: str) -> list[str]:
        """Return which files lack an image."""
        return [name for name, kept in self.effects.items() if identifier not in kept]

    def add(self, name: str, effects: ImageEffects) -> None:
        """Write an image's effects to a file."""
        self._writers[name].write([asdict(effects)])
        self.effects[name][effects.id] = effects

    def __enter__(self) -> EffectsFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def _parsed(path: Path, line: Line) -> ImageEffects:
    try:
        return parse_record(ImageEffects, line.record)
    except InputError as error:
        raise InputError(
            f"{path}, line {line.number} is no record of faithfulness ({error}); use --restart to make it again"
        ) from None


def cost_of(asked: AskedSplit, methods: Sequence[MethodMaps], files: EffectsFiles) -> Cost:
    """Return what there is left to measure of a split. Of joint attention every row is two."""
    images = words = rows = 0
    calls = len(SHARES)
    generations = 0.0
    for example in asked.split:
        missing = files.missing(example.id)
        if not missing or example.query.generation is None:
            continue
        count = len(example.query.nouns)
        masks = 1 + (3 * len(AREAS) + 1 if REFERENCE in missing else 0)
        for maps in methods:
            if maps.name in missing:
                masks += (1 + len(CONTROLS)) * len(AREAS) * (maps.heat_maps is not None)
                masks += (1 + len(HARD_CONTROLS)) * len(maps.masks)
        here = 2 * calls + count * (1 + calls * masks)
        generation = example.query.generation
        images, words, rows = images + 1, words + count, rows + here
        generations += here / (generation.steps * (2 if generation.guidance_scale > 1 else 1))
    return Cost(images, words, rows, generations)


def measure_split(
    asked: AskedSplit,
    methods: Sequence[MethodMaps],
    files: EffectsFiles,
    pipelines: Pipelines,
    *,
    batch_size: int,
    progress: bool = True,
) -> Measured:
    """Generate a split's images again, and measure what its words do where the methods' maps say.

    Each image is in the files before the next begins.

    Args:
        asked: The split, with the asked words in the nouns' place.
        methods: What the methods say of them.
        files: Where to write; what is in there already isn't measured again.
        pipelines: Where pipelines are loaded.
        batch_size: Most rows that the denoiser is called with at once.
        progress: Show a bar with the time left, on stderr.

    Raises:
        InputError: No model generated an image, or its model can't be loaded or intervened on.
    """
    left = [example for example in asked.split if files.missing(example.id)]
    done, groups = len(asked.split) - len(left), {}
    for example, of in zip(asked.split, asked.groups, strict=True):
        groups[example.id] = of
    name = f"effects on {asked.split.name}"
    with tqdm(total=len(asked.split), initial=done, desc=name, unit="image", disable=not progress) as bar:
        for example in left:
            missing = files.missing(example.id)
            wanted = [maps for maps in methods if maps.name in missing]
            found = _measure(example, groups[example.id], wanted, pipelines, batch_size, REFERENCE in missing)
            for source, effects in found.items():
                files.add(source, effects)
            bar.update()
    ids, left_out = [], 0
    for example in asked.split:
        drifted = files.effects[REFERENCE][example.id].difference > DRIFT_TOLERANCE
        left_out += drifted
        if not drifted:
            ids.append(example.id)
    return Measured(tuple(ids), left_out, files.effects)


def _measure(
    example: Example,
    groups: Sequence[str],
    methods: Sequence[MethodMaps],
    pipelines: Pipelines,
    batch_size: int,
    reference: bool,
) -> dict[str, ImageEffects]:
    """Measure one image: for each method, and for what they share."""
    query = example.query
    if query.generation is None or query.seed is None:
        raise InputError(
            f"no model generated example {query.id!r}, so it has no trajectory; "
            "choose generated splits, such as --split coco_gen,unreal_gen"
        )
    how = query.generation
    pipeline = pipelines.get(how.model, how.revision, how.dtype)
    names = [*([REFERENCE] if reference else []), *(maps.name for maps in methods)]
    if not query.nouns:
        return {name: ImageEffects(query.id, 0.0, ()) for name in names}
    with record(pipeline) as recorder:
        (image,) = generate(pipeline, [query.prompt], [query.seed], how)
    difference = mean_difference(image.image, query.image)
    words: dict[str, list[WordEffect]] = {name: [] for name in names}
    if difference <= DRIFT_TOLERANCE:
        intervention = Intervention(recorder.trajectory(), batch_size=batch_size)
        shuffled = shuffled_maps(intervention.trajectory)
        for index, (noun, group) in enumerate(zip(query.nouns, groups, strict=True)):
            word = _Word(example, index, group, intervention, shuffled)
            if not word.is_seen:
                logger.warning("example %s: %r has no token of its own; it is left out", query.id, noun.text)
                continue
            if reference:
                words[REFERENCE].append(word.reference())
            for maps in methods:
                words[maps.name].append(word.of_method(maps))
    return {name: ImageEffects(query.id, difference, tuple(found)) for name, found in words.items()}


class _Word:
    """One word of an image: what it does, and how much of it lies in parts of the image."""

    def __init__(
        self,
        example: Example,
        index: int,
        group: str,
        intervention: Intervention,
        shuffled: ImageHeatMaps,
    ) -> None:
        self._example, self._index, self._group = example, index, group
        self._noun = example.query.nouns[index]
        self._intervention = intervention
        height, width = intervention.grid
        self._shape = height, width
        key = f"{example.id}\0{self._noun.start}"
        self._chance = order_of_chance(self._shape, key)
        try:
            self._absent: AbsentWord | None = intervention.without(self._noun.start, self._noun.end)
            self._shuffled: FloatMap | None = self._on_grid(
                shuffled.word(self._noun.start, self._noun.end).values
            )
        except InputError:
            # Cut off by the tokenizer, or a part of one of its tokens.
            self._absent = None
            return
        self._effect = effect(intervention.original, self._absent.everywhere)
        self._pooled = self._pooled_share()

    @property
    def is_seen(self) -> bool:
        """Whether the text encoders saw the word, in tokens of its own."""
        return self._absent is not None

    def reference(self) -> WordEffect:
        """Measure what all methods share."""
        maps = {RANDOM: np.zeros(self._shape, np.float32), CENTRE: centred(self._shape)}
        if self._shuffled is not None:
            maps[SHUFFLED] = self._shuffled
        truth = self._example.masks[self._index]
        masks = {} if truth is None else {HARD: {GROUND_TRUTH: decode(truth)}}
        return self._measure(maps, masks)

    def of_method(self, method: MethodMaps) -> WordEffect:
        """Measure a method's map and masks of the word, and their controls."""
        pair = self._example.id, self._index
        another = self._another(method)
        maps = {}
        if method.heat_maps is not None:
            maps = self._with_controls(
                self._given(method.heat_maps, pair),
                None if another is None else self._given(method.heat_maps, another),
            )
        masks = {}
        for tau, by_pair in method.masks.items():
            own = self._mask(by_pair[pair])
            rows = {OWN: own}
            if another is not None:
                rows[ANOTHER] = self._mask(by_pair[another])
            area = float(own.mean())
            soft = blurred(own.astype(np.float32))
            if method.heat_maps is not None:
                soft = blurred(self._given(method.heat_maps, pair))
            cells = np.arange(own.size)
            rows |= {
                SHIFTED: shifted(own),
                BLURRED: self._cut(soft, area),
                CENTRE: top_share(centred(own.shape), area, cells),
            }
            if self._shuffled is not None:
                rows[SHUFFLED] = self._cut(self._shuffled, area)
            masks[tau] = rows
        return self._measure(maps, masks, method)

    def _measure(
        self,
        maps: Mapping[str, FloatMap],
        masks: Mapping[str, Mapping[str, BoolMask]],
        method: MethodMaps | None = None,
    ) -> WordEffect:
        if self._effect < LEAST_EFFECT:
            maps, masks = {}, {}
        tops = {name: top_shares(one, self._chance) for name, one in maps.items()}
        curves = dict(zip(tops, self._necessities([*tops.values()]), strict=True))
        found: dict[str, dict[str, MaskEffect]] = {}
        for tau, rows in masks.items():
            measured = self._necessities([mask[None] for mask in rows.values()])
            found[tau] = {
                name: MaskEffect(float(one[0]), float(mask.mean()))
                for (name, mask), one in zip(rows.items(), measured, strict=True)
            }
            truth = self._example.masks[self._index]
            if method is not None and truth is not None:
                said = method.masks[tau][self._example.id, self._index]
                own = found[tau][OWN]
                iou = 0.0 if said is None else rle_iou(said, truth)
                found[tau][OWN] = MaskEffect(own.necessity, own.area, iou)
        return WordEffect(
            text=self._noun.text,
            start=self._noun.start,
            group=self._group,
            effect=self._effect,
            pooled=self._pooled,
            curves={name: tuple(curve.tolist()) for name, curve in curves.items()},
            masks=found,
        )

    def _necessities(self, parts: Sequence[BoolMask]) -> list[NDArray[np.float64]]:
        """Return the necessity of parts of the image, given in groups of one size each."""
        assert self._absent is not None
        found: list[NDArray[np.float64]] = []
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, group in enumerate(parts):
            by_shape.setdefault(group.shape[1:], []).append(index)
            found.append(np.zeros(len(group)))
        for indices in by_shape.values():
            flat = [mask.astype(np.float32) for index in indices for mask in parts[index]]
            outputs = self._absent.outputs(flat)
            values = necessity(outputs, self._intervention.original, self._absent.everywhere)
            for index in indices:
                found[index], values = values[: len(parts[index])], values[len(parts[index]) :]
        return found

    def _pooled_share(self) -> float | None:
        """Return how much of the whole effect only comes with the word's absence from the pooled text."""
        assert self._absent is not None
        without = self._absent.everywhere_with_pooled()
        if without is None:
            return None
        rest = np.abs(self._absent.everywhere - without).sum()
        whole = np.abs(self._intervention.original - without).sum()
        return float(rest / whole) if whole else None

    def _another(self, method: MethodMaps) -> tuple[str, int] | None:
        """Return the next word of the image that has another text and that the method has something for."""
        nouns: Sequence[Noun] = self._example.query.nouns
        for step in range(1, len(nouns)):
            index = (self._index + step) % len(nouns)
            pair = self._example.id, index
            given = method.heat_maps or next(iter(method.masks.values()), {})
            if nouns[index].text.lower() != self._noun.text.lower() and given.get(pair) is not None:
                return pair
        return None

    def _with_controls(self, own: FloatMap, another: FloatMap | None) -> dict[str, FloatMap]:
        maps = {OWN: own, SHIFTED: shifted(own), BLURRED: blurred(own)}
        return maps if another is None else maps | {ANOTHER: another}

    def _given(self, heat_maps: Mapping[tuple[str, int], FloatMap], pair: tuple[str, int]) -> FloatMap:
        """Return a heat map on the grid; nothing, which leaves the order to chance, where there is none."""
        values = heat_maps.get(pair)
        return np.zeros(self._shape, np.float32) if values is None else self._on_grid(values)

    def _on_grid(self, values: FloatMap) -> FloatMap:
        """Return a map at the latents' size: averaged over their areas if it is larger, else upscaled."""
        if values.shape == self._shape:
            return values
        height, width = self._shape
        if values.shape[0] >= height and values.shape[1] >= width:
            import torch

            found = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(values.copy())[None], self._shape)
            averaged: FloatMap = found[0].numpy()
            return averaged
        return HeatMap(values).resize((width, height)).values

    def _mask(self, rle: RLE | None) -> BoolMask:
        if rle is not None:
            return decode(rle)
        image = self._example.image
        return np.zeros((image.height, image.width), dtype=np.bool_)

    def _cut(self, values: FloatMap, area: float) -> BoolMask:
        """Return a map's hottest cells of a mask's area."""
        on_grid = values if values.shape == self._shape else self._on_grid(values)
        return top_share(on_grid, area, self._chance)
