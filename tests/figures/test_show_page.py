"""The page of a prompt, in a real browser and as it is written."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.page_parts import PageWord, outline_path, show_page
from daam_bench.types.heat_map import HeatMap
from tests.leaderboard.site.parsed import Page
from tests.tiny_pipelines import tiny_tokenizer, tokenize

PROMPT = "a cat and a dog"
HOSTILE = (
    "</script><script>alert(1)</script> <!-- \"><img src=x onerror='alert(1)'> {{ 7 * 7 }} &amp; <b>cat</b>"
)
IMAGE = Image.radial_gradient("L").convert("RGB").resize((40, 24))


def page_words(prompt):
    tokenized = tokenize(tiny_tokenizer(max_length=120), prompt)
    random = np.random.default_rng(0)
    return [
        PageWord(word, word.text, HeatMap(random.random((6, 10), dtype=np.float32) ** 3))
        for word in tokenized.words()
    ]


WORDS = page_words(PROMPT)


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Writes a page about a prompt and returns where it lies."""

    def write(prompt, image=IMAGE, **settings):
        path = tmp_path_factory.mktemp("page") / "show.html"
        path.write_text(show_page(image, prompt, page_words(prompt), **settings), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def page_path(page_of):
    return page_of(PROMPT, first=1)


def shows(page, word, tau=0.4):
    """Wait until the page shows a word's map, with the mask that Python makes of it."""
    mask = WORDS[word].heat_map.resize(IMAGE.size).threshold(tau)
    page.locator("#word").get_by_text(WORDS[word].name, exact=True).wait_for()
    page.wait_for_function(
        "(path) => document.querySelectorAll('#stage .outline')[1].getAttribute('d') === path",
        arg=outline_path(mask),
    )
    assert page.locator("#covers").get_attribute("data-pixels") == str(mask.sum())


def word_button(page, index):
    return page.locator(f"#prompt [data-word='{index}']")


def test_pointing_shows_a_word_and_leaving_returns_to_the_chosen_one(opener, page_path):
    with opener.open(page_path) as page:
        shows(page, 1)
        word_button(page, 4).hover()
        shows(page, 4)
        assert word_button(page, 1).get_attribute("aria-checked") == "true"
        page.mouse.move(2, 2)
        shows(page, 1)


def test_a_click_or_a_tap_chooses_a_word(opener, page_path):
    with opener.open(page_path) as page:
        word_button(page, 4).click()
        page.mouse.move(2, 2)
        shows(page, 4)
        page.locator("li[data-word='2']").click()
        page.mouse.move(2, 2)
        shows(page, 2)
        assert word_button(page, 2).get_attribute("aria-checked") == "true"


def test_the_keyboard_goes_from_word_to_word_with_one_stop_for_all(opener, page_path):
    with opener.open(page_path) as page:
        page.keyboard.press("Tab")
        shows(page, 1)
        for key, word in (("ArrowRight", 2), ("End", 4), ("ArrowRight", 0), ("ArrowLeft", 4), ("Home", 0)):
            page.keyboard.press(key)
            shows(page, word)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "theme"


def test_the_slider_s_mask_is_python_s_at_every_threshold(opener, page_path):
    with opener.open(page_path) as page:
        for tau in (0.01, 0.25, 0.5, 0.73, 0.99):
            page.locator("#tau").fill(str(tau))
            shows(page, 1, tau)
            assert page.locator("#tau-value").inner_text() == f"{tau:.2f}"
        page.locator("#tau").focus()
        page.keyboard.press("ArrowLeft")
        shows(page, 1, 0.98)


def test_mask_and_image_can_be_seen_without_the_heat_map(opener, page_path):
    with opener.open(page_path) as page:
        assert page.locator("#stage canvas").is_visible()
        page.get_by_label("mask", exact=True).check()
        page.locator("#stage canvas").wait_for(state="hidden")
        assert page.locator("#stage .dim").get_attribute("d")
        page.get_by_label("image", exact=True).check()
        page.wait_for_function("!document.querySelector('#stage .outline').getAttribute('d')")
        assert page.locator("#stage .dim").get_attribute("d") == ""


def test_what_is_shown_is_said_aloud(opener, page_path):
    with opener.open(page_path) as page:
        word_button(page, 4).focus()
        status = page.locator("#status").filter(has_text="dog: the mask covers")
        status.wait_for(state="attached")
        assert "dog" in page.locator("#stage").get_attribute("aria-label")


def test_the_theme_follows_the_system_until_the_reader_chooses(opener, page_path):
    def is_dark(page):
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(colour.split("(")[1].split(",")[0]) < 128

    with opener.open(page_path, dark=True) as page:
        assert is_dark(page)
        page.get_by_role("button", name="Dark theme").click()
        assert not is_dark(page)


@pytest.mark.parametrize(
    "prompt", [PROMPT, HOSTILE, "a " + "very" * 60 + " cat"], ids=["plain", "hostile", "long"]
)
def test_it_never_scrolls_sideways(opener, page_of, prompt):
    with opener.open(page_of(prompt)) as page:
        for width in (1280, 720, 390, 320):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", [(7, 40), (1024, 300), (300, 1024)])
def test_an_image_of_any_shape_keeps_its_proportions(opener, page_of, size):
    with opener.open(page_of(PROMPT, Image.new("RGB", size, "green"))) as page:
        box = page.locator("#stage").bounding_box()
        assert box["width"] / box["height"] == pytest.approx(size[0] / size[1], rel=0.02)


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light-wide", "dark-narrow"])
def test_no_rule_of_accessibility_is_broken(opener, page_of, violations, dark, width):
    with opener.open(
        page_of("a teddy bear, and <b>", note="Generated at random."), dark=dark, width=width
    ) as page:
        page.locator("#side").wait_for()
        assert violations(page) == []


def test_a_hostile_prompt_only_stands_there(opener, page_of):
    path = page_of(HOSTILE, note=HOSTILE)
    with opener.open(path) as page:
        assert page.locator("#prompt").inner_text() == HOSTILE
        assert page.locator("#all li").count() == len(page_words(HOSTILE))
    parsed = Page(path)
    assert len(parsed.all("script")) == 2
    assert parsed.values("onerror") == []
    data = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])
    assert [word["name"] for word in data["words"]] == [word.name for word in page_words(HOSTILE)]


def test_a_script_that_is_not_the_page_s_own_is_refused(opener, page_path, tmp_path):
    text = page_path.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("</main>", "<script>document.title = 'ran'</script></main>"))
    with pytest.raises(AssertionError, match="Content Security Policy"), opener.open(broken) as page:
        assert page.title() == "a cat and a dog: word by word"


def test_the_page_stands_without_scripts(opener, page_path):
    with opener.open(page_path, script=False) as page:
        assert page.locator("#stage img").is_visible()
        assert "need JavaScript" in page.locator("body").inner_text()
        assert not page.locator("#side").is_visible()
