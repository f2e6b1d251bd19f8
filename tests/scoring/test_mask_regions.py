"""The band along a boundary and the other nouns: against scikit-image, SciPy and plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage
from skimage import morphology

from daam_bench.scoring.mask_regions import band_width, dilate, erode, image_regions
from daam_bench.scoring.metrics import map_leakage, oracle_tau, run_band_ious, run_leakages
from daam_bench.scoring.score import score
from daam_bench.types import BoolMask, CurvePoint, Prediction
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.masks import RLE, decode_runs, encode, join, paint
from tests.scoring.tiny_split import complete, left, make_split

sizes = npst.array_shapes(min_dims=2, max_dims=2, max_side=24)


def masks_of(size: tuple[int, int]) -> st.SearchStrategy[BoolMask]:
    """Scattered pixels, blobs, all and nothing."""
    scattered = npst.arrays(np.bool_, size)
    blobs = scattered.map(lambda mask: ndimage.binary_closing(mask, np.ones((3, 3))))
    return scattered | blobs | st.booleans().map(lambda value: np.full(size, value))


@st.composite
def some_masks(draw: st.DrawFn, count: int) -> list[BoolMask]:
    size = draw(sizes)
    return [draw(masks_of(size)) for _ in range(count)]


def square(by: int) -> np.ndarray:
    return np.ones((2 * by + 1, 2 * by + 1), dtype=bool)


@given(some_masks(1), st.integers(1, 9))
def test_dilation_and_erosion_are_those_of_scikit_image_and_scipy(masks, by):
    (mask,) = masks
    assert np.array_equal(dilate(mask, by), morphology.dilation(mask, square(by)))
    assert np.array_equal(erode(mask, by), morphology.erosion(mask, square(by)))
    assert np.array_equal(dilate(mask, by), ndimage.binary_dilation(mask, square(by)))
    assert np.array_equal(erode(mask, by), ndimage.binary_erosion(mask, square(by), border_value=1))


@pytest.mark.parametrize(
    ("size", "width"), [((64, 64), 1), ((512, 512), 8), ((31, 900), 1), ((1, 1), 1), ((96, 500), 2)]
)
def test_the_band_is_a_64th_of_the_shorter_side_and_at_least_a_pixel(size, width):
    assert band_width(*size) == width


def band_iou(prediction: BoolMask, ground_truth: BoolMask) -> float | None:
    """IoU over the pixels outside the band, by SciPy, as DESIGN defines it."""
    by = max(1, round(min(ground_truth.shape) / 64))
    eroded = ndimage.binary_erosion(ground_truth, square(by), border_value=1)
    if not eroded.any():
        return None
    kept = ~(ndimage.binary_dilation(ground_truth, square(by)) & ~eroded)
    a, b = prediction[kept], ground_truth[kept]
    return (a & b).sum() / (a | b).sum()


def leakage(prediction: BoolMask, own: BoolMask, others: list[BoolMask]) -> float | None:
    """Share of a prediction on other nouns, pixel by pixel; None without a pixel, and without other masks."""
    if not prediction.any() or not any(mask.any() for mask in others):
        return None
    pixels = [tuple(pixel) for pixel in np.argwhere(prediction)]
    return sum(not own[pixel] and any(mask[pixel] for mask in others) for pixel in pixels) / len(pixels)


@given(some_masks(4))
def test_the_scores_of_pairs_are_those_of_the_plain_definitions(masks):
    *ground_truth, prediction = masks
    split = make_split([[(str(noun), None, mask) for noun, mask in enumerate(ground_truth)]])
    scores = score(split, [Prediction("0", noun, None, encode(prediction)) for noun in range(3)], resamples=1)
    bands, leakages = [], []
    for pair in scores.pairs():
        own = ground_truth[pair.noun]
        others = [mask for noun, mask in enumerate(ground_truth) if noun != pair.noun]
        assert pair.iou_band == pytest.approx(band_iou(prediction, own))
        assert pair.leakage == pytest.approx(leakage(prediction, own, others))
        bands += [] if pair.iou_band is None else [pair.iou_band]
        leakages += [] if pair.leakage is None else [pair.leakage]
    at_none = scores[None]
    assert (at_none.pairs_band, at_none.pairs_leakage) == (len(bands), len(leakages))
    assert at_none.miou_band == (pytest.approx(np.mean(bands)) if bands else None)
    assert at_none.leakage == (pytest.approx(np.mean(leakages)) if leakages else None)


@given(some_masks(3))
def test_many_at_once_give_the_same_numbers_as_one_by_one(masks):
    truths = [encode(mask) for mask in masks]
    regions = image_regions(tuple(truths))
    pixels = [mask.size for mask in masks]
    cores, reaches, others = (
        join([getattr(one, name) for one in regions], pixels) for name in ("core", "reach", "others")
    )
    predictions = decode_runs(truths[::-1])
    for place, own in enumerate(masks):
        alone = [decode_runs([truths[::-1][place]]), *regions[place][1:4]]
        np.testing.assert_array_equal(
            run_band_ious(alone[0], *alone[1:3])[0], run_band_ious(predictions, cores, reaches)[place]
        )
        np.testing.assert_array_equal(
            run_leakages(alone[0], alone[3])[0], run_leakages(predictions, others)[place]
        )
        assert not (paint(regions[place].others, own.shape) & own).any()
        by = band_width(*own.shape)
        assert np.array_equal(paint(regions[place].core, own.shape), erode(own, by))
        assert np.array_equal(paint(regions[place].reach, own.shape), dilate(own, by))


def test_the_band_of_a_large_image_is_that_of_the_whole_image():
    masks = np.zeros((4, 200, 150), dtype=np.bool_)
    masks[0, 40:90, 30:31] = masks[1, :7, 120:] = masks[2, 150:, :9] = masks[2, 100, 75] = True
    by = band_width(200, 150)
    assert by == 2
    for mask, regions in zip(masks, image_regions(tuple(map(encode, masks))), strict=True):
        assert np.array_equal(
            paint(regions.core, mask.shape), ndimage.binary_erosion(mask, square(by), border_value=1)
        )
        assert np.array_equal(paint(regions.reach, mask.shape), ndimage.binary_dilation(mask, square(by)))


@given(some_masks(3))
def test_the_ground_truth_leaks_nothing_and_is_perfect_outside_its_band(masks):
    split = make_split([[(str(noun), None, mask) for noun, mask in enumerate(masks)]])
    for pair in score(split, [masks], resamples=1).pairs():
        assert pair.iou_band in (1, None)
        assert pair.leakage in (0, None)


def test_a_pair_without_anything_outside_its_band_is_left_out_and_counted():
    thin = np.zeros((4, 6), dtype=np.bool_)
    thin[1] = True
    split = make_split([[("cat", "cat", thin), ("dog", "dog", left(3))]])
    scores = score(split, [[thin, left(3)]])[None]
    assert (scores.pairs_inf, scores.pairs_band, scores.miou_band) == (2, 1, 1)


def test_a_noun_that_the_method_gave_nothing_for_counts_0_outside_the_band_and_leaks_nothing():
    split = make_split([[("cat", "cat", left(2)), ("dog", "dog", left(4))]])
    for prediction in (None, encode(left(0))):
        given_nothing = [Prediction("0", 0, None, prediction), Prediction("0", 1, None, encode(left(4)))]
        scores = score(split, given_nothing)[None]
        assert (scores.miou_band, scores.pairs_band) == (0.5, 2)
        assert (scores.leakage, scores.pairs_leakage) == (0, 1)


def test_an_image_with_one_masked_noun_says_nothing_of_leakage():
    split = make_split([[("cat", "cat", left(2)), ("dog", "dog", None), ("cow", "cow", left(0))]])
    scores = score(split, complete(split, [Prediction("0", 0, None, encode(left(6)))]))[None]
    assert (scores.leakage, scores.pairs_leakage) == (None, 0)
    assert next(score(split, complete(split, [])).pairs()).leakage is None


def test_another_noun_that_lies_within_its_own_pixels_is_no_other_place():
    split = make_split([[("cat", "cat", left(4)), ("hat", None, left(2))]])
    cat, hat = score(split, [[left(6), left(6)]]).pairs()
    assert cat.leakage == 0
    assert hat.leakage == pytest.approx(2 / 6)


@given(some_masks(1), st.data())
def test_the_leakage_of_a_map_is_the_share_of_its_sum(masks, data):
    (others,) = masks
    values = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 8, width=32)
    heat_map = data.draw(npst.arrays(np.float32, others.shape, elements=values))
    total = sum(heat_map.ravel().tolist())
    inside = sum(
        value for value, is_other in zip(heat_map.ravel().tolist(), others.ravel(), strict=True) if is_other
    )
    found = map_leakage(heat_map, others)
    assert found == (pytest.approx(inside / total) if total else None)


def test_the_map_of_a_split_leaks_where_its_image_has_other_nouns():
    split = make_split([[("cat", "cat", left(2)), ("dog", "dog", left(6))], [("cow", "cow", left(1))]])
    flat = np.ones((4, 6), dtype=np.float32)
    scores = score(split, [[flat, flat], [flat]], tau=(0.3, 0.5))
    for tau in (0.3, 0.5):
        assert scores[tau].map_leakage == pytest.approx((4 / 6 + 0) / 2)
        assert scores[tau].leakage == pytest.approx((4 / 6 + 0) / 2)
    zeros = score(split, [[flat * 0, flat], [flat]])[0.4]
    assert (zeros.map_leakage, zeros.pairs_leakage) == (0, 1)


def test_a_map_and_a_mask_of_different_sizes_are_an_error():
    with pytest.raises(ShapeError, match="differ in shape"):
        map_leakage(np.ones((2, 3), dtype=np.float32), np.ones((3, 2), dtype=np.bool_))


def test_a_malformed_mask_of_another_noun_is_told_with_its_place():
    split = make_split([[("cat", "cat", left(2)), ("dog", "dog", RLE((4, 6), "111"))]])
    with pytest.raises(InputError, match=r"id '0', noun 1: the runs of a mask do not add up"):
        score(split, [Prediction("0", 0, None, encode(left(2)))], partial=True)


@given(st.lists(st.none() | st.floats(0, 1), max_size=19))
def test_the_oracle_tau_is_where_the_curve_is_highest(mious):
    taus = [format((place + 1) / 20, "g") for place in range(len(mious))]
    curve = {tau: CurvePoint(None, miou) for tau, miou in zip(taus, mious, strict=True)}
    known = [miou for miou in mious if miou is not None]
    expected = float(taus[mious.index(max(known))]) if known else None
    assert oracle_tau(curve) == expected
