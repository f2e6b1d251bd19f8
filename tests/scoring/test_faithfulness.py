"""Faithfulness on arrays: necessity, curves, controls, and the scores made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.scoring.bootstrap import FEW_IMAGES
from daam_bench.scoring.effects import (
    GROUND_TRUTH,
    OWN,
    RANDOM,
    SHIFTED,
    ImageEffects,
    MaskEffect,
    WordEffect,
)
from daam_bench.scoring.faithfulness import (
    AREAS,
    area_under,
    blurred,
    centred,
    effect,
    faithfulness,
    necessity,
    order_of_chance,
    shifted,
    top_share,
    top_shares,
)
from daam_bench.scoring.word_effects import score_split
from daam_bench.types.errors import ShapeError

RNG = np.random.default_rng(0)


def outputs(steps=3):
    """Return what a denoiser says of the noise: original, absent, and with the word absent in two parts."""
    original, absent = RNG.normal(size=(2, steps, 4, 8, 8))
    share = RNG.uniform(size=(2, 1, 1, 8, 8))
    return original, absent, share * absent + (1 - share) * original


def test_the_whole_image_holds_all_of_the_effect_and_an_empty_part_none():
    original, absent, _ = outputs()
    assert necessity(np.stack([absent, original]), original, absent) == pytest.approx([1, 0])


def test_half_of_an_even_effect_is_half_of_it():
    original, absent = np.zeros((2, 1, 8, 8)), np.ones((2, 1, 8, 8))
    half = original.copy()
    half[..., :4] = 1
    assert necessity(half[None], original, absent) == pytest.approx([0.5])


def test_the_ratios_are_the_same_for_noise_image_and_velocity():
    """Latents z = alpha x0 + sigma eps, so that x0 and v = alpha eps - sigma x0 follow from eps."""
    noise = outputs()
    latents = RNG.normal(size=noise[0].shape)
    alpha, sigma = (np.array(one).reshape(3, 1, 1, 1) for one in ([0.9, 0.6, 0.3], [0.4, 0.8, 0.95]))
    image = [(latents - sigma * eps) / alpha for eps in noise]
    velocity = [alpha * eps - sigma * x0 for eps, x0 in zip(noise, image, strict=True)]
    expected = necessity(noise[2], noise[0], noise[1])
    for original, absent, hidden in (image, velocity):
        assert necessity(hidden, original, absent) == pytest.approx(expected)


def test_a_step_without_any_effect_is_left_out_and_a_word_without_any_has_none():
    original, absent, hidden = outputs()
    absent[1] = original[1]
    kept = [0, 2]
    expected = necessity(hidden[:, kept], original[kept], absent[kept])
    assert necessity(hidden, original, absent) == pytest.approx(expected)
    assert necessity(hidden, original, original).tolist() == [0, 0]
    assert effect(original, original) == 0


def test_outputs_of_other_calls_are_refused():
    original, absent, hidden = outputs()
    with pytest.raises(ShapeError, match="of the same calls"):
        necessity(hidden[:, :2], original, absent)
    with pytest.raises(ShapeError):
        effect(original, absent[:2])


def test_a_curve_by_hand():
    """Trapezoids from (0, 0) over (0.03, 0.3) ... to (1, 1)."""
    curve = (0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
    area = 0.03 * 0.15 + 0.03 * 0.35 + 0.06 * 0.5 + 0.08 * 0.65 + 0.15 * 0.75 + 0.25 * 0.85 + 0.4 * 0.95
    assert area_under(curve) == pytest.approx(2 * area - 1)
    assert faithfulness(curve, AREAS) == pytest.approx(2 * area - 1)
    assert faithfulness(curve, curve) == 0


@given(st.integers(2, 20), st.integers(2, 20), st.text(max_size=5))
def test_hottest_parts_are_nested_of_the_right_size_and_hotter_than_the_rest(height, width, key):
    heat_map = np.random.default_rng(height).integers(0, 4, (height, width)).astype(np.float32)
    parts = top_shares(heat_map, order_of_chance((height, width), key))
    for area, part, larger in zip(AREAS, parts, [*parts[1:], np.ones_like(parts[0])], strict=True):
        assert part.sum() == round(area * (height * width))
        assert not (part & ~larger).any()
        if part.any() and not part.all():
            assert heat_map[part].min() >= heat_map[~part].max()


def test_equal_cells_are_taken_in_the_order_of_chance():
    chance = order_of_chance((4, 4), "a")
    part = top_share(np.zeros((4, 4), np.float32), 0.25, chance)
    assert sorted(np.flatnonzero(part)) == sorted(chance[:4])
    assert order_of_chance((4, 4), "a").tolist() == chance.tolist()
    assert order_of_chance((4, 4), "b").tolist() != chance.tolist()
    assert sorted(chance) == list(range(16))


def test_controls_made_of_a_map():
    heat_map = np.zeros((6, 8), np.float32)
    heat_map[0, 0] = 1
    assert np.argwhere(shifted(heat_map)).tolist() == [[3, 4]]
    smooth = blurred(heat_map)
    assert smooth.shape == heat_map.shape
    assert smooth[0, 0] == smooth.max() < 0.5
    centre = top_share(centred((6, 8)), 1 / 3, np.arange(48))
    assert np.argwhere(centre).min(axis=0).tolist() == [1, 2]
    assert np.argwhere(centre).max(axis=0).tolist() == [4, 5]


LINE = AREAS
"""The curve of a map that says nothing."""


def word(start, curve=None, masks=None, *, amount=0.1, group="noun"):
    curves = {} if curve is None else curve
    return WordEffect("cat", start, group, amount, None, curves, masks or {})


def effects(name, *words):
    return ImageEffects(name, 0.0, words)


def test_scores_are_means_over_words_that_do_something():
    better = tuple((1 + area) / 2 for area in AREAS)
    reference = {
        "a": effects("a", word(0, {RANDOM: LINE}), word(5, {RANDOM: LINE})),
        "b": effects("b", word(0, {RANDOM: LINE}), word(9, amount=0.01)),
    }
    method = {
        "a": effects("a", word(0, {OWN: better, SHIFTED: LINE}), word(5, {OWN: LINE, SHIFTED: LINE})),
        "b": effects("b", word(0, {OWN: LINE}), word(9, amount=0.01)),
    }
    split = score_split(["a", "b"], reference, {"daam": ({}, method)}, left_out=3)
    assert (split.images, split.left_out) == (2, 3)
    group = split.methods["daam"].groups["noun"]
    assert (group.words, group.undefined) == (3, 1)
    assert group.effect == pytest.approx((3 * 0.1 + 0.01) / 4)
    own, moved = group.soft[OWN], group.soft[SHIFTED]
    assert own.mean == pytest.approx(area_under(better) / 3)
    assert own.raw == pytest.approx(own.mean)
    assert own.ci95[0] <= own.mean <= own.ci95[1]
    assert (own.words, own.images, moved.words, moved.images) == (3, 2, 2, 1)
    assert own.behind is None
    assert moved.behind is not None
    assert moved.behind.mean == pytest.approx(area_under(better) / 2)
    assert moved.ahead == 0.5
    assert own.curve == pytest.approx([(2 * area + one) / 3 for area, one in zip(AREAS, better, strict=True)])


def test_a_word_acts_only_where_the_reference_says_so_too():
    reference = {"a": effects("a", word(0, {RANDOM: LINE}), word(5, amount=0.0199))}
    method = {"a": effects("a", word(0, {OWN: LINE}), word(5, {OWN: LINE}, amount=0.0201))}
    group = score_split(["a"], reference, {"daam": ({}, method)}, left_out=0).methods["daam"].groups["noun"]
    assert (group.words, group.undefined, group.soft[OWN].words) == (1, 1, 1)


def test_hard_masks_are_scored_apart_and_set_against_the_ground_truth():
    truth = {"none": {GROUND_TRUTH: MaskEffect(0.5, 0.1)}}
    ious = (0.2, 0.5, 0.9)
    said = [{"none": {OWN: MaskEffect(0.4 + 0.1 * place, 0.2, iou)}} for place, iou in enumerate(ious)]
    reference = {"a": effects("a", *(word(start, {RANDOM: LINE}, truth) for start in range(3)))}
    method = {"a": effects("a", *(word(start, None, masks) for start, masks in enumerate(said)))}
    split = score_split(["a"], reference, {"boxes": ({}, method)}, left_out=0)
    scores = split.methods["boxes"]
    own = scores.groups["noun"].hard["none"][OWN]
    assert own.mean == pytest.approx(0.5 - 0.2)
    assert own.miou == pytest.approx(np.mean(ious))
    assert scores.groups["noun"].hard["none"][GROUND_TRUTH].mean == pytest.approx(0.4)
    assert scores.groups["noun"].soft == {}
    assert (scores.tau_soft, scores.tau_hard) == (None, pytest.approx(1))


def method_of(value, iou, images=FEW_IMAGES):
    curve = tuple(area + value * (1 - area) for area in AREAS)
    masks = {"0.4": {OWN: MaskEffect(value, 0.1, iou)}}
    return {str(i): effects(str(i), word(0, {OWN: curve}, masks)) for i in range(images)}


def test_methods_are_compared_over_the_same_images_and_their_order_with_that_of_miou():
    ids = [str(i) for i in range(FEW_IMAGES)]
    reference = {name: effects(name, word(0, {RANDOM: LINE})) for name in ids}
    methods = {
        "good": ({}, method_of(0.8, 0.7)),
        "fair": ({}, method_of(0.5, 0.75)),
        "poor": ({}, method_of(0.1, 0.3)),
    }
    split = score_split(ids, reference, methods, left_out=0)
    assert set(split.differences) == {"good - fair", "good - poor", "fair - poor"}
    one = split.differences["good - poor"]
    assert one.low == pytest.approx(one.mean) == pytest.approx(one.high)
    assert one.mean > 0
    assert split.differences_hard["good - poor"].mean == pytest.approx(0.7)
    order = split.tau_with_miou
    assert order.tau == pytest.approx(1 / 3)  # one of three pairs is the other way round
    assert (order.low, order.high, order.methods) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 3)
    assert split.tau_with_miou_hard.tau == pytest.approx(1 / 3)


def test_parts_of_speech_are_scored_apart():
    reference = {"a": effects("a", word(0, {RANDOM: LINE}), word(4, {RANDOM: LINE}, group="adjective"))}
    method = {"a": effects("a", word(0, {OWN: LINE}), word(4, {OWN: LINE}, group="adjective"))}
    split = score_split(["a"], reference, {"daam": ({}, method)}, left_out=0)
    assert list(split.methods["daam"].groups) == ["noun", "adjective"]
