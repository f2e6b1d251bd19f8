"""What the charts show."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.charts import Bar, bars, draw_dots
from daam_bench.figures.panels import Panel, chart_with_panels
from daam_bench.figures.style import save
from daam_bench.types.errors import InputError

IMAGE = Image.new("RGB", (32, 24), "white")


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


def test_a_chart_stands_left_of_images(tmp_path):
    def chart(axes):
        draw_dots(axes, ["up", "down"], {"a": [(1.0, (0.5, 1.5)), None], "b": [None, None]}, axis="lift")

    figure = chart_with_panels(chart, [[Panel("one", IMAGE)]])
    save(figure, tmp_path / "chart.svg")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "lift"
    assert [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata())] == [[0.5, 1.5], [1.0]]
