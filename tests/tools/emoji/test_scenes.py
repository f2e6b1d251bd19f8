import numpy as np
import pytest

from daam_bench.emoji.nouns import BACKGROUNDS, NOUNS
from daam_bench.types.coco_classes import CLASSES as COCO_CLASSES
from daam_bench.types.errors import InputError
from tools.emoji.backgrounds import background
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Layout, ObjectGroup, compose, sample_layout


def rng():
    return np.random.default_rng(0)


def test_the_world_has_enough_nouns_of_both_kinds():
    coco = [noun for noun in NOUNS.values() if noun.coco_class is not None]
    assert len(coco) >= 25
    assert len(NOUNS) - len(coco) >= 12
    assert {noun.coco_class for noun in coco} <= set(COCO_CLASSES)
    assert all(set(noun.usual) <= set(BACKGROUNDS) for noun in NOUNS.values())
    assert len({noun.glyph for noun in NOUNS.values()}) == len(NOUNS)


@pytest.mark.parametrize("name", BACKGROUNDS)
@pytest.mark.parametrize("size", [64, 96])
def test_a_background_fills_the_image(name, size):
    image = background(name, size, rng())
    assert image.shape == (size, size, 3)
    assert image.min() >= 0
    assert image.max() <= 1


def test_masks_cover_just_the_pixels_that_the_objects_changed(glyphs):
    layout = Layout((ObjectGroup("rocket"), ObjectGroup("cat")), "grass")
    with_objects = compose(layout, glyphs, 64, rng())
    assert with_objects.masks.shape == (2, 64, 64)
    assert not (with_objects.masks[0] & with_objects.masks[1]).any()
    green = with_objects.image[~with_objects.masks.any(axis=0)].mean(axis=0)
    assert green[1] > green[0]
    assert green[1] > green[2]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_group_shows_as_many_objects_as_it_says(glyphs, count):
    areas = [
        compose(
            Layout((ObjectGroup("apple", count),), "snow"), glyphs, 64, np.random.default_rng(seed)
        ).masks.sum()
        for seed in range(20)
    ]
    single = glyphs.get("apple", 64)[..., 3].mean()
    sides = np.sqrt(np.array(areas) / count / single) / 64
    assert 0.25 < np.median(sides) < 0.7


def test_big_objects_are_larger_than_small_ones(glyphs):
    def area(size):
        layout = Layout((ObjectGroup("clock", 1, size),), "road")
        return np.mean([compose(layout, glyphs, 64, np.random.default_rng(s)).masks.sum() for s in range(10)])

    assert area("small") < 0.6 * area("") < 0.8 * area("big")


def test_the_same_seed_composes_the_same_scene(glyphs):
    first, second = (compose(sample_layout(rng()), glyphs, 64, rng()) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.masks, second.masks)


def test_usual_layouts_keep_to_usual_backgrounds():
    random = rng()
    for _ in range(200):
        layout = sample_layout(random, usual=True)
        assert all(layout.background in NOUNS[group.noun].usual for group in layout.groups)


def test_a_missing_font_is_named_with_its_package(tmp_path):
    with pytest.raises(InputError, match="fonts-noto-color-emoji"):
        Glyphs(tmp_path / "none.ttf")
