import numpy as np
import pytest
from PIL import Image

from daam_bench.segmenters.closed_vocabulary import Instances, check_score, noun_masks, read_vocabulary
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CLASSES


def query(*classes):
    nouns = tuple(Noun(str(name), str(name), 0, 1, name) for name in classes)
    return Query("q", "", Image.new("RGB", (3, 2)), nouns, None, None)


def one_pixel(*places):
    masks = np.zeros((len(places), 2, 3), dtype=bool)
    masks.reshape(len(places), 6)[np.arange(len(places)), places] = True
    return masks


def test_a_noun_has_the_union_of_its_class_s_instances():
    found = Instances(np.array([1, 0, 1]), one_pixel(0, 1, 5))
    cat, dog = noun_masks(query("cat", "dog"), found, ("dog", "cat"))
    assert np.flatnonzero(cat).tolist() == [0, 5]
    assert np.flatnonzero(dog).tolist() == [1]


def test_a_noun_of_which_nothing_was_found_has_no_prediction_nor_has_an_unknown_one():
    found = Instances(np.array([0]), one_pixel(0))
    moon, bird, cat = noun_masks(query(None, "bird", "cat"), found, (None, "cat"))
    assert moon is None
    assert bird is None
    assert cat is None


def test_an_instance_of_no_coco_class_belongs_to_no_noun():
    found = Instances(np.array([0, 1]), one_pixel(0, 1))
    assert noun_masks(query(None), found, (None, "cat")) == [None]


def test_two_labels_may_be_one_class():
    found = Instances(np.array([0, 1]), one_pixel(0, 1))
    assert noun_masks(query("cat"), found, ("cat", "cat"))[0].sum() == 2


def test_a_label_beyond_the_vocabulary_is_told():
    with pytest.raises(InputError, match="label 2, but names 2 classes"):
        noun_masks(query("cat"), Instances(np.array([2]), one_pixel(0)), ("cat", "dog"))


def test_coco_s_own_names_need_no_map():
    assert read_vocabulary(CLASSES, source="a model") == CLASSES


@pytest.mark.parametrize(
    ("renamed", "expected"),
    [
        (None, "1 of the 2 classes of a model are none of COCO's 80 .tree.; map them"),
        ({"bush": None}, "a model has no class 'bush'; it has cat, tree"),
        ({"tree": "treee"}, "'treee' is none of COCO's 80"),
        ("tree", "classes must map names to COCO classes"),
    ],
)
def test_unknown_names_are_told(renamed, expected):
    with pytest.raises(InputError, match=expected):
        read_vocabulary(["cat", "tree"], renamed, source="a model")


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), "0.5", True])
def test_a_score_that_is_none(score):
    with pytest.raises(InputError, match=r"score must be a number in \[0, 1\]"):
        check_score(score)
