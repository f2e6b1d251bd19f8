"""One word of an image: what it does, and how much of that lies in a method's maps and in their controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.attribution.intervene import Intervention
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
from daam_bench.scoring.iou import iou
from daam_bench.scoring.results import HARD
from daam_bench.types import RLE, BoolMask, Example, FloatMap
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode

REFERENCES = (RANDOM, CENTRE, SHUFFLED)
CONTROLS = (ANOTHER, SHIFTED, BLURRED)
HARD_CONTROLS = (*CONTROLS, CENTRE, SHUFFLED)

_Part = tuple[tuple[int, ...], bytes]
"""Shape and content of a mask."""


class WordInImage:
    """One word of an image: what it does, and how much of it lies in parts of the image.

    Args:
        example: The image, with the asked words in the nouns' place.
        index: Which of them it is.
        group: Its group.
        intervention: The image's generation.
        shuffled: Heat maps of the control with shuffled weights.

    Raises:
        InputError: See `Intervention.without`.
    """

    def __init__(
        self,
        example: Example,
        index: int,
        group: str,
        intervention: Intervention,
        shuffled: ImageHeatMaps,
    ) -> None:
        noun = example.query.nouns[index]
        self._example, self._index, self._group, self._noun = example, index, group, noun
        self._intervention = intervention
        height, width = intervention.grid
        self._shape = height, width
        self._chance = order_of_chance(self._shape, f"{example.id}\0{noun.start}")
        self._absent = intervention.without(noun.start, noun.end)
        self._shuffled = self._on_grid(shuffled.word(noun.start, noun.end).values)
        self._effect = effect(intervention.original, self._absent.everywhere)
        self._pooled = self._pooled_share()
        self._known: dict[_Part, float] = {}

    def reference(self) -> WordEffect:
        """Measure what all methods share."""
        chance = np.zeros(self._shape, np.float32)
        truth = self._example.masks[self._index]
        masks = {} if truth is None else {HARD: {GROUND_TRUTH: decode(truth)}}
        maps = {RANDOM: chance, CENTRE: centred(self._shape), SHUFFLED: self._shuffled}
        return self._measure(maps, masks)

    def of_method(self, method: MethodMaps) -> WordEffect:
        """Measure a method's map and masks of the word, and their controls."""
        pair, another = (self._example.id, self._index), self._another(method)
        maps = {}
        if method.heat_maps is not None:
            soft = self._given(method.heat_maps, pair)
            maps = {OWN: soft, SHIFTED: shifted(soft), BLURRED: blurred(soft)}
            if another is not None:
                maps[ANOTHER] = self._given(method.heat_maps, another)
        masks, ious = {}, {}
        truth = self._example.masks[self._index]
        for tau, said in method.masks.items():
            own = self._mask(said[pair])
            masks[tau] = self._with_controls(own, maps.get(BLURRED))
            if another is not None:
                masks[tau][ANOTHER] = self._mask(said[another])
            if truth is not None:
                ious[tau] = iou(own, decode(truth))
        return self._measure(maps, masks, ious)

    def _with_controls(self, own: BoolMask, smooth: FloatMap | None) -> dict[str, BoolMask]:
        """Return a mask and its controls of equal area; `smooth` is the blurred map that it was made of."""
        area = float(own.mean())
        smooth = blurred(own.astype(np.float32)) if smooth is None else smooth
        return {
            OWN: own,
            SHIFTED: shifted(own),
            BLURRED: top_share(self._on_grid(smooth), area, self._chance),
            CENTRE: top_share(centred(own.shape), area, np.arange(own.size)),
            SHUFFLED: top_share(self._shuffled, area, self._chance),
        }

    def _measure(
        self,
        maps: Mapping[str, FloatMap],
        masks: Mapping[str, Mapping[str, BoolMask]],
        ious: Mapping[str, float] | None = None,
    ) -> WordEffect:
        """Measure maps, and masks by tau, of a word that does something; the IoUs are those of `OWN`."""
        if self._effect < LEAST_EFFECT:
            maps, masks = {}, {}
        curves = self._necessities([top_shares(one, self._chance) for one in maps.values()])
        found = {}
        for tau, rows in masks.items():
            measured = self._necessities([mask[None] for mask in rows.values()])
            found[tau] = {
                name: MaskEffect(
                    float(one[0]), float(mask.mean()), ious.get(tau) if ious and name == OWN else None
                )
                for (name, mask), one in zip(rows.items(), measured, strict=True)
            }
        return WordEffect(
            text=self._noun.text,
            start=self._noun.start,
            group=self._group,
            effect=self._effect,
            pooled=self._pooled,
            curves={name: tuple(curve.tolist()) for name, curve in zip(maps, curves, strict=True)},
            masks=found,
        )

    def _necessities(self, parts: Sequence[BoolMask]) -> list[NDArray[np.float64]]:
        """Return the necessity of parts of the image, given in groups of one size each.

        A part that several maps or methods have is measured once.
        """
        keys = [[(mask.shape, mask.tobytes()) for mask in group] for group in parts]
        by_shape: dict[tuple[int, ...], dict[_Part, BoolMask]] = {}
        for key, mask in zip(chain(*keys), chain(*parts), strict=True):
            if key not in self._known:
                by_shape.setdefault(mask.shape, {})[key] = mask
        for new in by_shape.values():
            outputs = self._absent.outputs([mask.astype(np.float32) for mask in new.values()])
            values = necessity(outputs, self._intervention.original, self._absent.everywhere)
            self._known.update(zip(new, values.tolist(), strict=True))
        return [np.array([self._known[key] for key in group]) for group in keys]

    def _pooled_share(self) -> float | None:
        """Return how much of the whole effect only comes with the word's absence from the pooled text."""
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
