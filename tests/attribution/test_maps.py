"""The heat maps of an image as a mapping from the words of its prompt."""

import numpy as np
import pytest

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.types.errors import InputError, UnknownWordError
from tests.tiny_pipelines import tiny_tokenizer, tokenize


def maps_of(prompt: str | None, **settings: str) -> ImageHeatMaps:
    values = np.random.default_rng(0).random((24, 4, 6), dtype=np.float32)
    return ImageHeatMaps(
        values, prompt, () if prompt is None else (tokenize(tiny_tokenizer(), prompt),), **settings
    )


def test_its_keys_are_the_words_of_the_prompt_each_once():
    maps = maps_of("A cat and a dog, a cat")
    assert list(maps) == ["A", "cat", "and", "dog", ","]
    assert len(maps) == 5
    assert [word.text for word in maps.words()] == ["A", "cat", "and", "a", "dog", ",", "a", "cat"]


def test_its_values_are_the_maps_of_the_first_occurrences():
    maps = maps_of("A cat and a dog, a cat")
    for word, heat_map in maps.items():
        np.testing.assert_array_equal(heat_map, maps.find(word, occurrence=0))
    np.testing.assert_array_equal(maps.word(2, 5, occurrence=1), maps.word(19, 22))


def test_in_tells_whether_a_word_can_be_looked_up():
    maps = maps_of("a cat on the grass")
    assert "cat" in maps
    assert "CAT" in maps
    assert "the grass" in maps
    assert "dog" not in maps
    assert "gras" not in maps
    assert "" not in maps
    assert 3 not in maps
    assert maps.get("dog") is None


def test_a_word_that_was_cut_off_is_not_in():
    maps = maps_of("a " * 90 + "cat")
    assert "cat" not in maps
    assert "a" in maps


def test_an_unknown_word_is_an_error_of_both_kinds_that_lists_the_words():
    with pytest.raises(UnknownWordError) as caught:
        _ = maps_of("a cat and a dog")["bird"]
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, KeyError)
    assert (
        str(caught.value)
        == "'bird' isn't a word of the prompt 'a cat and a dog'; its words: a, cat, and, dog"
    )


def test_without_words_the_reason_is_told_and_not_hidden():
    with pytest.raises(InputError, match="prompt_embeds"):
        list(maps_of(None))
    with pytest.raises(InputError, match="the prompts differ"):
        _ = "cat" in maps_of("a cat", no_words="the prompts differ")


def test_maps_are_equal_to_themselves_alone():
    maps = maps_of("a cat")
    assert maps == maps
    assert maps != maps_of("a cat")
    assert len({maps, maps}) == 1
