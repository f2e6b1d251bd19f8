"""The site in a real browser, opened from the disk."""

import base64
from urllib.parse import urlencode

import numpy as np
import pytest

from daam_bench.datasets.load import load_split
from daam_bench.figures.page_parts import outline_path
from daam_bench.files.predictions import read_heat_maps, read_predictions
from daam_bench.scoring.score import score
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode, encode

pytestmark = pytest.mark.slow

PAGES = ("index.html", "viewer.html", "methods/gradient.html", "methods/hostile.html")
STATE = {
    "split": "coco_gen",
    "id": "coco-2",
    "noun": 0,
    "a": "gradient",
    "b": "random-half",
    "tau": 0.3,
    "show": "mask",
}


def state(**values):
    """The part of the viewer's address after the #: `STATE` with some values changed."""
    return urlencode({**STATE, **values})


UNSAID = "[data-track='no track']"
"""Rows of methods that say no track, all but one; rows are sorted within a track."""


def column(page, index, track=""):
    """The values of a column of the table, top down, of the rows of entries to be seen."""
    cells = page.locator(f"#standings tbody tr[data-entry]{track}:visible > *:nth-child({index})")
    return [cell.get_attribute("data-value") for cell in cells.all()]


def await_view(page, place, noun):
    """Wait until the viewer shows an example, by its place, and a noun of it."""
    page.locator("#prompt-title").get_by_text(place, exact=True).wait_for()
    page.locator("#prompt [aria-pressed=true]").get_by_text(noun, exact=True).wait_for()


def outline(page, panel):
    return page.locator(f"#panel-{panel} .outline").last.get_attribute("d")


def caption(page, panel):
    return page.locator(f"#panel-{panel} .caption").inner_text()


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways(opener, site, path):
    with opener.open(site / path) as page:
        for width in (1280, 390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_click_sorts_by_a_column_and_another_turns_the_order(opener, site):
    with opener.open(site / "index.html") as page:
        header = page.locator("#standings thead tr:nth-child(2) th").nth(4)

        header.get_by_role("button").click()
        values = [float(value) for value in column(page, 8, UNSAID)]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert header.get_attribute("aria-sort") == "descending"
        assert page.locator("#standings [aria-sort]").count() == 1

        header.get_by_role("button").click()
        assert [float(value) for value in column(page, 8, UNSAID)] == sorted(values)
        assert column(page, 1)[0] == "<script>alert(1)</script>"  # of the track above
        assert header.get_attribute("aria-sort") == "ascending"


def test_rows_without_a_tau_come_last_both_ways(opener, site):
    with opener.open(site / "index.html") as page:
        button = page.get_by_role("button", name="τ")
        button.click()
        assert column(page, 3, UNSAID) == ["0.4", "0.3", ""]
        button.click()
        assert column(page, 3, UNSAID) == ["0.3", "0.4", ""]


def test_filters_leave_the_rows_asked_for_in_table_and_plots(opener, site):
    with opener.open(site / "index.html") as page:
        page.get_by_label("Training").select_option("supervised")
        assert column(page, 1) == ["<script>alert(1)</script>"]
        assert page.locator("#shown").inner_text() == "1 of 4 rows"
        assert page.locator(".plots [data-entry=gradient]:visible").count() == 0
        assert page.locator(".plots [data-entry=hostile]:visible").count() > 0

        page.get_by_label("Training").select_option("any")
        page.get_by_label("verified only").check()
        assert column(page, 1) == ["Gradient", "Gradient"]

        page.locator("select[name=open]").select_option("no")
        assert column(page, 1) == []
        assert page.locator("#shown").inner_text() == "0 of 4 rows"


def test_a_search_leaves_the_methods_whose_name_or_authors_hold_it(opener, site):
    with opener.open(site / "index.html") as page:
        page.get_by_label("Search").fill("GRAD")
        assert column(page, 1) == ["Gradient", "Gradient"]
        page.get_by_label("Search").fill("onerror")
        assert column(page, 1) == ["<script>alert(1)</script>"]
        page.get_by_label("Search").fill("")
        assert len(column(page, 1)) == 4


def test_the_table_is_sorted_and_complete_without_scripts(opener, site):
    with opener.open(site / "index.html", script=False) as page:
        assert len(column(page, 5)) == 4
        values = [float(value) for value in column(page, 5, UNSAID)]
        assert values == sorted(values, reverse=True)
        assert not page.locator("#filters").is_visible()


def test_the_keyboard_alone_sorts_the_table(opener, site):
    with opener.open(site / "index.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == "Method":
                break
        page.keyboard.press("Enter")
        names = column(page, 1, UNSAID)
        assert names == ["Gradient", "Gradient", "Random half"]


def test_the_viewer_opens_at_the_state_of_its_address(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        await_view(page, "3 of 5", "boat")
        assert page.locator("#a").input_value() == "gradient"
        assert page.locator("#b").input_value() == "random-half"
        assert page.locator("#tau-value").inner_text() == "0.30"


def test_every_change_is_in_the_address_and_comes_back_from_it(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        await_view(page, "3 of 5", "boat")
        page.keyboard.press("ArrowRight")
        await_view(page, "4 of 5", "cat")
        page.get_by_role("button", name="cake").click()
        page.locator("#b").select_option("hostile")
        page.get_by_label("heat maps").check()
        page.locator("#tau").fill("0.62")
        address = state(id="coco-3", noun=1, b="hostile", tau=0.62, show="heat")
        page.wait_for_url(f"**/viewer.html#{address}")
        assert page.locator("#link").get_attribute("href") == f"#{address}"
        before = [outline(page, panel) for panel in ("truth", "a", "b")]

    with opener.open(site / "viewer.html", address) as page:
        await_view(page, "4 of 5", "cake")
        assert [outline(page, panel) for panel in ("truth", "a", "b")] == before
        assert page.get_by_label("heat maps").is_checked()
        assert page.locator("#panel-a canvas").is_visible()


def test_a_changed_address_changes_the_view(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        await_view(page, "3 of 5", "boat")
        page.evaluate("location.hash = 'split=unreal_gen&id=unreal-1&noun=1'")
        await_view(page, "2 of 5", "dog")
        assert page.locator("#split").input_value() == "unreal_gen"


@pytest.mark.parametrize(
    "wrong", ["split=none&id=none&noun=99&a=none&tau=7&show=none", "&&=%", "noun=-1&tau=x"]
)
def test_a_wrong_address_shows_something_sensible(opener, site, wrong):
    with opener.open(site / "viewer.html", wrong) as page:
        page.locator("#prompt-title").get_by_text("1 of 5").wait_for()


def test_arrows_go_from_example_to_example_and_noun_to_noun(opener, site):
    with opener.open(site / "viewer.html", state(id="coco-0")) as page:
        await_view(page, "1 of 5", "cat")
        page.keyboard.press("ArrowRight")
        await_view(page, "2 of 5", "dog")
        page.keyboard.press("Shift+ArrowRight")
        await_view(page, "2 of 5", "tree")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        await_view(page, "5 of 5", "bird")


def test_arrows_on_the_slider_move_the_slider(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        await_view(page, "3 of 5", "boat")
        page.locator("#tau").focus()
        page.keyboard.press("ArrowRight")
        page.locator("#tau-value").get_by_text("0.31").wait_for()
        await_view(page, "3 of 5", "boat")


def test_the_split_changes_and_the_place_stays(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        await_view(page, "3 of 5", "boat")
        page.locator("#split").select_option("unreal_gen")
        await_view(page, "3 of 5", "moon")


def test_the_viewer_says_aloud_what_it_shows(opener, site):
    with opener.open(site / "viewer.html", state()) as page:
        status = page.locator("#status").filter(has_text="Example")
        status.wait_for(state="attached")
        assert "Example 3 of 5, a boat and a moon. Noun boat." in status.inner_text()
        assert "Gradient at tau 0.3: IoU" in status.inner_text()


def test_a_noun_that_is_not_depicted_is_not_scored(opener, site):
    with opener.open(site / "viewer.html", state(noun=1)) as page:
        await_view(page, "3 of 5", "moon")
        assert "not scored" in caption(page, "a")
        assert "did not depict" in page.locator("#note").inner_text()


def test_masks_and_ious_on_the_screen_are_those_that_were_scored(opener, site, entries, tiny_dataset):
    split = load_split(tiny_dataset, "coco_gen")
    soft, hard, _ = entries
    for entry, tau, key in ((soft, 0.3, "0.3"), (soft, 0.4, "0.4"), (hard, None, "none")):
        path = entry.predictions("coco_gen")
        scored = score(split, path, resamples=1).pairs()
        ious = {(pair.id, pair.noun): f"IoU {pair.iou:.2f}" for pair in scored if pair.tau == key}
        masks = {
            (prediction.id, prediction.noun): outline_path(decode(prediction.mask))
            for prediction in read_predictions(path)[1]
            if prediction.tau == tau
        }
        assert len(masks) == 10
        with opener.open(site / "viewer.html", state(id="coco-0", a=entry.slug, tau=tau or 0.4)) as page:
            for place, example in enumerate(split, start=1):
                for index, noun in enumerate(example.query.nouns):
                    await_view(page, f"{place} of 5", noun.text)
                    pair = (example.query.id, index)
                    assert outline(page, "a") == masks[pair]
                    assert caption(page, "a").endswith(ious.get(pair, "not scored"))
                    page.keyboard.press("Shift+ArrowRight")
                page.keyboard.press("ArrowRight")


def test_between_submitted_taus_the_mask_is_the_heat_map_s_own(opener, site, entries):
    first = next(read_heat_maps(entries[0].heat_maps("coco_gen"))[1])
    expected = HeatMap(first.values).resize((32, 32)).threshold(0.71)

    with opener.open(site / "viewer.html", state(id=first.id, noun=first.noun, tau=0.71)) as page:
        page.locator("#prompt [aria-pressed=true]").wait_for()
        assert outline(page, "a") == outline_path(expected)
        assert caption(page, "a").startswith("τ 0.71 · IoU")


SIZES = [((16, 16), (64, 64)), ((7, 5), (33, 48)), ((32, 32), (32, 32)), ((48, 40), (20, 24))]


def test_the_browser_upscales_and_thresholds_as_python_does(opener, site):
    taus = [step / 20 for step in range(21)]
    with opener.open(site / "viewer.html") as page:
        for source, target in SIZES:
            values = np.random.default_rng(sum(source)).random(source, dtype=np.float32) ** 3
            resized = HeatMap(values).resize((target[1], target[0]))
            large, masks = page.evaluate(
                """([record, size, taus]) => {
                    const large = daamBench.resizeMap(daamBench.decodeMap(record), size);
                    return [[...large], taus.map((tau) => daamBench.thresholdMap(large, tau).join(""))];
                }""",
                [record_of(values), list(target), taus],
            )
            peak = resized.values.max()
            close = 1e-6 * peak
            assert np.abs(np.array(large).reshape(target) - resized.values).max() <= close
            for tau, found in zip(taus, masks, strict=True):
                mask = (np.frombuffer(found.encode(), np.uint8) == ord("1")).reshape(target)
                differs = mask != resized.threshold(tau)
                # Only a pixel whose heat is the threshold itself, to the last digits, may change sides.
                assert (np.abs(resized.values - tau * peak)[differs] <= close).all()
                assert differs.mean() <= 1e-3


def test_a_pixel_at_the_threshold_is_in_the_mask_but_none_of_a_map_of_zeros(opener, site):
    with opener.open(site / "viewer.html") as page:
        assert page.evaluate("[...daamBench.thresholdMap(new Float32Array([1, 2, 4]), 0.5)]") == [0, 1, 1]
        assert page.evaluate("[...daamBench.thresholdMap(new Float32Array(3), 0)]") == [0, 0, 0]


def test_the_browser_reads_and_outlines_masks_as_python_does(opener, site):
    generator = np.random.default_rng(0)
    masks = [
        generator.random(shape) < share for shape in [(1, 1), (3, 5), (40, 24)] for share in (0.02, 0.5, 0.98)
    ]
    block = np.zeros((700, 900), dtype=bool)
    block[100:690, 50:880] = True

    with opener.open(site / "viewer.html") as page:
        for mask in [*masks, block, ~block]:
            rle = encode(mask)
            weights, path = page.evaluate(
                """([counts, size]) => {
                    const mask = daamBench.decodeMask(counts, size);
                    const weights = mask.reduce((sum, value, place) => sum + value * (place % 97), 0);
                    return [weights, daamBench.outlinePath(mask, size)];
                }""",
                [rle.counts, list(rle.size)],
            )
            assert weights == int((mask.ravel() * (np.arange(mask.size) % 97)).sum())
            assert path == outline_path(mask)


def test_the_theme_follows_the_system_until_the_reader_chooses(opener, site):
    with opener.open(site / "index.html") as page:
        assert not is_dark(page)
    with opener.open(site / "index.html", dark=True) as page:
        assert is_dark(page)
        page.get_by_role("button", name="Dark theme").click()
        assert not is_dark(page)
        page.goto((site / "viewer.html").as_uri())
        assert not is_dark(page)


def is_dark(page):
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(colour.split("(")[1].split(",")[0]) < 128


def record_of(values):
    data = base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
    return {"size": list(values.shape), "values": data}
