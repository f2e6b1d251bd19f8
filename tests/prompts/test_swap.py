import re
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.prompts.inflection import Forms
from daam_bench.prompts.swap import NounCaption, swap_nouns
from daam_bench.types import Noun, Swap, Token

PLURALS = {
    "cat": "cats",
    "apple": "apples",
    "sheep": "sheep",
    "teddy bear": "teddy bears",
    "unicorn": "unicorns",
    "TV": "TVs",
    "scissors": "scissors",
}
PLURAL_ONLY = {"scissors"}
ARTICLES = {"apple": "an"}
LEMMAS = {form: lemma for lemma, plural in PLURALS.items() for form in (plural, lemma)}
NOUN = re.compile(r"\b(" + "|".join(sorted(LEMMAS, key=len, reverse=True)) + r")\b", re.IGNORECASE)


def forms(lemma: str) -> Forms:
    return Forms(None if lemma in PLURAL_ONLY else lemma, PLURALS[lemma])


def parse(text: str) -> NounCaption:
    """Find the nouns of a caption made of the words of `PLURALS`; a numeral before one makes it plural."""
    nouns, plural = [], []
    for match in NOUN.finditer(text):
        lemma = next(lemma for form, lemma in LEMMAS.items() if form.lower() == match[0].lower())
        nouns.append(Noun(match[0], lemma, match.start(), match.end(), lemma))
        counted = re.search(r"\btwo (big )?$", text[: match.start()], re.IGNORECASE)
        plural.append(bool(counted) or match[0].lower() not in [name.lower() for name in PLURALS])
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
        if lemma in PLURAL_ONLY or draw(st.booleans()):
            phrases.append(f"two {PLURALS[lemma]}")
        elif draw(st.booleans()):
            phrases.append(f"a big {lemma}")
        else:
            phrases.append(f"{ARTICLES.get(lemma, 'a')} {lemma}")
    text = " and ".join(phrases) + " here."
    return parse(draw(st.sampled_from([text, text[0].upper() + text[1:], text.title(), text.upper()])))


def lemmas(caption: NounCaption) -> list[str]:
    return [noun.lemma for noun in caption.nouns]


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_every_lemma_occurs_as_often_as_before(before, seed):
    after = swap_nouns(before, seed, forms)
    assert Counter(chain(*map(lemmas, after))) == Counter(chain(*map(lemmas, before)))


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_a_place_keeps_its_lemma_only_when_there_are_too_few_others(before, seed):
    """With m of n places a label's own, 2m - n of its nouns must stay; of the scissors, by plural places."""
    after = swap_nouns(before, seed, forms)
    places = [
        (old, new, plural)
        for first, second in zip(before, after, strict=True)
        for old, new, plural in zip(lemmas(first), lemmas(second), second.plural, strict=True)
    ]
    plurals = sum(plural for _, _, plural in places)
    for lemma, count in Counter(old for old, _, _ in places).items():
        kept = sum(old == new == lemma for old, new, _ in places)
        if lemma in PLURAL_ONLY:
            assert kept == max(0, 2 * count - plurals)
        elif not any(old in PLURAL_ONLY for old, _, _ in places):
            assert kept == max(0, 2 * count - len(places))


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_every_other_word_stands_and_articles_fit(before, seed):
    for old, new in zip(before, swap_nouns(before, seed, forms), strict=True):
        assert without_nouns(old) == without_nouns(new)
        for noun in new.nouns:
            article = re.search(r"\b(an?) $", new.text[: noun.start], re.IGNORECASE)
            if article:
                assert article[1].lower() == ARTICLES.get(noun.lemma, "a")


def without_nouns(caption: NounCaption) -> str:
    """Blank the nouns out, and the "n" of an article before one."""
    text = caption.text
    for noun in reversed(caption.nouns):
        text = f"{text[: noun.start]}_{text[noun.end :]}"
    return re.sub(r"\b(a)n? _", r"\1 _", text, flags=re.IGNORECASE)


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_spans_lie_where_the_words_are(before, seed):
    for old, new in zip(before, swap_nouns(before, seed, forms), strict=True):
        for word in (*new.nouns, *new.tokens):
            assert new.text[word.start : word.end] == word.text
        assert re.sub(r"\s", "", new.text) == "".join(token.text for token in new.tokens)
        assert [token.start for token in new.tokens] == sorted(token.start for token in new.tokens)
        assert [token.pos for token in new.tokens if token.pos == "X"] == [
            token.pos for token in old.tokens if token.pos == "X"
        ]
        assert new.swaps == tuple(Swap(a.text, b.text) for a, b in zip(old.nouns, new.nouns, strict=True))


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_number_agrees(before, seed):
    for old, new in zip(before, swap_nouns(before, seed, forms), strict=True):
        assert new.plural == old.plural
        for noun, plural in zip(new.nouns, new.plural, strict=True):
            assert noun.text.lower() == (PLURALS[noun.lemma] if plural else noun.lemma).lower()
            assert plural or noun.lemma not in PLURAL_ONLY


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_capitals_stay(before, seed):
    for old, new in zip(before, swap_nouns(before, seed, forms), strict=True):
        assert new.text.isupper() == old.text.isupper()
        for gone, noun in zip(old.nouns, new.nouns, strict=True):
            if not old.text.isupper() and noun.lemma != "TV" and gone.lemma != "TV":
                assert noun.text[0].isupper() == gone.text[0].isupper()
            if noun.lemma == "TV":
                assert noun.text.startswith("TV")


@given(st.lists(captions(), max_size=6), st.integers(0, 99))
def test_the_same_seed_gives_the_same_swap(before, seed):
    assert swap_nouns(before, seed, forms) == swap_nouns(before, seed, forms)


def test_another_seed_gives_another_swap():
    before = [parse("a cat and an apple"), parse("two sheep and a unicorn"), parse("a TV")]
    assert len({tuple(caption.text for caption in swap_nouns(before, seed, forms)) for seed in range(20)}) > 5


@pytest.mark.parametrize(
    ("first", "second", "swapped"),
    [
        ("A cat sits.", "An apple rests.", ["An apple sits.", "A cat rests."]),
        ("Two cats.", "one TV", ["Two TVs.", "one cat"]),
        ("TV and news", "a cat", ["Cat and news", "a TV"]),
        ("a big cat", "an unicorn", ["a big unicorn", "a cat"]),
        ("a teddy bear!", "a cat", ["a cat!", "a teddy bear"]),
        ("Ants ban a cat", "an apple", ["Ants ban an apple", "a cat"]),
        ("vitamin-a cat", "an apple", ["vitamin-a apple", "a cat"]),
        ("A CAT RUNS", "an apple", ["AN APPLE RUNS", "a cat"]),
        ("a cat's bed", "Two apples", ["an apple's bed", "Two cats"]),
        ("two scissors", "two cats", ["two cats", "two scissors"]),
        ("two scissors", "a cat", ["two scissors", "a cat"]),
        ("  ", "a cat", ["  ", "a cat"]),
    ],
)
def test_swap_of_two(first, second, swapped):
    assert [caption.text for caption in swap_nouns([parse(first), parse(second)], 0, forms)] == swapped


def test_any_noun_is_inflected_by_the_library():
    before = [
        NounCaption("a big zebra", (Noun("zebra", "zebra", 6, 11, "zebra"),), (False,)),
        NounCaption("two hot dogs", (Noun("hot dogs", "hot dog", 4, 12, "hot dog"),), (True,)),
    ]
    assert [caption.text for caption in swap_nouns(before, 0)] == ["a big hot dog", "two zebras"]
