"""Looking at one prompt: its words, their names, and images that no model generated."""

from functools import cache

import pytest
from PIL import Image
from transformers import CLIPTokenizer

from daam_bench.analysis import one_prompt
from daam_bench.analysis.one_prompt import (
    LARGEST,
    all_words,
    choose_words,
    fitting_size,
    labels,
    look_at,
    read_image,
    unknown_words,
)
from daam_bench.attribution.tokens import TokenizedPrompt
from daam_bench.emoji import PIPELINE
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_sd, tiny_tokenizer, tokenize


@cache
def tokenizer():
    return tiny_tokenizer(max_length=40)


def tokenized(prompt: str) -> TokenizedPrompt:
    return tokenize(tokenizer(), prompt)


def chosen(prompt: str, *asked: str) -> tuple[str, ...]:
    parsed = tokenized(prompt)
    return labels(choose_words(parsed, asked or None), parsed)


def test_nouns_are_shown_by_default():
    pytest.importorskip("spacy", reason="finding nouns needs spaCy")
    pytest.importorskip("inflect", reason="finding nouns needs inflect")
    assert chosen("A cat and a teddy bear on the grass.") == ("cat", "teddy bear", "grass")


def test_all_words_but_punctuation_are_shown_without_spacy(monkeypatch):
    monkeypatch.setattr(one_prompt, "find_spec", lambda name: None)
    assert chosen("two red, the hat!") == ("two", "red", "the", "hat")
    assert chosen("?!") == ("?", "!")


def test_words_come_in_the_order_asked_for_each_once():
    assert chosen("a cat and a dog", "dog", " Cat ", "dog") == ("dog", "cat")
    assert chosen("a teddy bear on grass", "teddy bear", "bear") == ("teddy bear", "bear")


def test_a_word_that_occurs_twice_means_both_or_the_one_with_the_number():
    assert chosen("a cat and a cat", "cat") == ("cat#1", "cat#2")
    assert chosen("a cat and a cat", "cat#2") == ("cat#2",)
    assert chosen("a cat and a cat", "cat#2", "cat") == ("cat#2", "cat#1")


@pytest.mark.parametrize("asked", ["dog", "", "cat#2", "cat#0", "ca", "cat dog"])
def test_a_word_that_isnt_there_is_refused_in_one_line(asked):
    with pytest.raises(InputError) as caught:
        chosen("a cat on the grass", asked)
    assert "\n" not in str(caught.value)


def test_the_words_there_are_are_named():
    with pytest.raises(InputError, match="choose from are: a, cat, on, grass"):
        chosen("a cat on a grass", "dog")


def test_every_word_of_the_prompt_is_there_and_words_chosen_together_stay_together():
    prompt = tokenized("a teddy bear and a cat")
    assert [word.text for word in all_words(prompt, choose_words(prompt, ["cat"]))] == [
        "a", "teddy", "bear", "and", "a", "cat"
    ]  # fmt: skip
    both = all_words(prompt, choose_words(prompt, ["teddy bear", "bear"]))
    assert [word.text for word in both] == ["a", "teddy bear", "and", "a", "cat"]


def test_words_the_shipped_model_never_saw_are_unknown():
    shipped = CLIPTokenizer.from_pretrained(PIPELINE / "tokenizer")

    def unknown(prompt: str) -> tuple[str, ...]:
        return unknown_words(tokenize(shipped, prompt).words())

    assert unknown("There are two big cats and a pizza, quietly, on the grass.") == ()
    assert unknown("An Astronaut rides x; an astronaut!?") == ("astronaut", "rides", "x")
    assert unknown(", ".join(sorted(NOUNS)[:10])) == ()


def test_any_text_in_the_prompt_has_names(monkeypatch):
    monkeypatch.setattr(one_prompt, "find_spec", lambda name: None)
    for prompt in ("#1 #1 cat#2", "$ \\ <b> \x1b[2J cat", "ein Käse 🧀 🧀", "日本 日本"):
        parsed = tokenized(prompt)
        every = all_words(parsed, choose_words(parsed, None))
        names = labels(every, parsed)
        assert len(set(names)) == len(names) == len(every) > 0


def test_an_empty_prompt_has_nothing_to_show():
    with pytest.raises(InputError, match="no word to show"):
        chosen("   ")


@pytest.fixture(scope="module")
def pipeline():
    return tiny_sd()


@pytest.mark.parametrize(
    ("size", "fitting"),
    [((16, 16), (16, 16)), ((1600, 1600), (16, 16)), ((3, 3), (16, 16)), ((400, 100), (32, 8))],
)
def test_the_model_sees_the_image_s_proportions_at_its_own_area(pipeline, size, fitting):
    assert fitting_size(pipeline, size) == fitting


def test_a_large_image_is_shown_large_and_its_maps_are_the_model_s(pipeline):
    traced = look_at(pipeline, "a cat", Image.new("RGB", (1600, 800), "red"))
    assert traced.image.size == (LARGEST, LARGEST // 2)
    assert traced.maps["cat"].shape == (4, 12)


def test_an_image_is_read_upright_and_on_white(tmp_path):
    turned = Image.new("RGB", (20, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (10, 20)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_what_is_no_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.new("RGB", (64, 64)).save(tmp_path / "torn.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "torn.png").read_bytes()[:60])
    for name in ("text.png", "torn.png", "none.png", "."):
        with pytest.raises(InputError) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
