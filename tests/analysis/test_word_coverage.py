"""What a word's thresholded map covers, by hand."""

import numpy as np
import pytest

from daam_bench.analysis.pos import Coverage, cover_tokens, coverage
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.types import Token
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from tests.tiny_pipelines import MAX_LENGTH, tiny_tokenizer, tokenize


def maps_of(prompt: str) -> ImageHeatMaps:
    """Maps whose token k has k + 1 of its sixteen places at 1, the rest at 0."""
    values = np.zeros((MAX_LENGTH, 16), dtype=np.float32)
    for position in range(MAX_LENGTH):
        values[position, : position + 1] = 1
    return ImageHeatMaps(
        values.reshape(-1, 4, 4),
        prompt,
        () if prompt is None else (tokenize(tiny_tokenizer(), prompt),),
    )


def tokens_of(*words: str) -> tuple[str, list[Token]]:
    prompt = " ".join(words)
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    return prompt, [
        Token(word, "NOUN", int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)
    ]


def test_coverage_counts_what_is_at_least_tau_times_the_maximum():
    heat_map = HeatMap(np.array([[10.0, 4.0], [3.9, 0.0]]))
    assert coverage(heat_map, (2, 2), 0.4) == Coverage(0.5, 0.5)
    assert coverage(heat_map, (2, 2), 0.0) == Coverage(1.0, 1.0)
    assert coverage(heat_map, (2, 2), 1.0) == Coverage(0.25, 0.25)


def test_a_map_that_begins_high_covers_less_once_it_is_stretched():
    heat_map = HeatMap(np.array([[10.0, 6.0], [5.0, 5.0]]))
    assert coverage(heat_map, (2, 2), 0.4) == Coverage(1.0, 0.25)


def test_a_map_is_upscaled_before_it_is_thresholded():
    heat_map = HeatMap(np.array([[1.0, 0.0]]))
    assert coverage(heat_map, (2, 1), 0.1).plain == 0.5
    large = coverage(heat_map, (10, 1), 0.1).plain
    assert large == heat_map.resize((10, 1)).threshold(0.1).mean()
    assert large == 0.7


def test_an_empty_map_covers_nothing():
    assert coverage(HeatMap(np.zeros((2, 2))), (2, 2), 0.4) == Coverage(0.0, 0.0)


def test_tau_outside_its_range():
    with pytest.raises(InputError, match="tau"):
        coverage(HeatMap(np.ones((2, 2))), (2, 2), 1.5)


def test_every_word_has_the_coverage_of_its_own_map():
    prompt, tokens = tokens_of("two", "cat", "and", "pizza")
    covered = cover_tokens(maps_of(prompt), tokens, (4, 4), 0.4)
    assert [(token.text, token.coverage.plain) for token in covered.tokens] == [
        ("two", 2 / 16), ("cat", 3 / 16), ("and", 4 / 16), ("pizza", 5 / 16)
    ]  # fmt: skip
    assert (covered.truncated, covered.torn) == (0, 0)


def test_words_past_the_text_encoders_limit_are_left_out_and_counted():
    prompt, tokens = tokens_of(*["cat"] * (MAX_LENGTH + 3))
    covered = cover_tokens(maps_of(prompt), tokens, (4, 4), 0.4)
    assert len(covered.tokens) == MAX_LENGTH - 2
    assert covered.truncated == 5


def test_words_that_the_tokenizer_splits_elsewhere_are_left_out_and_counted():
    tokens = [Token("sit", "VERB", 0, 3), Token("ting", "X", 3, 7), Token("cat", "NOUN", 8, 11)]
    covered = cover_tokens(maps_of("sitting cat"), tokens, (4, 4), 0.4)
    assert [token.text for token in covered.tokens] == ["cat"]
    assert covered.torn == 2
