import json
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from daam_bench.figures.page_parts import outline_path
from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.submission import is_address
from daam_bench.scoring.results import tau_key
from daam_bench.types.masks import decode
from tests.leaderboard.site.conftest import HOSTILE
from tests.leaderboard.site.parsed import Page

PAGES = (
    "index.html",
    "viewer.html",
    "methods/gradient.html",
    "methods/random-half.html",
    "methods/hostile.html",
)


@pytest.fixture(params=PAGES)
def page_path(request, site) -> Path:
    return site / request.param


def test_every_page_is_well_formed_and_names_its_parts(page_path):
    page = Page(page_path)

    assert page.all("html")[0].attributes["lang"] == "en"
    assert page.all("title")[0].text
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    assert len(page.values("id")) == len(set(page.values("id")))
    assert set(page.values("aria-labelledby")) <= set(page.values("id"))
    assert all("alt" in image.attributes for image in page.all("img"))


def test_headings_descend_one_level_at_a_time(page_path):
    levels = [int(heading.tag[1]) for heading in Page(page_path).all("h1", "h2", "h3")]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(next_level <= level + 1 for level, next_level in pairwise(levels))


def test_every_link_leads_somewhere_in_the_site(page_path, site):
    page = Page(page_path)

    for element in page.elements:
        for name in ("href", "src"):
            address = element.attributes.get(name)
            if address is None:
                continue
            parts = urlsplit(address)
            if parts.scheme:
                assert element.tag == "a"
                assert parts.scheme in ("http", "https")
                continue
            target = (page_path.parent / unquote(parts.path)).resolve() if parts.path else page_path
            assert target.is_file(), address
            assert site.resolve() in target.parents
            if parts.fragment and target.name != "viewer.html":
                assert parts.fragment in Page(target).values("id")


def test_nothing_of_a_page_comes_from_another_host_or_is_inline_code(page_path):
    page = Page(page_path)

    for element in page.all("script"):
        assert "src" in element.attributes or element.attributes.get("type") == "application/json"
    assert not any(
        name.startswith("on") or name == "style" for element in page.elements for name in element.attributes
    )
    assert page.all("style") == page.all("iframe") == page.all("object") == []


def test_links_into_the_viewer_name_a_pair_of_the_dataset(site):
    examples = {
        split: {entry["id"]: entry for entry in received(site / "data" / split / "examples.js")}
        for split in ("coco_gen", "unreal_gen")
    }
    links = [link for link in Page(site / "methods/gradient.html").values("href") if "viewer.html#" in link]

    assert links
    for link in links:
        state = parse_qs(urlsplit(link).fragment)
        example = examples[state["split"][0]][state["id"][0]]
        assert int(state["noun"][0]) < len(example["nouns"])
        assert state["a"] == ["gradient"]


def test_what_others_wrote_is_shown_as_text(site):
    page = Page(site / "methods/hostile.html")

    assert page.all("h1")[0].text == HOSTILE
    assert any("{{ 7 * 7 }}" in element.text for element in page.all("p"))
    assert any(element.text == '"><img src=x onerror=alert(1)>' for element in page.all("dd"))
    assert any(element.text == "</script>" for element in page.all("dt"))
    assert not page.all("b", "svg", "a") or "alert" not in str(
        [e.attributes for e in page.all("b", "svg", "a")]
    )


def test_a_method_s_page_shows_the_masks_of_its_best_tau(site, entries):
    entry = entries[0]
    scores = entry.report.splits["coco_gen"]
    tau = max(scores, key=lambda tau: scores[tau].miou_inf)
    shown = Page(site / "methods" / "gradient.html").values("d")
    masks = {
        (prediction.id, prediction.noun, prediction.tau): outline_path(decode(prediction.mask))
        for split in entry.report.splits
        for prediction in read_predictions(entry.predictions(split))[1]
    }
    best = {path for (_, _, at), path in masks.items() if tau_key(at) == tau}
    others = set(masks.values()) - best
    assert best & set(shown)
    assert others
    assert not others & set(shown)


def test_the_classes_stand_best_first(site, entries):
    classes = entries[0].report.splits["coco_gen"]
    tau = max(classes, key=lambda tau: classes[tau].miou_inf)
    mious = {name: found.miou for name, found in classes[tau].per_class.items()}
    names = [cell.text.strip() for cell in Page(site / "methods" / "gradient.html").all("th")]
    shown = [name for name in names if name in mious]
    assert sorted(shown) == sorted(mious)
    assert [mious[name] for name in shown] == sorted(mious.values(), reverse=True)


def test_a_method_s_page_says_how_it_was_run_and_verified(site):
    page = Page(site / "methods" / "gradient.html")
    terms = [term.text.strip() for term in page.all("dt")]
    said = dict(zip(terms, (value.text.strip() for value in page.all("dd")), strict=True))
    assert said["by"] == "the host"
    assert said["claimed: coco_gen, τ 0.3"] == "mIoU∞ 50.0, mIoU80 12.5"
    assert said["fresh: scenes, τ 0.3"] == "mIoU∞ 25.0, mIoU80 -"
    assert said["gain"] == "1.0"
    assert said["protocol"] == "2"
    assert {"daam-bench", "Python", "libraries", "platform", "wall time", "seeds"} <= set(said)
    assert "limit" not in said
    assert "by" not in [term.text.strip() for term in Page(site / "methods" / "random-half.html").all("dt")]


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt://example.org/%0aalert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "http://exa mple.org",
        "http://[::1",
        "https:\\\\example.org",
        "",
        None,
    ],
)
def test_only_web_addresses_become_links(link):
    assert is_address(link) is False


def test_a_link_that_is_no_web_address_is_left_out(site):
    for path in PAGES:
        assert not any("javascript:" in link for link in Page(site / path).values("href"))


def test_a_name_can_not_end_the_script_that_holds_it(site):
    (script,) = (
        e for e in Page(site / "viewer.html").all("script") if e.attributes.get("type") == "application/json"
    )

    assert "<" not in script.text
    names = [method["name"] for method in json.loads(script.text)["methods"]]
    assert HOSTILE in names


def test_the_front_page_says_what_is_measured_and_how_far_to_trust_it(site):
    text = Page(site / "index.html").all("main")[0].text

    assert "protocol 2" in text
    assert "dataset tiny" in text
    assert "daam-bench submit pack" in text
    assert "provisional" not in text


def test_the_front_page_has_a_row_for_every_method_and_tau(site):
    page = Page(site / "index.html")

    rows = [row for row in page.all("tr") if "data-entry" in row.attributes]
    assert sorted(row.attributes["data-entry"] for row in rows) == [
        "gradient",
        "gradient",
        "hostile",
        "random-half",
    ]
    marked = [row for row in rows if row.attributes["data-verified"] == "yes"]
    assert {row.attributes["data-entry"] for row in marked} == {"gradient"}


def received(path: Path) -> object:
    """The value that a data script hands over."""
    text = path.read_text(encoding="utf-8")
    name, value = text.removeprefix("daamBench.receive(").removesuffix(");\n").split(",", 1)
    assert f"{json.loads(name)}.js" in path.as_posix()
    return json.loads(value)
