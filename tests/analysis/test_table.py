"""The layout of the paper's Table 1."""

from daam_bench.analysis.table import build_table, to_latex, to_markdown
from daam_bench.types import Environment, Report, Scores


def scores(miou_80, miou_inf):
    def around(value):
        return None if value is None else (value - 0.01, value + 0.01)

    return Scores(miou_80, miou_inf, around(miou_80), around(miou_inf), 3, 5, 1.0, {})


def report(method, **by_split):
    environment = Environment("0", None, None, "3", {}, "linux")
    return Report("1", method, {}, "emoji", {}, environment, by_split)


DETECTOR = report("mask_rcnn", coco_gen={"none": scores(0.8, 0.3)}, unreal_gen={"none": scores(0.7, 0.3)})
DAAM = report(
    "daam",
    coco_gen={"0.3": scores(0.6, 0.5), "0.4": scores(0.65, 0.55)},
    unreal_gen={"0.3": scores(0.6, 0.5), "0.4": scores(None, 0.61)},
)
MINE = report("my_method", coco_gen={"none": scores(0.1, 0.1)})
SPLITS = ("coco_gen", "unreal_gen")


def test_supervised_methods_come_first_and_heat_maps_have_a_row_a_tau():
    table = build_table([DAAM, MINE, DETECTOR], SPLITS)
    assert [row.label for row in table] == ["Mask R-CNN", "DAAM-0.3", "DAAM-0.4", "my_method"]


def test_the_best_of_each_column_is_bold():
    lines = to_markdown(build_table([DAAM, DETECTOR], SPLITS), SPLITS).splitlines()
    bold = {line.split("|")[1].strip(): line.count("**") // 2 for line in lines}
    assert (bold["Mask R-CNN"], bold["DAAM-0.3"], bold["DAAM-0.4"]) == (2, 0, 2)


def test_what_was_not_scored_is_a_dash():
    markdown = to_markdown(build_table([MINE, DAAM], SPLITS), SPLITS)
    row = next(line for line in markdown.splitlines() if "my_method" in line)
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["10.0 [9.0, 11.0]"] * 2 + ["-"] * 10
    latex = to_latex(build_table([MINE, DAAM], SPLITS), SPLITS)
    assert (
        r"my\_method & 10.0 {\scriptsize [9.0, 11.0]} & 10.0 {\scriptsize [9.0, 11.0]} & -- & -- \\" in latex
    )
