import gzip
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daam_bench.prompts.noun_tables import noun_tables
from daam_bench.prompts.nouns import extract_nouns, parse_captions
from daam_bench.types.coco_classes import CLASSES

pytest.importorskip("spacy")

CAPTIONS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions_val2017.json.gz"


def kept(caption: str) -> list[str]:
    return [found.noun.text for found in extract_nouns(caption) if found.countable]


def classes(caption: str) -> dict[str, str | None]:
    return {found.noun.text: found.noun.coco_class for found in extract_nouns(caption)}


def dropped(caption: str) -> dict[str, str]:
    return {found.noun.text: found.reason for found in extract_nouns(caption) if not found.countable}


def lemmas(caption: str) -> dict[str, tuple[str, bool]]:
    return {found.noun.text: (found.noun.lemma, found.plural) for found in extract_nouns(caption)}


def test_a_caption_gives_its_things_and_drops_its_places_and_measures():
    caption = "A group of people standing on top of a snow covered slope with two dogs."
    assert kept(caption) == ["people", "dogs"]
    assert set(dropped(caption)) == {"group", "top", "snow", "slope"}


def test_spans_are_where_the_text_is():
    caption = "A man  holds a hot dog near the fire-hydrant."
    for found in extract_nouns(caption):
        assert caption[found.noun.start : found.noun.end] == found.noun.text


@pytest.mark.parametrize(
    "name",
    ["teddy bear", "fire hydrant", "traffic light", "hot dog", "tennis racket", "stop sign", "cell phone"],
)
def test_a_class_of_two_words_is_one_noun(name):
    assert classes(f"There is a {name} here.") == {name: name}
    (found,) = extract_nouns(f"Two {name}s are here.")
    assert (found.noun.text, found.noun.lemma, found.plural) == (f"{name}s", name, True)


def test_a_compound_goes_by_its_head():
    assert classes("A kitchen table next to a pizza box.") == {"table": "dining table", "box": None}
    assert classes("A hot dog stand and a teddy bear shop.") == {"stand": None, "shop": None}


def test_a_hyphen_joins_a_compound():
    assert kept("A fire-hydrant and a t-shirt.") == ["fire-hydrant", "shirt"]


@pytest.mark.parametrize(
    ("caption", "text", "lemma"),
    [
        ("Three women at a table.", "women", "woman"),
        ("Some children with kites.", "children", "child"),
        ("Two knives on a board.", "knives", "knife"),
        ("Many buses in the street.", "buses", "bus"),
        ("Several dishes in the sink.", "dishes", "dish"),
        ("People at a beach.", "People", "person"),
        ("A person on skis.", "skis", "ski"),
        ("A pair of scissors.", "scissors", "scissors"),
        ("Two wine glasses.", "wine glasses", "wine glass"),
        ("A bowl of potatoes.", "potatoes", "potato"),
        ("Benches in a park.", "Benches", "bench"),
    ],
)
def test_a_plural_has_its_singular_as_lemma(caption, text, lemma):
    assert lemmas(caption)[text] == (lemma, True)


def test_the_number_of_sheep_is_in_the_words_before():
    assert lemmas("A sheep in a field.")["sheep"] == ("sheep", False)
    assert lemmas("Three sheep in a field.")["sheep"] == ("sheep", True)
    assert lemmas("A herd of sheep in a field.")["sheep"] == ("sheep", True)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("man", "person"), ("skier", "person"), ("player", "person"), ("bike", "bicycle"),
        ("motorbike", "motorcycle"), ("plane", "airplane"), ("sofa", "couch"), ("television", "tv"),
        ("phone", "cell phone"), ("puppy", "dog"), ("kitten", "cat"), ("bull", "cow"), ("duck", "bird"),
        ("mug", "cup"), ("doughnut", "donut"), ("surf board", "surfboard"), ("fridge", "refrigerator"),
    ],
)  # fmt: skip
def test_the_words_of_captions_name_their_class(word, name):
    assert classes(f"There is a {word} near a tree.")[word] == name


def test_a_word_that_only_looks_like_a_class_has_none():
    assert "orange" not in classes("A man in an orange jacket.")
    assert classes("A woman dressed in orange.").get("orange") is None
    assert classes("An orange and a banana.")["orange"] == "orange"
    assert classes("A mouse eats cheese.").get("mouse") is None
    assert classes("A keyboard and a mouse on a desk.")["mouse"] == "mouse"
    assert classes("A glass of water on a table.")["glass"] is None
    assert classes("A glass of wine on a table.")["glass"] == "wine glass"
    assert classes("A coffee table in a room.")["coffee table"] is None
    assert "train" not in classes("They train every day.")


def test_a_board_goes_by_its_sport():
    assert classes("A surfer carries his board.")["board"] == "surfboard"
    assert classes("A snowboarder holds a board in the snow.")["board"] == "snowboard"
    assert classes("A skateboarder jumps off his board.")["board"] == "skateboard"


def test_the_mother_of_a_giraffe_is_no_person():
    assert classes("A mother giraffe and her baby.")["baby"] is None
    assert classes("A mother and her baby.") == {"mother": "person", "baby": "person"}


@pytest.mark.parametrize(
    ("caption", "text", "reason"),
    [
        ("A dog runs through the water.", "water", "a mass noun"),
        ("A man walks down the street.", "street", "ground"),
        ("A cat in a kitchen.", "kitchen", "a place"),
        ("A bunch of bananas.", "bunch", "a quantity"),
        ("A herd of elephants.", "herd", "measures"),
        ("A picture of a dog.", "picture", "an image"),
        ("A boy plays tennis.", "tennis", "something that happens"),
        ("A bus at night.", "night", "a time"),
        ("A cat on top of a car.", "top", "a place on or near"),
        ("A cup of sherbet on a desk.", "sherbet", "behind 'of'"),
        ("A statue near Paris.", "Paris", "a name"),
    ],
)
def test_what_is_dropped_has_a_reason(caption, text, reason):
    assert reason in dropped(caption)[text]


def test_a_mass_noun_that_is_counted_is_kept():
    assert "salad" in kept("A salad on a plate.")
    assert "salad" in dropped("A plate with salad.")


def test_a_verb_in_s_is_no_noun():
    caption = "A bus pulls over near a man."
    assert kept(caption) == ["bus", "man"]
    (parsed,) = parse_captions([caption])
    assert {token.text: token.pos for token in parsed.tokens}["pulls"] == "VERB"


@pytest.mark.parametrize("caption", ["A CAT ON A BED NEXT TO A DOG", "A Cat On A Bed Next To A Brown Dog"])
def test_capitals_hide_no_noun(caption):
    assert [text.lower() for text in kept(caption)] == ["cat", "bed", "dog"]


def test_every_word_has_a_token_with_its_part_of_speech():
    (parsed,) = parse_captions(["A man, two hot dogs."])
    assert [(token.text, token.pos) for token in parsed.tokens] == [
        ("A", "DET"), ("man", "NOUN"), (",", "PUNCT"), ("two", "NUM"), ("hot", "NOUN"), ("dogs", "NOUN"),
        (".", "PUNCT"),
    ]  # fmt: skip


def test_the_swap_is_handed_the_countable_nouns_only():
    (parsed,) = parse_captions(["Two dogs in the water near a man."])
    caption = parsed.countable()
    assert [noun.lemma for noun in caption.nouns] == ["dog", "man"]
    assert caption.plural == (True, False)
    assert caption.tokens == parsed.tokens


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60))
def test_any_text_has_nouns_that_lie_in_it_apart_from_each_other(caption):
    (parsed,) = parse_captions([caption])
    assert parsed.text == caption
    end = 0
    for found in parsed.nouns:
        assert end <= found.noun.start < found.noun.end <= len(caption)
        assert caption[found.noun.start : found.noun.end] == found.noun.text
        end = found.noun.end
    for token in parsed.tokens:
        assert caption[token.start : token.end] == token.text


def test_every_class_has_a_word_and_every_word_a_class_of_coco():
    tables = noun_tables()
    assert {name for name in tables.classes.values() if name} | {
        rule.coco_class for rules in tables.rules.values() for rule in rules
    } == set(CLASSES)


def test_every_name_of_a_class_is_found():
    for name in CLASSES:
        if name not in {"orange", "mouse", "bed", "sports ball"}:
            assert noun_tables().classes[name if name != "skis" else "ski"] == name


@pytest.mark.skipif(not CAPTIONS.exists(), reason=f"needs {CAPTIONS.name} beside the repository")
def test_nearly_all_captions_of_coco_have_a_countable_noun():
    annotations = json.loads(gzip.decompress(CAPTIONS.read_bytes()))["annotations"]
    captions = [annotation["caption"] for annotation in Random(0).sample(annotations, 500)]
    without = [parsed.text for parsed in parse_captions(captions) if not parsed.countable().nouns]
    assert len(without) < 20
