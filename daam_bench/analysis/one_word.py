"""One word of an image: what it does, and how much of that lies in a method's maps and in their controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.attribution.intervene import AbsentWord, Intervention
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.scoring.effects import (
    ANOTHER,
    BLURRED,
    CENTRE,
    GROUND_TRUTH,
    OWN,
    RANDOM,
    SHIFTED,
    SHUFFLED,
    MaskEffect,
    WordEffect,
)
from daam_bench.scoring.faithfulness import (
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
from daam_bench.types import RLE, BoolMask, Example, FloatMap
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode

REFERENCES = (RANDOM, CENTRE, SHUFFLED)
CONTROLS = (ANOTHER, SHIFTED, BLURRED)
HARD_CONTROLS = (*CONTROLS, CENTRE, SHUFFLED)


class WordInImage:
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
        nouns = self._example.query.nouns
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
            large = torch.from_numpy(values.copy())[None]
            averaged: FloatMap = torch.nn.functional.adaptive_avg_pool2d(large, self._shape)[0].numpy()
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
