"""Examples and splits as a user of the library meets them, and COCO's classes."""

from dataclasses import fields, replace

import numpy as np
import pytest

from daam_bench.datasets.load import load_split
from daam_bench.types import RLE, MaskedNoun, Noun, Split
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CATEGORY_IDS, CLASSES
from daam_bench.types.masks import decode
from tests.tiny_dataset import generated_example


@pytest.fixture
def split(tiny_dataset) -> Split:
    return load_split(tiny_dataset, "coco_gen")


def test_an_example_has_what_its_query_has(split):
    example = split[0]
    assert (example.id, example.prompt) == ("coco-0", "a cat and a pizza")
    assert example.image is example.query.image
    noun = example.nouns[1]
    assert (noun.text, noun.lemma, noun.start, noun.end, noun.coco_class) == (
        "pizza",
        "pizza",
        12,
        17,
        "pizza",
    )


def test_the_mask_of_a_noun_is_a_boolean_array_or_none(split):
    example = split[2]
    assert [noun.text for noun in example.nouns] == ["boat", "moon"]
    boat, moon = (noun.mask for noun in example.nouns)
    assert boat.dtype == np.bool_
    np.testing.assert_array_equal(boat, decode(example.masks[0]))
    assert moon is None


def test_a_malformed_mask_is_an_error_and_not_an_endless_loop():
    example = replace(generated_example("one", "cat", "dog"), masks=(RLE((32, 32), "05"), None))
    with pytest.raises(InputError, match="do not add up"):
        _ = example.nouns[0].mask


def test_an_example_with_too_few_masks_has_no_nouns(split):
    with pytest.raises(ValueError, match="shorter"):
        _ = replace(split[0], masks=split[0].masks[:1]).nouns


def test_a_query_has_no_mask_and_no_way_to_one(split):
    query = split[0].query
    assert {type(noun) for noun in query.nouns} == {Noun}
    assert not issubclass(Noun, MaskedNoun)
    assert {field.name for field in fields(query)} == {"id", "prompt", "image", "nouns", "seed", "generation"}
    assert not hasattr(query.nouns[0], "mask")


def test_a_split_is_a_sequence(split):
    assert len(split) == 5
    assert [example.id for example in split] == [f"coco-{number}" for number in range(5)]
    assert split[-1].id == "coco-4"
    with pytest.raises(IndexError):
        _ = split[5]


def test_a_slice_of_a_split_is_a_split_that_knows_the_whole(split):
    some = split[1:4][::2]
    assert isinstance(some, Split)
    assert [example.id for example in some] == ["coco-1", "coco-3"]
    assert (some.name, some.dataset, some.fingerprint) == (split.name, split.dataset, split.fingerprint)
    assert some.partial
    assert some.whole is split
    assert [query.id for query in some.queries()] == ["coco-1", "coco-3"]


def test_a_slice_of_everything_is_not_partial(split):
    assert not split.partial
    assert not split[:].partial
    assert not split[:99].partial
    assert split[:0].partial


def test_the_80_classes_carry_cocos_own_ids():
    assert len(set(CLASSES)) == 80
    known = {"person": 1, "stop sign": 13, "cat": 17, "wine glass": 46, "tv": 72, "toothbrush": 90}
    assert {name: CATEGORY_IDS[name] for name in known} == known
