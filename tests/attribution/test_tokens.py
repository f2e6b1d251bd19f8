from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.attribution.tokens import TokenizedPrompt, encode
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import WORDS, tiny_tokenizer, tokenize


@cache
def tokenizer(max_length: int = 77):
    return tiny_tokenizer(max_length=max_length)


def tokenized(prompt: str, max_length: int = 77) -> TokenizedPrompt:
    return tokenize(tokenizer(max_length), prompt)


def test_every_occurrence_that_was_seen_is_found() -> None:
    prompt = tokenized("a cat and a Cat and a cat", max_length=8)
    assert [word.start for word in prompt.occurrences("cat")] == [2, 12]
    with pytest.raises(InputError, match="isn't a word"):
        prompt.occurrences("dog")
    with pytest.raises(InputError, match="cut off"):
        tokenized("a cat and a dog", max_length=5).occurrences("dog")


def test_positions_count_from_the_start_token() -> None:
    prompt = tokenized("a cat and a dog")
    assert prompt.find("cat").positions == (2,)
    assert prompt.find("dog").positions == (5,)
    assert prompt.word(2, 5).positions == (2,)


def test_a_word_of_several_tokens_has_all_of_them() -> None:
    word = tokenized("a cat sitting on the grass").find("sitting")
    assert word.positions == (3, 4)


@pytest.mark.parametrize("asked", ["cat", "CAT", " cat ", "Cat"])
def test_case_and_outer_blanks_dont_matter(asked: str) -> None:
    word = tokenized("A Cat on the grass").find(asked)
    assert (word.text, word.positions) == ("Cat", (2,))


@pytest.mark.parametrize("prompt", ["a teddy bear", "a teddy  bear", "a teddy\n bear", "A TEDDY BEAR"])
def test_several_words_in_a_row_are_one(prompt: str) -> None:
    assert tokenized(prompt).find("teddy bear").positions == (2, 3)


def test_blanks_in_the_prompt_dont_shift_positions() -> None:
    assert tokenized("  a   cat \t and dog").find("dog").positions == (4,)


def test_occurrences_count_from_zero() -> None:
    prompt = tokenized("a cat and a cat")
    assert prompt.find("cat").positions == (2,)
    assert prompt.find("cat", 1).positions == (5,)
    assert prompt.word(12, 15).positions == (5,)
    with pytest.raises(InputError, match="no occurrence 2"):
        prompt.find("cat", 2)
    with pytest.raises(InputError, match="no occurrence -1"):
        prompt.find("cat", -1)


@pytest.mark.parametrize("part", ["sit", "ting", "itt", "s"])
def test_a_part_of_a_word_is_no_match(part: str) -> None:
    with pytest.raises(InputError, match="only a part of 'sitting'"):
        tokenized("a cat sitting on the grass").find(part)


def test_a_part_is_skipped_for_a_whole_word() -> None:
    assert tokenized("sitting cats sit on the cat").find("cat").start == 24


@pytest.mark.parametrize(("start", "end"), [(6, 9), (9, 13), (5, 9), (2, 8)])
def test_a_span_over_a_part_of_a_word_is_refused(start: int, end: int) -> None:
    with pytest.raises(InputError, match="a part of"):
        tokenized("a cat sitting on the grass").word(start, end)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (5, 2), (0, 100)])
def test_a_span_outside_the_prompt_is_refused(start: int, end: int) -> None:
    with pytest.raises(InputError, match="aren't a span"):
        tokenized("a cat").word(start, end)


def test_blanks_around_a_span_are_forgiven() -> None:
    assert tokenized("a cat and a dog").word(1, 6).positions == (2,)


@pytest.mark.parametrize("empty", ["", " ", "\n\t"])
def test_an_empty_word_is_refused(empty: str) -> None:
    with pytest.raises(InputError, match="empty word"):
        tokenized("a cat").find(empty)


def test_a_span_of_blanks_is_refused() -> None:
    with pytest.raises(InputError, match="empty word"):
        tokenized("a  cat").word(1, 3)


def test_a_word_that_isnt_there_is_refused() -> None:
    with pytest.raises(InputError, match="'zebra' isn't a word of the prompt 'a cat'"):
        tokenized("a cat").find("zebra")


def test_nothing_is_in_an_empty_prompt() -> None:
    assert tokenized("").words() == ()
    with pytest.raises(InputError, match="isn't a word"):
        tokenized("").find("cat")


def test_punctuation_is_found_and_ends_words() -> None:
    prompt = tokenized("a cat, a dog's hat? (the red-hat)")
    assert [word.text for word in prompt.words()] == [
        *["a", "cat", ",", "a", "dog", "'", "s", "hat", "?", "(", "the", "red", "-", "hat", ")"]
    ]
    assert prompt.find(",").positions == (3,)
    assert prompt.find("dog").text == "dog"
    assert prompt.find("hat", 1).text == "hat"


def test_letters_of_several_bytes_are_one_word() -> None:
    prompt = tokenized("a caf\u00e9 and \U0001f431 cat")
    cafe = prompt.find("caf\u00e9")
    assert len(cafe.positions) == 4
    assert cafe.positions[-1] + 1 == prompt.find("and").positions[0]
    assert len(prompt.find("\U0001f431").positions) == 4
    with pytest.raises(InputError):
        prompt.find("caf")


def test_a_word_past_the_limit_is_named() -> None:
    prompt = tokenized("a cat and a dog on the red hat", max_length=8)
    assert prompt.find("dog").positions == (5,)
    assert prompt.find("on").positions == (6,)
    assert prompt.truncated == "the red hat"
    for ask in (lambda: prompt.find("hat"), lambda: prompt.word(27, 30)):
        with pytest.raises(InputError, match=r"'hat' was cut off.*8 tokens.*'the red hat'"):
            ask()
    assert prompt.words()[-1].text == "on"


def test_a_word_cut_in_two_by_the_limit_is_refused() -> None:
    prompt = tokenized("a cat sitting", max_length=5)
    assert prompt.find("cat").positions == (2,)
    with pytest.raises(InputError, match="cut off"):
        prompt.find("sitting")
    assert [word.text for word in prompt.words()] == ["a", "cat"]


def test_a_prompt_that_fits_exactly_isnt_truncated() -> None:
    assert tokenized("a cat and", max_length=5).truncated == ""
    assert tokenized("a cat and a", max_length=5).truncated == "a"


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False
        model_max_length = 77

    with pytest.raises(InputError, match="which characters"):
        encode(Slow(), "a cat")


PROMPT_WORDS = st.lists(
    st.sampled_from([*WORDS, "sitting", "zebra", "caf\u00e9", ",", "2"]), min_size=1, max_size=12
)


@given(PROMPT_WORDS, st.sampled_from([" ", "  ", "\n", " \t"]))
def test_words_tile_the_prompts_tokens_in_order(words: list[str], blank: str) -> None:
    prompt = tokenized(blank.join(words))
    found = prompt.words()
    assert [word.text for word in found] == words
    positions = [position for word in found for position in word.positions]
    assert positions == list(range(1, len(positions) + 1))
    for word in found:
        assert prompt.word(word.start, word.end) == word
        occurrence = [other for other in found if other.text == word.text].index(word)
        assert prompt.find(word.text, occurrence) == word


@given(st.text(max_size=30))
def test_every_word_of_any_text_is_found_again(text: str) -> None:
    prompt = tokenized(text)
    for word in prompt.words():
        if word.text.strip() == word.text:
            assert prompt.word(word.start, word.end) == word
