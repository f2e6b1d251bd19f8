"""The noun swap on all captions of COCO's validation set, against rules that know nothing of its code."""

import re
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pytest

from daam_bench.datasets.caption_sources import read_captions
from daam_bench.prompts.nouns import parse_captions
from daam_bench.prompts.swap import NounCaption, swap_nouns
from daam_bench.types import Swap

pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CAPTIONS = DATA / "captions_val2017.json.gz"

ARTICLE = re.compile(r"(?<![\w'-])(an?)\s+$", re.IGNORECASE)
VOWEL_LETTER, VOWEL_SOUND = re.compile("[aeiou]"), re.compile("hour|honou?r|heir|[AEFHILMNORSX][A-Z]+s?$")
NO_VOWEL_SOUND = re.compile(
    "uni(?!n)|use|uk|ut[ei]|ur[aei]|us[aeu]|eu|ewe|one|once|[BCDGJKPQTUVWYZ][A-Z]+s?$"
)
# fmt: off
SAME_IN_PLURAL = {
    "aircraft", "bison", "broccoli", "deer", "elk", "fish", "moose", "salmon", "series", "sheep", "shrimp",
    "trout",
}
IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "people": "people",
    "foot": "feet", "tooth": "teeth", "goose": "geese", "mouse": "mice", "ox": "oxen",
}
NO_LEMMAS = {"banansas", "bikinis", "flys"}
# fmt: on
"""Plurals, or what was meant for some, that the pipeline takes for dictionary forms."""


@pytest.fixture(scope="module")
def before() -> list[NounCaption]:
    if not CAPTIONS.exists():
        pytest.skip("needs shared/data/captions_val2017.json.gz")
    texts = [caption.text for caption in read_captions(CAPTIONS)]
    return [parsed.countable() for parsed in parse_captions(texts)]


@pytest.fixture(scope="module")
def after(before):
    return swap_nouns(before, seed=0)


@pytest.fixture(scope="module")
def places(before, after):
    """Every place: (old noun, new noun, plural, the new caption)."""
    return [
        (old, new, plural, second)
        for first, second in zip(before, after, strict=True)
        for old, new, plural in zip(first.nouns, second.nouns, second.plural, strict=True)
    ]


def test_the_file_is_swapped_as_a_whole(before, after):
    assert len(before) == len(after) == 25_014
    assert sum(len(caption.nouns) for caption in before) > 50_000


def test_every_lemma_occurs_as_often_as_before(places):
    assert Counter(old.lemma for old, *_ in places) == Counter(new.lemma for _, new, *_ in places)


def test_no_place_keeps_its_noun(places):
    assert [old.lemma for old, new, *_ in places if old.lemma == new.lemma] == []


def test_every_other_word_stands_with_its_punctuation(before, after):
    for old, new in zip(before, after, strict=True):
        assert between_nouns(old) == between_nouns(new)


def between_nouns(caption) -> list[str]:
    """Return what stands between the nouns, an article right before one without its "n"."""
    ends = [0, *(noun.end for noun in caption.nouns)]
    starts = [*(noun.start for noun in caption.nouns), len(caption.text)]
    pieces = [caption.text[end:start] for end, start in zip(ends, starts, strict=True)]
    return [ARTICLE.sub(lambda match: match[0].replace("n", "").replace("N", ""), piece) for piece in pieces]


def test_articles_agree(before, places):
    said = defaultdict(Counter)
    for article, word in re.findall(r"\b(an?) ([a-z]{2,})", " ".join(caption.text for caption in before)):
        said[word][article] += 1
    wrong = []
    for _, new, _, caption in places:
        article = ARTICLE.search(caption.text, 0, new.start)
        word = re.split(r"[ -]", new.text)[0]
        if article and not caption.text.isupper():
            expected = said_before(word, said[word.lower()])
            if article[1].lower() != expected:
                wrong.append((article[1], new.text))
    assert wrong == []


def said_before(word: str, said: Counter) -> str:
    """Return the article that the captions' authors put before a word, or else the one of its sound."""
    if sum(said.values()) >= 5 and max(said.values()) > 0.9 * sum(said.values()):
        return said.most_common(1)[0][0]
    if VOWEL_SOUND.match(word):
        return "an"
    return "an" if VOWEL_LETTER.match(word.lower()) and not NO_VOWEL_SOUND.match(word) else "a"


def test_number_agrees(before, places):
    """A form is right if the captions have it with that number, or if it is regular."""
    seen = defaultdict(set)
    for caption in before:
        for noun, plural in zip(caption.nouns, caption.plural, strict=True):
            seen[noun.lemma, plural].add(noun.text.lower())
    wrong = {
        (new.lemma, new.text, plural)
        for _, new, plural, _ in places
        if new.text.lower() not in seen[new.lemma, plural] | {regular(new.lemma, plural)}
    }
    assert wrong == set()


def regular(lemma: str, plural: bool) -> str:
    head = re.split(r"[ -]", lemma)[-1].lower()
    before = lemma.lower()[: len(lemma) - len(head)]
    if not plural:
        return before + {"people": "person"}.get(head, head)
    if head in SAME_IN_PLURAL or lemma in NO_LEMMAS:
        return before + head
    for singular, form in IRREGULAR.items():
        if head.endswith(singular) and head not in ("human", "german", "roman"):
            return before + head.removesuffix(singular) + form
    if head == "stomach":
        return f"{before}stomachs"
    if re.search("(s|x|z|ch|sh)$", head):
        return f"{before}{head}es"
    if re.search("[^aeiou]y$", head):
        return f"{before}{head[:-1]}ies"
    if re.search("(kni|li|wi)fe$|(shel|cal|hal|loa|lea|scar|wol|hoo)f$", head):
        return before + re.sub("fe?$", "ves", head)
    return f"{before}{head}{'es' if head in ('potato', 'tomato', 'hero', 'mosquito') else 's'}"


def test_capitals_stay(before, after):
    for old, new in zip(before, after, strict=True):
        assert old.text.isupper() == new.text.isupper()
        if old.text.isupper():
            continue
        for gone, noun in zip(old.nouns, new.nouns, strict=True):
            acronym = any(re.match("[A-Z]{2}", text) for text in (gone.text, noun.text))
            assert acronym or noun.text[0].isupper() == gone.text[0].isupper()


def test_every_swapped_noun_records_what_it_replaced(before, after):
    for old, new in zip(before, after, strict=True):
        assert new.swaps == tuple(Swap(a.text, b.text) for a, b in zip(old.nouns, new.nouns, strict=True))


def test_words_lie_where_they_are_said_to(after):
    for caption in after:
        for word in chain(caption.nouns, caption.tokens):
            assert caption.text[word.start : word.end] == word.text


def test_the_same_seed_gives_the_same_split(before):
    some = before[:500]
    assert swap_nouns(some, seed=1) == swap_nouns(some, seed=1)
    assert swap_nouns(some, seed=1) != swap_nouns(some, seed=2)
