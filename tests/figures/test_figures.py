"""What the figures show."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures import (
    Bar,
    Panel,
    bars,
    chart_with_panels,
    draw_dots,
    miou_over_tau,
    overlay_grid,
    panel_grid,
    save,
)
from daam_bench.types import CurvePoint, Environment, Report, Scores
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

IMAGE = Image.new("RGB", (32, 24), "white")


def report(tau: str, curve: dict[str, CurvePoint] | None) -> Report:
    scores = Scores(0.5, 0.6, (0.4, 0.6), (0.5, 0.7), 3, 4, 1.0, {}, miou_over_tau=curve)
    environment = Environment("0", None, None, "3", {}, "here")
    return Report("1", "method", {}, "emoji", {"coco_gen": ""}, environment, {"coco_gen": {tau: scores}})


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_bars_stand_in_the_given_order_with_intervals_and_notes():
    figure = bars([Bar("low", 0.1, (0.05, 0.2), "7 words"), Bar("high", 0.9)], axis="share", note="count")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["low", "high"]
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.9]
    assert tuple(axes.lines[0].get_xdata()) == (0.05, 0.2)
    assert {"7 words", "count"} <= set(texts(axes))
    assert axes.get_xlabel() == "share (%)"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_references_are_in_the_legend():
    figure = bars([Bar("a", 0.1, references={"paper": 0.3}), Bar("b", 0.2)], axis="share", name="ours")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "paper"]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[0.3, 0]])


def test_no_bars_are_refused():
    with pytest.raises(InputError, match="no value"):
        bars([], axis="share")


def test_a_soft_method_is_a_curve_and_a_hard_one_a_level():
    curve = {"0.2": CurvePoint(0.1, 0.2), "0.4": CurvePoint(0.3, 0.6)}
    figure = miou_over_tau({"soft": report("0.4", curve), "hard": report("none", None)}, "coco_gen")
    axes = figure.axes[0]
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
    assert ([0.2, 0.4], [0.2, 0.6]) in lines
    assert ([0.4], [0.6]) in lines
    assert ([0, 1], [0.6, 0.6]) in lines
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["soft", "hard"]


def test_reports_without_the_split_and_none_at_all():
    with pytest.raises(InputError, match="no split 'scenes'; it has coco_gen"):
        miou_over_tau({"soft": report("0.4", None)}, "scenes")
    with pytest.raises(InputError, match="1 to 7 reports, not 0"):
        miou_over_tau({}, "coco_gen")


def test_one_overlay_a_word_beside_the_image_with_a_colour_bar(tmp_path):
    maps = {"cat": HeatMap(np.eye(4)), "pizza": HeatMap(np.ones((4, 4)))}
    figure = overlay_grid(IMAGE, maps, columns=2, title="a cat and a pizza")
    shown = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert shown == ["picture", "cat", "pizza"]
    assert any(axes.get_ylabel() == "share of the map's maximum" for axes in figure.axes)
    save(figure, tmp_path / "overlays.png")


def test_images_alone_have_no_colour_bar():
    figure = panel_grid([[Panel("one", IMAGE), Panel("two", IMAGE)]], labels=["row"])
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    assert figure.axes[0].get_ylabel() == "row"


def test_an_outline_is_drawn_only_where_there_is_an_edge():
    mask = np.zeros((24, 32), dtype=bool)
    empty = panel_grid([[Panel("", IMAGE, outline=mask)]]).axes[0]
    mask[5:10, 5:10] = True
    drawn = panel_grid([[Panel("", IMAGE, outline=mask)]]).axes[0]
    assert len(drawn.collections) > len(empty.collections) == 0


def test_no_images_are_refused():
    with pytest.raises(InputError, match="no picture"):
        panel_grid([])
    with pytest.raises(InputError, match="at least one column"):
        overlay_grid(IMAGE, {}, columns=0)


def test_a_chart_stands_left_of_images(tmp_path):
    def chart(axes):
        draw_dots(axes, ["up", "down"], {"a": [(1.0, (0.5, 1.5)), None], "b": [None, None]}, axis="lift")

    figure = chart_with_panels(chart, [[Panel("one", IMAGE)]])
    save(figure, tmp_path / "chart.svg")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "lift"
    assert [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata())] == [[0.5, 1.5], [1.0]]
