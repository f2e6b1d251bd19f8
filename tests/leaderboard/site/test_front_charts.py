"""The charts of the front page, as the page holds them."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.leaderboard.site import front_charts
from daam_bench.leaderboard.site.front_charts import (
    curve_charts,
    method_looks,
    percent_ticks,
    scatter_charts,
)
from daam_bench.leaderboard.site.standings import Scored, Standing
from tests.leaderboard.site.parsed import Page


@given(st.floats(0, 1))
def test_ticks_reach_the_highest_value_and_are_few(highest):
    ticks = percent_ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 4 <= len(ticks) <= 7
    assert all(100 * tick == pytest.approx(round(100 * tick)) for tick in ticks)


@pytest.fixture(scope="module")
def page(site) -> Page:
    return Page(site / "index.html")


@pytest.fixture(scope="module")
def titles(page) -> list[str]:
    return [title.text for title in page.all("title")]


def test_every_row_of_the_table_is_a_point_of_every_chart_with_its_numbers(page, titles):
    rows = [row for row in page.all("tr") if "data-entry" in row.attributes]
    for row in rows:
        name, tau = re.match(r"\s*(\S.*?)\n.*?(0\.\d|\u2013)", row.text, re.DOTALL).groups()
        label = name if tau == "\u2013" else f"{name}, τ {tau}"
        coco_80, coco, unreal_80, unreal = re.findall(r"(\d+\.\d) \[", row.text)
        for miou in (coco, unreal):
            assert f"{label}: {miou} %" in titles
        for miou_80, miou in ((coco_80, coco), (unreal_80, unreal)):
            assert f"{label}: mIoU 80 {miou_80} %, mIoU ∞ {miou} %" in titles


def test_a_soft_method_has_a_curve_and_a_hard_one_none(titles):
    assert titles.count("Gradient: mIoU over τ") == 2
    assert "Random half: mIoU over τ" not in titles


def test_charts_say_what_they_show_and_where_the_numbers_stand(page):
    labels = [svg.attributes["aria-label"] for svg in page.all("svg") if svg.attributes.get("role") == "img"]
    assert labels == [
        f"{what} on {split}{rest}"
        for what, rest in (
            ("mIoU ∞ over tau", "; the table below holds the numbers"),
            ("mIoU ∞ against mIoU 80", ", with intervals; the table above holds the numbers"),
        )
        for split in ("coco_gen", "unreal_gen")
    ]


def test_the_legend_names_every_method_in_its_own_colour_and_marker(page):
    items = [item for item in page.all("li") if "data-entry" in item.attributes]
    assert [item.attributes["data-entry"] for item in items] == 2 * [
        item.attributes["data-entry"] for item in items[: len(items) // 2]
    ]
    assert {item.attributes["data-entry"] for item in items} == {"gradient", "random-half", "hostile"}


def test_all_colours_are_the_page_s_so_that_both_themes_are_readable(page):
    charts = [
        element for element in page.elements if "fill" in element.attributes or "stroke" in element.attributes
    ]
    colours = {element.attributes.get(name) for element in charts for name in ("fill", "stroke")} - {
        None,
        "none",
    }
    assert {f"var(--series-{index})" for index in range(3)} <= colours
    assert all(re.fullmatch(r"var\(--[a-z0-9-]+\)", colour) for colour in colours), colours


def test_marks_of_an_entry_are_in_its_group(page):
    groups = [group for group in page.all("g") if "data-entry" in group.attributes]
    assert {group.attributes["data-entry"] for group in groups} == {"gradient", "random-half", "hostile"}
    assert all(group.text.startswith(("\n", "Gradient", "Random half", "<script>")) for group in groups)


def test_every_chart_and_every_key_of_the_legend_has_its_size(page):
    boxes = [svg.attributes["viewbox"] for svg in page.all("svg") if "viewbox" in svg.attributes]
    assert boxes.count("0 0 400 290") == 4
    assert boxes.count("0 0 24 16") == 6


@pytest.fixture
def charts(entries, tiny_splits, monkeypatch):
    """The axes of the charts by kind, and the highest value that their ticks are made for."""
    axes, highest = {"curves": [], "scatter": []}, []

    def keep(figure, name, label):
        axes[name.split("-")[0]] += figure.axes
        return ""

    def ticks(value):
        highest.append(value)
        return percent_ticks(value)

    monkeypatch.setattr(front_charts, "inline_svg", keep)
    monkeypatch.setattr(front_charts, "percent_ticks", ticks)
    # Without curves the ends of the intervals are the highest.
    looks = method_looks(
        [Standing(Scored(entry, entry.report.splits), "none", {}, 1) for entry in entries[1:]]
    )
    names = [split.name for split in tiny_splits]
    curve_charts(looks, names)
    scatter_charts(looks, names)
    return axes, highest


def test_all_axes_of_a_chart_begin_at_0_and_end_at_the_same_tick(charts):
    axes, highest = charts
    for kind, value in zip(("curves", "scatter"), highest, strict=True):
        assert len(axes[kind]) == 2
        for found in axes[kind]:
            assert found.get_ylim() == (0, percent_ticks(value)[-1])
    for found in axes["scatter"]:
        assert found.get_xlim() == found.get_ylim()


def test_the_axes_are_named_at_the_top_left_and_the_bottom_right(charts):
    for found in (*charts[0]["curves"], *charts[0]["scatter"]):
        label = found.yaxis.label
        assert (label.get_rotation(), label.get_position()) == (0, (0, 1))
        assert found.xaxis.label.get_position() == (0.975, 0)


def test_the_ticks_reach_the_ends_of_the_intervals(charts, entries):
    scores = [found for taus in entries[1].report.splits.values() for found in taus.values()]
    curves, scatter = charts[1]
    assert curves == max(found.ci95_inf[1] for found in scores)
    assert scatter == max(end for found in scores for end in (found.ci95_80[1], found.ci95_inf[1]))


def test_methods_beyond_the_colours_begin_again(entries):
    entry = entries[1]
    rows = [
        Standing(Scored(replace(entry, slug=f"m{number}"), entry.report.splits), "none", {}, 1)
        for number in range(len(front_charts._SERIES) + 1)
    ]
    looks = method_looks(rows + rows[:2])
    assert [look.key for look in looks] == [row.entry.slug for row in rows]
    assert looks[0].colour == looks[-1].colour != looks[1].colour
