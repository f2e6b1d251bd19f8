import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from daam_bench.types.errors import InputError
from tools.emoji.checking.regions import SPACES, colour_regions, mask_of, snap
from tools.emoji.scenes import compose, sample_layout


def two_squares():
    pixels = np.full((20, 24, 3), 230, dtype=np.uint8)
    pixels[4:12, 3:9] = (200, 20, 30)
    pixels[6:18, 14:22] = (20, 40, 180)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("space", SPACES)
def test_areas_of_one_colour_are_regions_numbered_by_their_first_pixels(space):
    regions = colour_regions(two_squares(), space, 3)
    assert (regions[0, 0], regions[5, 5], regions[10, 16]) == (0, 1, 2)
    assert np.array_equal(np.bincount(regions.ravel()), [20 * 24 - 48 - 96, 48, 96])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_regions_are_connected_and_cover_every_pixel(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    regions = colour_regions(Image.fromarray(pixels), count=9)
    assert set(np.unique(regions)) == set(range(9))
    assert all(ndimage.label(regions == number)[1] == 1 for number in range(9))


def test_a_mask_is_the_union_of_its_regions():
    regions = np.array([[0, 0, 1], [2, 2, 1]])
    assert np.array_equal(mask_of(regions, [1, 2]), [[False, False, True], [True, True, True]])
    assert not mask_of(regions, []).any()


def test_snapping_gives_each_region_to_one_class():
    regions = np.array([[0, 0, 1, 1]])
    scores = np.array([[[0.9, 0.2, 0.1, 0.4]], [[0.1, 0.8, 0.9, 0.6]]], dtype=np.float32)
    assert np.array_equal(snap(scores, regions), [[0, 0, 1, 1]])


def test_an_unknown_colour_space_is_named():
    with pytest.raises(InputError, match="no colour space 'XYZ'"):
        colour_regions(two_squares(), "XYZ")


def test_masks_of_whole_regions_come_near_to_the_exact_ones(glyphs):
    rng = np.random.default_rng(1)
    overlaps = []
    for _ in range(10):
        scene = compose(sample_layout(rng), glyphs, 64, rng)
        regions = colour_regions(Image.fromarray(scene.image))
        for exact in scene.masks:
            shares = np.bincount(regions.ravel(), exact.ravel()) / np.bincount(regions.ravel())
            mask = mask_of(regions, np.flatnonzero(shares > 0.5))
            overlaps.append((mask & exact).sum() / (mask | exact).sum())
    assert np.mean(overlaps) > 0.9
