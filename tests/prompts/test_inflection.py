import sys

import pytest

from daam_bench.prompts import inflection
from daam_bench.prompts.inflection import Forms, forms_of, indefinite_article
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CLASSES

IRREGULAR = {
    "person": "people",
    "bus": "buses",
    "bench": "benches",
    "sheep": "sheep",
    "wine glass": "wine glasses",
    "knife": "knives",
    "sandwich": "sandwiches",
    "broccoli": "broccoli",
    "couch": "couches",
    "tv": "TVs",
    "mouse": "mice",
    "toothbrush": "toothbrushes",
}


def test_plurals_of_the_coco_classes():
    for name in CLASSES:
        if name in ("skis", "scissors"):
            continue
        assert forms_of(name).plural == IRREGULAR.get(name, f"{name}s")
        assert forms_of(name).singular == ("TV" if name == "tv" else name)
    assert forms_of("skis") == forms_of("ski") == Forms("ski", "skis")


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("man", "men"),
        ("fisherwoman", "fisherwomen"),
        ("gentleman", "gentlemen"),
        ("human", "humans"),
        ("child", "children"),
        ("hot dog", "hot dogs"),
        ("fire hydrant", "fire hydrants"),
        ("cupcake stand", "cupcake stands"),
        ("t-shirt", "t-shirts"),
        ("burrito", "burritos"),
        ("potato", "potatoes"),
        ("photo", "photos"),
        ("kangaroo", "kangaroos"),
        ("calf", "calves"),
        ("giraffe", "giraffes"),
        ("roof", "roofs"),
        ("baby", "babies"),
        ("monkey", "monkeys"),
        ("stomach", "stomachs"),
        ("lens", "lenses"),
        ("thief", "thieves"),
        ("fish", "fish"),
        ("goose", "geese"),
        ("aircraft", "aircraft"),
        ("cactus", "cactuses"),
        ("SUV", "SUVs"),
        ("waltz", "waltzes"),
        ("remote controls", "remote controls"),
    ],
)
def test_plurals(singular, plural):
    assert forms_of(singular) == Forms(singular, plural)


@pytest.mark.parametrize("name", ["scissors", "jeans", "pants", "sunglasses", "police", "safety scissors"])
def test_nouns_without_a_singular(name):
    assert forms_of(name) == Forms(None, name)


def test_lemmas_that_are_no_dictionary_forms():
    assert forms_of("people") == forms_of("person")
    assert forms_of("pant") == forms_of("pants")
    assert forms_of("Hot Dog") == forms_of("hot dog")


@pytest.mark.parametrize(
    ("article", "words"),
    [
        ("an", "owl, umbrella, hour, urn, Apple, heirloom, ice, SUV, ATM, RV, x-ray, undershirt, honor"),
        ("a", "unicorn, ukulele, user, ewe, utensil, horse, European, UFO, one, TV, university"),
    ],
)
def test_indefinite_articles(article, words):
    assert {indefinite_article(word) for word in words.split(", ")} == {article}


def test_without_inflect_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "inflect", None)
    inflection._inflect.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'daam-bench\[nlp\]'"):
        inflection._plural("gadget")
