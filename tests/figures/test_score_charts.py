"""What the charts of methods' scores show."""

from io import BytesIO

import pytest
from matplotlib.figure import Figure

from daam_bench.analysis.table import build_table
from daam_bench.figures.score_charts import (
    MethodLook,
    draw_curves,
    draw_scatter,
    method_scores,
    name_points,
)
from daam_bench.figures.style import PALETTE
from daam_bench.types import CurvePoint, Environment, Report, Scores


def report(tau: str, curve: dict[str, CurvePoint] | None) -> Report:
    scores = Scores(0.5, 0.6, (0.4, 0.6), (0.5, 0.7), 3, 4, 1.0, {}, miou_over_tau=curve)
    environment = Environment("0", None, None, "3", {}, "here")
    return Report("1", "method", {}, "emoji", {"coco_gen": ""}, environment, {"coco_gen": {tau: scores}})


def lines_of(axes):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]


def axes_of(draw, scores):
    """The axes with methods by their names."""
    axes = Figure().add_subplot(xlim=(0, 1), ylim=(0, 1))
    methods = [MethodLook(name, {"coco_gen": taus}, PALETTE[0], "o", name) for name, taus in scores.items()]
    draw(axes, methods, "coco_gen")
    return axes


SOFT = report("0.4", {"0.2": CurvePoint(0.1, 0.2), "0.4": CurvePoint(0.3, 0.6)}).splits["coco_gen"]


def test_a_soft_method_is_a_curve_and_a_hard_one_a_level():
    axes = axes_of(draw_curves, {"soft": SOFT, "hard": report("none", None).splits["coco_gen"]})
    assert ([0.2, 0.4], [0.2, 0.6]) in lines_of(axes)
    assert ([0.4], [0.6]) in lines_of(axes)
    assert ([0, 1], [0.6, 0.6]) in lines_of(axes)


def test_the_submitted_tau_has_its_interval_and_every_part_says_what_it_is():
    axes = axes_of(draw_curves, {"soft": SOFT})
    assert ([0.4, 0.4], [0.5, 0.7]) in lines_of(axes)
    assert {line.get_gid() for line in axes.lines} == {"soft: soft: mIoU over τ", "soft: soft, τ 0.4: 60.0 %"}


def scattered(**scores):
    return axes_of(draw_scatter, scores)


def test_a_scatter_has_miou_80_level_and_miou_inf_upright_with_both_intervals():
    axes = scattered(soft=report("0.4", None).splits["coco_gen"])
    lines = lines_of(axes)
    assert ([0.5], [0.6]) in lines
    assert ([0.4, 0.6], [0.6, 0.6]) in lines
    assert ([0.5, 0.5], [0.5, 0.7]) in lines
    assert [text.get_text() for text in axes.texts] == ["0.4"]
    assert axes.texts[0].get_gid() == "soft: soft, τ 0.4: mIoU 80 50.0 %, mIoU ∞ 60.0 %"


def test_the_taus_of_a_method_are_joined_in_order():
    score = report("0.4", None).splits["coco_gen"]["0.4"]
    other = Scores(0.3, 0.2, None, None, 3, 4, 1.0, {})
    assert ([0.3, 0.5], [0.2, 0.6]) in lines_of(scattered(soft={"0.4": score, "0.3": other}))


def test_names_of_near_points_do_not_lie_on_each_other():
    axes = Figure(figsize=(4, 3)).add_subplot(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5, 0.5, "0.4", ""), (0.51, 0.52, "0.5", ""), (0.52, 0.51, "", "")]
    first, second = (text.get_window_extent() for text in name_points(axes, points))
    assert not first.overlaps(second)
    for x, y in axes.transData.transform([point[:2] for point in points]):
        assert not first.contains(x, y)
        assert not second.contains(x, y)


def test_a_table_s_rows_stand_in_order_with_value_and_interval_split_by_split():
    reports = [report("0.4", None), report("none", None)]
    table = build_table(reports, ["coco_gen"])
    left, right = method_scores([row[:3] for row in table], ["coco_gen"]).axes
    assert [label.get_text() for label in left.get_yticklabels()] == [row.label for row in table]
    for axes, value, interval in ((left, 0.5, (0.4, 0.6)), (right, 0.6, (0.5, 0.7))):
        dots = [(x, y) for x, y in lines_of(axes) if [value, value] == x]
        assert dots == [([value, value], [0, 1])]
        assert [tuple(x) for x, y in lines_of(axes) if len(x) == 2 and y[0] == y[1]][:2] == [
            interval,
            interval,
        ]
    (legend,) = left.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["coco_gen"]


def test_long_names_of_splits_leave_the_panels_their_room():
    rows = [("group", "Perfect detector of COCO's classes", [(0.6, (0.5, 0.7))] * 6)]
    widths = []
    for mark in ("", " (proposed masks)"):
        figure = method_scores(rows, [f"{name}{mark}" for name in ("scenes", "coco_gen", "unreal_gen")])
        figure.savefig(BytesIO())
        widths.append([axes.get_position().width for axes in figure.axes])
    assert widths[1] == pytest.approx(widths[0])
    assert min(widths[0]) > 0.3
