"""mIoU by object size, number of nouns and background."""

from dataclasses import replace

import numpy as np
import pytest

from daam_bench.scoring.breakdown import KINDS, breakdown, pair_groups
from daam_bench.scoring.score import score
from daam_bench.types import Prediction, Token
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import make_split

SIZE = (10, 10)


def rows(count):
    """A mask of the first rows: `count` tenths of the image."""
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[:count] = True
    return mask


def pixels(count):
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask.flat[:count] = True
    return mask


def scored(split, predicted):
    masks = [
        Prediction(example.id, noun, None, encode(mask))
        for example, nouns in zip(split, predicted, strict=True)
        for noun, mask in enumerate(nouns)
    ]
    return score(split, masks)


def on(split, *backgrounds):
    """The split, its prompts ending in backgrounds."""
    examples = [
        replace(
            example,
            query=replace(example.query, prompt=f"{example.prompt} {background}"),
            tokens=(
                Token(background, "NOUN", len(example.prompt) + 1, len(example.prompt) + 1 + len(background)),
            )
            if background
            else (),
        )
        for example, background in zip(split, backgrounds, strict=True)
    ]
    return replace(split, examples=tuple(examples))


def test_groups_hold_the_mean_over_their_pairs():
    split = make_split(
        [
            [("cat", "cat", pixels(4)), ("moon", None, rows(1))],
            [("cat", "cat", rows(2))],
            [("cat", "cat", pixels(14)), ("dog", "dog", pixels(15)), ("sun", None, rows(9))],
        ]
    )
    found = breakdown(
        scored(split, [[pixels(2), rows(1)], [rows(1)], [pixels(14), pixels(30), rows(0)]]), "none"
    )
    by_group = {
        (one.kind, one.group.partition(":")[0]): (round(one.miou, 6), one.pairs, one.images) for one in found
    }
    assert by_group == {
        ("object size", "small"): (0.5, 1, 1),
        ("object size", "medium"): (1.0, 2, 2),
        ("object size", "large"): (round((0.5 + 0.5 + 0.0) / 3, 6), 3, 2),
        ("nouns of the prompt", "one"): (0.5, 1, 1),
        ("nouns of the prompt", "two"): (0.75, 2, 1),
        ("nouns of the prompt", "three or more"): (0.5, 3, 1),
    }


def test_a_background_is_usual_or_unusual_for_a_noun_and_left_out_where_there_is_none():
    plain = make_split([[("boat", "boat", rows(2))] for _ in range(4)])
    split = on(plain, "sea", "road", "", "sea")
    found = breakdown(scored(split, [[rows(2)], [rows(1)], [rows(0)], [rows(4)]]), "none")
    by_group = {one.group: (one.miou, one.pairs) for one in found if one.kind == KINDS[2]}
    assert by_group == {"usual for the noun": (0.75, 2), "unusual for it": (0.5, 1)}


def test_prompts_of_another_world_have_no_backgrounds():
    split = on(make_split([[("giraffe", "giraffe", rows(2))], [("boat", "boat", rows(2))]]), "sea", "sea")
    assert not [
        one for one in breakdown(scored(split, [[rows(2)], [rows(2)]]), "none") if one.kind == KINDS[2]
    ]


def test_each_pair_is_in_one_group_of_a_kind():
    split = on(
        make_split([[("boat", "boat", rows(n)), ("cow", "cow", rows(1))] for n in (1, 3)]), "sea", "sea"
    )
    groups = pair_groups(scored(split, [[rows(1), rows(1)]] * 2))
    for kind in groups.values():
        assert np.sum(list(kind.values()), axis=0).tolist() == [1, 1, 1, 1]


def test_intervals_hold_the_mean():
    split = make_split([[("cat", "cat", rows(2))] for _ in range(12)])
    found = breakdown(scored(split, [[rows(1 + n % 3)] for n in range(12)]), "none", resamples=500)
    for one in found:
        assert one.interval[0] <= one.miou <= one.interval[1]
    assert found[0].miou == pytest.approx((0.5 + 1 + 2 / 3) / 3)
