"""axe-core's rules, on every kind of page, wide in the light theme and narrow in the dark one."""

import pytest

pytestmark = pytest.mark.slow

PAGES = {
    "index.html": "",
    "methods/gradient.html": "",
    "viewer.html": "split=coco_gen&id=coco-0&noun=0&a=gradient&b=random-half&tau=0.3&show=mask",
}


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light-wide", "dark-narrow"])
@pytest.mark.parametrize("path", PAGES)
def test_no_rule_is_broken(opener, site, violations, path, dark, width):
    with opener.open(site / path, PAGES[path], dark=dark, width=width) as page:
        if path == "viewer.html":
            page.locator("#prompt [aria-pressed=true]").wait_for()
        for summary in page.locator("summary").all():
            summary.click()
        assert violations(page) == []


def test_no_rule_is_broken_by_heat_maps_or_a_noun_that_is_not_depicted(opener, site, violations):
    state = "split=coco_gen&id=coco-2&noun=1&a=gradient&b=random-half&tau=0.3&show=heat"
    with opener.open(site / "viewer.html", state, dark=True) as page:
        page.locator("#panel-a canvas").wait_for()
        assert violations(page) == []
