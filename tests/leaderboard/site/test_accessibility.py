"""axe-core's rules, on every kind of page, wide in the light theme and narrow in the dark one."""

import pytest

PAGES = {
    "index.html": "",
    "methods/gradient.html": "",
    "viewer.html": "split=coco_gen&id=coco-0&noun=0&a=gradient&b=random-half&tau=0.3&show=mask",
}


@pytest.fixture(scope="module")
def axe():
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-core: pip install 'daam-bench[dev]'"
    )
    return axe.Axe()


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light-wide", "dark-narrow"])
@pytest.mark.parametrize("path", PAGES)
def test_no_rule_is_broken(opener, site, axe, path, dark, width):
    with opener.open(site / path, PAGES[path], dark=dark, width=width) as page:
        if path == "viewer.html":
            page.locator("#prompt [aria-pressed=true]").wait_for()
        for summary in page.locator("summary").all():
            summary.click()
        assert violations(axe, page) == []


def test_no_rule_is_broken_by_heat_maps_or_an_undrawn_noun(opener, site, axe):
    state = "split=coco_gen&id=coco-2&noun=1&a=gradient&b=random-half&tau=0.3&show=heat"
    with opener.open(site / "viewer.html", state, dark=True) as page:
        page.locator("#panel-a canvas").wait_for()
        assert violations(axe, page) == []


def violations(axe, page):
    # Without "preload", axe would fetch the style sheet, which a page on a disk may not.
    found = axe.run(page, options={"preload": False}).response["violations"]
    return [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]
