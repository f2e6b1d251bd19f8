"""How far two annotations of the same images agree."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daam_bench.annotate.agreement import agreement, cohens_kappa, compare_nouns
from daam_bench.types import RLE, Annotation
from daam_bench.types.errors import InputError
from tests.scoring.tiny_split import left, make_split

BY_HAND = Annotation("a person", "by hand", "2026-01-31")


def annotated(examples):
    split = make_split(examples)
    return replace(split, examples=tuple(replace(example, annotation=BY_HAND) for example in split.examples))


A = annotated(
    [
        [("cat", "cat", left(2)), ("lawn", None, left(4))],
        [("cat", "cat", left(6)), ("dog", "dog", None)],
        [("sky", None, left(3)), ("moon", None, None)],
    ]
)
B = annotated(
    [
        [("cat", "cat", left(4)), ("lawn", None, left(4))],
        [("cat", "cat", left(3)), ("dog", "dog", left(1))],
        [("sky", None, left(0)), ("moon", None, None)],
    ]
)


def test_nouns_depicted_in_both_are_compared():
    found = compare_nouns(A, B)
    assert [(noun.text, noun.iou) for noun in found] == [
        ("cat", 0.5),
        ("lawn", 1.0),
        ("cat", 0.5),
        ("dog", None),
        ("sky", None),
        ("moon", None),
    ]
    summary = agreement(found)
    assert (summary.images, summary.nouns) == (3, 6)
    assert (summary.both, summary.only_a, summary.only_b, summary.neither) == (3, 1, 1, 1)
    assert summary.miou == pytest.approx(2 / 3)
    assert summary.ci95 == (0.5, 0.75)
    assert summary.depicted == pytest.approx(4 / 6)
    assert [(lemma, score.miou, score.pairs) for lemma, score in summary.per_lemma.items()] == [
        ("cat", 0.5, 2),
        ("lawn", 1.0, 1),
    ]


def test_an_annotation_agrees_with_itself():
    summary = agreement(compare_nouns(A, A))
    assert (summary.miou, summary.ci95, summary.depicted, summary.kappa) == (1, (1, 1), 1, 1)


def test_examples_that_one_of_them_has_not_annotated_are_left_out():
    some = replace(B, examples=(B.examples[1],))
    assert {noun.id for noun in compare_nouns(A, some)} == {"1"}
    assert compare_nouns(A, some) == compare_nouns(replace(A, examples=A.examples[1:2]), some)
    unfinished = replace(B, examples=(replace(B.examples[0], annotation=None), *B.examples[1:]))
    assert {noun.id for noun in compare_nouns(A, unfinished)} == {"1", "2"}


def test_nothing_in_common():
    others = replace(B, examples=(replace(B.examples[0], query=replace(B.examples[0].query, id="x")),))
    with pytest.raises(InputError, match="have no annotated example in common"):
        compare_nouns(A, others)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"prompt": "cats lawn"}, "the words of example '0' differ"),
        ({"nouns": ()}, "the nouns of example '0' differ"),
        ({"image": Image.new("RGB", (6, 4), "red")}, "the pixels of example '0' differ"),
        ({"image": Image.new("RGB", (4, 6))}, "the pixels of example '0' differ"),
    ],
)
def test_two_datasets_are_no_two_annotations(change, line):
    first = B.examples[0]
    other = replace(B, examples=(replace(first, query=replace(first.query, **change)),))
    with pytest.raises(InputError, match=line):
        compare_nouns(A, other)


def test_a_malformed_mask_is_named():
    first = A.examples[0]
    broken = replace(A, examples=(replace(first, masks=(RLE((4, 6), "zzz"), first.masks[1])),))
    with pytest.raises(InputError, match="example '0', noun 'cat': "):
        compare_nouns(A, broken)


def test_without_masks_there_is_only_agreement_on_that():
    nothing = annotated([[("moon", None, None)]])
    summary = agreement(compare_nouns(nothing, nothing))
    assert (summary.miou, summary.ci95, summary.depicted, summary.kappa) == (None, None, 1, None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_kappa_is_agreement_beyond_chance(votes):
    a, b = np.array(votes).T
    kappa = cohens_kappa(*(int(np.sum(cell)) for cell in (a & b, a & ~b, ~a & b, ~a & ~b)))
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    if kappa is None:
        assert chance == 1
    else:
        assert kappa == pytest.approx(((a == b).mean() - chance) / (1 - chance))
        assert -1 <= kappa <= 1
