"""The faithfulness of methods over many words: means with intervals, controls, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from daam_bench.scoring.bootstrap import Difference, ImageTotals, confidence_intervals, paired_difference
from daam_bench.scoring.effects import (
    NOUN,
    OWN,
    RANDOM,
    GroupScores,
    ImageEffects,
    MaskEffect,
    MethodScores,
    RowScore,
    SplitFaithfulness,
)
from daam_bench.scoring.faithfulness import LEAST_EFFECT, area_under, faithfulness
from daam_bench.scoring.ranks import RankAgreement, rank_agreement

FEW_METHODS = 3
"""Fewer have no order worth a Kendall's tau."""

Key = tuple[int, int]
"""A word: the number of its image, and its first character."""


class _Row:
    """The values of one map or mask, by word."""

    def __init__(self) -> None:
        self.values: dict[Key, float] = {}
        self.curves: dict[Key, tuple[float, ...]] = {}
        self.masks: dict[Key, MaskEffect] = {}

    def keep(self, keys: set[Key]) -> _Row:
        """Return the row for some words alone."""
        row = _Row()
        for name in ("values", "curves", "masks"):
            setattr(row, name, {key: one for key, one in getattr(self, name).items() if key in keys})
        return row


class _Words:
    """A method's words: their groups and effects, and its rows."""

    def __init__(self) -> None:
        self.groups: dict[Key, str] = {}
        self.effects: dict[Key, float] = {}
        self.acting: set[Key] = set()
        self.pooled: dict[Key, float] = {}
        self.soft: dict[str, _Row] = {}
        self.hard: dict[str, dict[str, _Row]] = {}

    def add(self, image: int, effects: ImageEffects, chance: Mapping[int, tuple[float, ...]]) -> None:
        """Add an image's words; `chance` holds the curve of a random order by first character."""
        for word in effects.words:
            key = image, word.start
            self.groups[key], self.effects[key] = word.group, word.effect
            if word.pooled is not None:
                self.pooled[key] = word.pooled
            # Whether it acts may come out otherwise where the effect was measured again: both have to say so.
            if word.effect < LEAST_EFFECT or word.start not in chance:
                continue
            self.acting.add(key)
            for name, curve in word.curves.items():
                row = self.soft.setdefault(name, _Row())
                row.curves[key] = curve
                row.values[key] = faithfulness(curve, chance[word.start])
            for tau, masks in word.masks.items():
                for name, mask in masks.items():
                    row = self.hard.setdefault(tau, {}).setdefault(name, _Row())
                    row.masks[key] = mask
                    row.values[key] = mask.necessity - mask.area


def score_split(
    ids: Sequence[str],
    reference: Mapping[str, ImageEffects],
    methods: Mapping[str, tuple[Mapping[str, Any], Mapping[str, ImageEffects]]],
    left_out: int,
) -> SplitFaithfulness:
    """Score methods over the words of a split's images.

    Args:
        ids: Ids of the images that came out as recorded.
        reference: Id -> what is measured once for all methods.
        methods: Method -> its parameters, and id -> its words.
        left_out: Number of images that came out otherwise.
    """
    common = _Words()
    chances = [
        {word.start: word.curves[RANDOM] for word in reference[name].words if RANDOM in word.curves}
        for name in ids
    ]
    words = {}
    for image, name in enumerate(ids):
        common.add(image, reference[name], chances[image])
    for method, (_, effects) in methods.items():
        words[method] = _Words()
        for image, name in enumerate(ids):
            words[method].add(image, effects[name], chances[image])
    scored = {
        method: MethodScores(
            parameters=parameters,
            groups=_groups(words[method], common, len(ids)),
            tau_soft=_agreement(words[method], soft=True),
            tau_hard=_agreement(words[method], soft=False),
        )
        for method, (parameters, _) in methods.items()
    }
    return SplitFaithfulness(
        images=len(ids),
        left_out=left_out,
        methods=scored,
        differences=_differences(words, len(ids), soft=True),
        differences_hard=_differences(words, len(ids), soft=False),
        tau_with_miou=_order(words, len(ids), soft=True),
        tau_with_miou_hard=_order(words, len(ids), soft=False),
    )


def _groups(words: _Words, common: _Words, images: int) -> dict[str, GroupScores]:
    groups = {}
    for group in sorted(set(words.groups.values()), key=lambda name: (not name.startswith(NOUN), name)):
        keys = {key for key, of in words.groups.items() if of == group}
        acting = keys & words.acting
        truth = common.hard.get("none", {})
        groups[group] = GroupScores(
            words=len(acting),
            undefined=len(keys) - len(acting),
            effect=_mean(words.effects[key] for key in keys),
            pooled=_mean(words.pooled[key] for key in keys if key in words.pooled),
            soft=_scores({**words.soft, **common.soft}, acting, images) if words.soft else {},
            hard={tau: _scores({**rows, **truth}, acting, images) for tau, rows in words.hard.items()},
        )
    return groups


def _scores(rows: Mapping[str, _Row], keys: set[Key], images: int) -> dict[str, RowScore]:
    """Score a method's own row first, then its controls, over some words."""
    own = rows[OWN].keep(keys) if OWN in rows else _Row()
    kept = {name: row.keep(keys) for name, row in rows.items()}
    return {
        name: _score(row, None if name == OWN else own, images) for name, row in kept.items() if row.values
    }


def _score(row: _Row, own: _Row | None, images: int) -> RowScore:
    totals = _totals(row.values, images)
    (interval,) = confidence_intervals([totals])
    assert interval is not None
    behind, ahead = None, None
    if own is not None and (both := row.values.keys() & own.values.keys()):
        behind = _difference(own.values, row.values, images)
        ahead = float(np.mean([own.values[key] > row.values[key] for key in both]))
    ious = [mask.iou for mask in row.masks.values() if mask.iou is not None]
    return RowScore(
        mean=float(totals.sums.sum() / totals.pairs.sum()),
        ci95=interval,
        words=len(row.values),
        images=int((totals.pairs > 0).sum()),
        behind=behind,
        ahead=ahead,
        raw=_mean(map(area_under, row.curves.values())),
        curve=tuple(np.mean([*row.curves.values()], axis=0).tolist()) if row.curves else None,
        area=_mean(mask.area for mask in row.masks.values()),
        necessity=_mean(mask.necessity for mask in row.masks.values()),
        miou=_mean(ious),
    )


def _totals(values: Mapping[Key, float], images: int) -> ImageTotals:
    totals = ImageTotals(np.zeros(images), np.zeros(images, dtype=np.int64))
    for (image, _), value in values.items():
        totals.sums[image] += value
        totals.pairs[image] += 1
    return totals


def _difference(one: Mapping[Key, float], other: Mapping[Key, float], images: int) -> Difference | None:
    both = one.keys() & other.keys()
    first, second = ({key: values[key] for key in both} for values in (one, other))
    return paired_difference(_totals(first, images), _totals(second, images))


def _nouns(words: _Words, *, soft: bool) -> _Row | None:
    """Return a method's own row over the nouns, or over all words where no noun was asked; None for none."""
    rows = words.soft if soft else next(iter(words.hard.values()), {})
    if OWN not in rows:
        return None
    nouns = {key for key, group in words.groups.items() if group.startswith(NOUN)}
    return rows[OWN].keep(nouns or set(words.groups))


def _differences(words: Mapping[str, _Words], images: int, *, soft: bool) -> dict[str, Difference]:
    rows = {name: row for name, one in words.items() if (row := _nouns(one, soft=soft)) is not None}
    found = {
        f"{a} - {b}": _difference(rows[a].values, rows[b].values, images) for a, b in combinations(rows, 2)
    }
    return {name: difference for name, difference in found.items() if difference is not None}


def _ious(words: _Words) -> dict[Key, float]:
    """Return the IoU of each depicted noun at the first tau."""
    rows = next(iter(words.hard.values()), {})
    masks = rows[OWN].masks if OWN in rows else {}
    return {key: mask.iou for key, mask in masks.items() if mask.iou is not None}


def _agreement(words: _Words, *, soft: bool) -> float | None:
    row, ious = _nouns(words, soft=soft), _ious(words)
    both = sorted(row.values.keys() & ious.keys()) if row is not None else []
    return None if row is None else _kendall([row.values[key] for key in both], [ious[key] for key in both])


def _order(words: Mapping[str, _Words], images: int, *, soft: bool) -> RankAgreement | None:
    """Say how far the methods' faithfulness and their mIoU order them alike."""
    faithful, like_truth = [], []
    for one in words.values():
        row, ious = _nouns(one, soft=soft), _ious(one)
        if row is not None and row.values and ious:
            faithful.append(_totals(row.values, images))
            like_truth.append(_totals(ious, images))
    if len(faithful) < FEW_METHODS:
        return None
    return rank_agreement(faithful, like_truth, same_images=True)


def _kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    if len(one) < FEW_METHODS:
        return None
    tau = float(kendalltau(one, other).statistic)
    return None if np.isnan(tau) else tau


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return float(np.mean(values)) if values else None
