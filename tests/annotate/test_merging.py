"""Two annotations merged into one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.annotate.agreement import compare_nouns
from daam_bench.annotate.merging import mean_shape, merge_annotations
from daam_bench.types import Annotation
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode, encode
from tests.scoring.tiny_split import left, make_split


def annotated(by: str, masks, kind: str = "own"):
    split = make_split([[("cat", "cat", mask)] for mask in masks])
    examples = tuple(
        replace(example, annotation=Annotation(by, "by eye", "2026-01-01", (kind,))) for example in split
    )
    return replace(split, examples=examples)


def merged(a, b, prefer=None):
    return merge_annotations(a, b, compare_nouns(a, b), prefer)


def test_the_merged_mask_lies_halfway():
    (example,) = merged(annotated("Ada", [left(3)]), annotated("Bob", [left(5)]))
    assert np.array_equal(decode(example.masks[0]), left(4))
    assert example.annotation.by == "Ada and Bob"
    assert example.annotation.masks == ("own",)
    assert example.annotation.how.startswith("two annotations merged")


def test_equal_masks_stay_and_keep_what_they_were():
    (example,) = merged(annotated("Ada", [left(3)], "accepted"), annotated("Bob", [left(3)]))
    assert np.array_equal(decode(example.masks[0]), left(3))
    assert example.annotation.masks == ("accepted",)


def test_a_noun_that_both_call_not_depicted_has_no_mask():
    (example,) = merged(annotated("Ada", [None]), annotated("Bob", [None]))
    assert example.masks == (None,)


@pytest.mark.parametrize(("a", "b"), [(left(1), left(6)), (left(3), None), (None, left(3))])
def test_what_is_too_different_is_refused_unless_one_is_preferred(a, b):
    first, second = annotated("Ada", [a]), annotated("Bob", [b])
    with pytest.raises(InputError, match=r"1 nouns are too different to merge \(cat of 0\)"):
        merged(first, second)
    for prefer, mask in (("a", a), ("b", b)):
        (example,) = merged(first, second, prefer)
        found = example.masks[0]
        assert (found is None) == (mask is None)
        assert mask is None or np.array_equal(decode(found), mask)


def test_an_image_that_only_one_annotates_keeps_that_annotation():
    first, second = (
        annotated("Ada", [left(3), left(2), left(1)]),
        annotated("Bob", [left(3), left(4), left(1)]),
    )
    open_a = (first[0], replace(first[1], annotation=None), first[2])
    open_b = (second[0], second[1], replace(second[2], annotation=None))
    examples = merged(replace(first, examples=open_a), replace(second, examples=open_b))
    assert [example.annotation.by for example in examples] == ["Ada and Bob", "Bob", "Ada"]
    assert np.array_equal(decode(examples[1].masks[0]), left(4))


@given(st.integers(0, 2**32 - 1))
def test_a_merged_shape_lies_between_the_two_and_does_not_depend_on_their_order(seed):
    rng = np.random.default_rng(seed)
    a = rng.random((12, 15)) < 0.6
    b = rng.random((12, 15)) < 0.6
    shape = mean_shape(a, b)
    assert np.array_equal(shape, mean_shape(b, a))
    assert (shape >= (a & b)).all()
    assert (shape <= (a | b)).all()


def test_a_masks_mean_with_itself_is_itself_also_where_it_fills_the_image():
    for mask in (np.ones((4, 5), bool), left(2)):
        assert np.array_equal(mean_shape(mask, mask), mask)


def test_encoded_masks_are_of_the_images_size():
    (example,) = merged(annotated("Ada", [left(3)]), annotated("Bob", [left(5)]))
    assert example.masks[0].size == encode(left(3)).size
