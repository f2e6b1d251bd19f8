import re
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.splits.lexicon import find_nouns
from daam_bench.splits.swap import NounCaption, SwappedCaption, indefinite_article, swap_nouns
from daam_bench.types import Noun, Swap, Token

PLURALS = {
    "cat": "cats",
    "apple": "apples",
    "sheep": "sheep",
    "teddy bear": "teddy bears",
    "unicorn": "unicorns",
    "TV": "TVs",
}
LEMMAS = {form: lemma for lemma, plural in PLURALS.items() for form in (plural, lemma)}
NOUN = re.compile(r"\b(" + "|".join(sorted(LEMMAS, key=len, reverse=True)) + r")\b", re.IGNORECASE)


def parse(text: str) -> NounCaption:
    """Find the nouns of a caption made of the words of `PLURALS`; a numeral before one makes it plural."""
    nouns, plural = [], []
    for match in NOUN.finditer(text):
        form = next(form for form in LEMMAS if form.lower() == match[0].lower())
        nouns.append(Noun(match[0], LEMMAS[form], match.start(), match.end(), LEMMAS[form]))
        plural.append(bool(re.search(r"\btwo (big )?$", text[: match.start()])) or form not in PLURALS)
    tokens = [
        Token(word[0], "NOUN" if covers(nouns, word.start()) else "X", word.start(), word.end())
        for word in re.finditer(r"\w+|[^\w\s]", text)
    ]
    return NounCaption(text, tuple(nouns), tuple(plural), tuple(tokens))


def covers(nouns: list[Noun], position: int) -> bool:
    return any(noun.start <= position < noun.end for noun in nouns)


@st.composite
def captions(draw) -> NounCaption:
    phrases = []
    for _ in range(draw(st.integers(0, 4))):
        lemma = draw(st.sampled_from(list(PLURALS)))
        if draw(st.booleans()):
            phrases.append(f"two {PLURALS[lemma]}")
        elif draw(st.booleans()):
            phrases.append(f"a big {lemma}")
        else:
            phrases.append(f"{indefinite_article(lemma)} {lemma}")
    text = " and ".join(phrases) + " here."
    return parse(text[0].upper() + text[1:] if draw(st.booleans()) else text)


tables = st.sampled_from([None, PLURALS, {"cat": "cats", "apple": "apples"}])


def lemmas(caption: NounCaption | SwappedCaption) -> list[str]:
    return [noun.lemma for noun in caption.nouns]


@given(st.lists(captions(), max_size=6), st.integers(0, 99), tables)
def test_every_lemma_occurs_as_often_as_before(before, seed, plurals):
    after = swap_nouns(before, seed, plurals)
    assert Counter(chain(*map(lemmas, after))) == Counter(chain(*map(lemmas, before)))


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_a_place_keeps_its_lemma_only_when_there_are_too_few_others(before, seed):
    after = swap_nouns(before, seed, PLURALS)
    pairs = list(zip(chain(*map(lemmas, before)), chain(*map(lemmas, after)), strict=True))
    commonest = max(Counter(old for old, _ in pairs).values(), default=0)
    assert sum(old == new for old, new in pairs) == max(0, 2 * commonest - len(pairs))


@given(st.lists(captions(), max_size=6), st.integers(0, 99), tables)
def test_every_other_word_stands_and_articles_fit(before, seed, plurals):
    for old, new in zip(before, swap_nouns(before, seed, plurals), strict=True):
        assert without_nouns(old) == without_nouns(new)
        for noun in new.nouns:
            article = re.search(r"\b(an?) $", new.text[: noun.start], re.IGNORECASE)
            if article:
                assert article[1].lower() == indefinite_article(noun.text)


def without_nouns(caption: NounCaption | SwappedCaption) -> str:
    text = caption.text
    for noun in reversed(caption.nouns):
        text = f"{text[: noun.start]}_{text[noun.end :]}"
    return re.sub(r"\b(a)n? _", r"\1 _", text, flags=re.IGNORECASE)


@given(st.lists(captions(), max_size=6), st.integers(0, 99), tables)
def test_spans_lie_where_the_words_are(before, seed, plurals):
    for old, new in zip(before, swap_nouns(before, seed, plurals), strict=True):
        for word in (*new.nouns, *new.tokens):
            assert new.text[word.start : word.end] == word.text
        assert re.sub(r"\s", "", new.text) == "".join(token.text for token in new.tokens)
        assert [token.start for token in new.tokens] == sorted(token.start for token in new.tokens)
        assert [token.pos for token in new.tokens if token.pos == "X"] == [
            token.pos for token in old.tokens if token.pos == "X"
        ]
        assert new.swaps == tuple(Swap(a.text, b.text) for a, b in zip(old.nouns, new.nouns, strict=True))


@given(st.lists(captions(), max_size=6), st.integers(0, 99), tables)
def test_number_agrees(before, seed, plurals):
    for caption in swap_nouns(before, seed, plurals):
        for noun, plural in zip(caption.nouns, caption.plural, strict=True):
            assert noun.text.lower() == (PLURALS[noun.lemma] if plural else noun.lemma).lower()


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_the_same_seed_gives_the_same_swap(before, seed):
    assert swap_nouns(before, seed, PLURALS) == swap_nouns(before, seed, PLURALS)


def test_another_seed_gives_another_swap():
    before = [parse("a cat and an apple"), parse("two sheep and a unicorn"), parse("a TV")]
    assert (
        len({tuple(caption.text for caption in swap_nouns(before, seed, PLURALS)) for seed in range(20)}) > 5
    )


def test_no_caption_names_a_noun_twice_if_that_can_be_avoided():
    before = [parse("a cat and an apple")] * 20 + [parse("a unicorn and a TV")] * 20
    for caption in swap_nouns(before, 0, PLURALS):
        assert len(set(lemmas(caption))) == 2


@pytest.mark.parametrize(
    ("first", "second", "swapped"),
    [
        ("A cat sits.", "Apples rest.", ["A cat sits.", "Apples rest."]),
        ("A cat sits.", "An apple rests.", ["An apple sits.", "A cat rests."]),
        ("Two cats.", "one TV", ["Two TVs.", "one cat"]),
        ("TV and news", "a cat", ["Cat and news", "a TV"]),
        ("a big cat", "an unicorn", ["a big unicorn", "a cat"]),
        ("a teddy bear!", "a cat", ["a cat!", "a teddy bear"]),
        ("Ants ban a cat", "an apple", ["Ants ban an apple", "a cat"]),
    ],
)
def test_swap_of_two(first, second, swapped):
    plurals = None if "Apples" in second else PLURALS
    assert [caption.text for caption in swap_nouns([parse(first), parse(second)], 0, plurals)] == swapped


def test_indefinite_articles():
    for word in ["owl", "umbrella", "hour", "urn", "Apple", "heirloom", "ice"]:
        assert indefinite_article(word) == "an"
    for word in ["unicorn", "ukulele", "user", "ewe", "utensil", "horse", "European", "UFO", "one"]:
        assert indefinite_article(word) == "a"


@pytest.mark.parametrize(
    ("caption", "nouns", "plural"),
    [
        ("Two sheep and a sheep", ["sheep", "sheep"], [True, False]),
        ("A hot dog, not a dog.", ["hot dog", "dog"], [False, False]),
        ("people on benches", ["people", "benches"], [True, True]),
        ("a category of scatter", [], []),
        ("a TV and mice", ["TV", "mice"], [False, True]),
    ],
)
def test_nouns_by_word_list(caption, nouns, plural):
    found = find_nouns(caption)
    assert [noun.text for noun in found.nouns] == nouns
    assert [caption[noun.start : noun.end] for noun in found.nouns] == nouns
    assert list(found.plural) == plural
