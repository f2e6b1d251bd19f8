"""The layout of the paper's Table 1."""

from dataclasses import replace

from daam_bench.analysis.table import build_table, to_latex, to_markdown
from daam_bench.scoring.caps import cap_report
from daam_bench.scoring.report import build_report
from daam_bench.scoring.score import score
from daam_bench.types import Environment, Prediction, Report, Scores
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import left, make_split


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


def run_of(method, columns):
    """The report of a method that marks so many of an image's six columns, and its scores by split."""
    split = make_split([[("cat", "cat", left(6))] for _ in columns])
    masks = [Prediction(str(image), 0, None, encode(left(count))) for image, count in enumerate(columns)]
    results = {name: score(replace(split, name=name), masks) for name in SPLITS}
    environment = Environment("0", None, None, "3", {}, "linux")
    built = build_report(
        list(results.values()), method=method, parameters={}, dataset="tiny", environment=environment
    )
    return built, results


def marks(*runs, extra=()):
    """Label -> the first cell of its row."""
    reports, results = [one for one, _ in runs], [found for _, found in runs]
    table = build_table([*reports, *extra], SPLITS, [*results, *[{}] * len(extra)])
    cells = [line.split("|") for line in to_markdown(table, SPLITS).splitlines()]
    return {line[1].strip(): line[2].strip() for line in cells}


def test_what_is_ahead_of_all_others_for_sure_is_bold():
    found = marks(run_of("high", [5] * 30), run_of("low", [2] * 30))
    assert found["high"].startswith("**83.3")
    assert found["low"].startswith("33.3")


def test_ties_are_marked_and_not_bold():
    found = marks(run_of("one", [6, 1] * 15), run_of("two", [1, 6] * 15), run_of("low", [1] * 30))
    assert found["one"].startswith("≈ ")
    assert found["two"].startswith("≈ ")
    assert "**" not in "".join(found.values())
    assert not found["low"].startswith("≈")


def test_without_the_pairs_nobody_is_told_to_lead():
    assert "**" not in to_markdown(build_table([DAAM, DETECTOR], SPLITS), SPLITS)


def test_a_cap_stands_apart_and_leads_nothing():
    high = run_of("high", [5] * 30)
    cap = cap_report([next(iter(high[1].values())).split])
    table = build_table([high[0], cap], SPLITS, [high[1], {}])
    assert [row.group for row in table] == ["Unsupervised and others", "Limits"]
    assert marks(high, extra=[cap])["high"].startswith("**83.3")
    assert marks(high, extra=[cap])["Perfect detector of COCO's classes"].startswith("100.0")


def test_a_method_tuned_on_masks_leads_nothing():
    high, low = run_of("high", [5] * 30), run_of("low", [3] * 30)
    tuned = (replace(high[0], tuned_on="dev"), high[1])
    assert marks(tuned, low)["low"].startswith("**50.0")
    assert marks(tuned, low)["high"].startswith("83.3")
    table = build_table([tuned[0], low[0]], SPLITS, [high[1], low[1]])
    assert [row.group for row in table] == ["Unsupervised and others", "Tuned on masks"]


def test_fewer_pairs_than_the_others_take_no_part():
    found = marks(run_of("some", [6] * 10), run_of("all", [3] * 30))
    assert found["all"].startswith("**50.0")
    assert found["some"].startswith("100.0")


def test_a_method_that_was_not_run_says_so():
    table = build_table([DAAM], SPLITS, not_run=["sam3"])
    (row,) = (line for line in to_markdown(table, SPLITS).splitlines() if "SAM 3" in line)
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["SAM 3", "not run here", *[""] * 11]
    assert r"SAM 3 & \multicolumn{4}{l}{not run here} \\" in to_latex(table, SPLITS)
    assert table[0].label == "SAM 3"


def test_what_was_not_scored_is_a_dash():
    markdown = to_markdown(build_table([MINE, DAAM], SPLITS), SPLITS)
    row = next(line for line in markdown.splitlines() if "my_method" in line)
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["10.0 [9.0, 11.0]"] * 2 + ["-"] * 10
    latex = to_latex(build_table([MINE, DAAM], SPLITS), SPLITS)
    assert (
        r"my\_method & 10.0 {\scriptsize [9.0, 11.0]} & 10.0 {\scriptsize [9.0, 11.0]} & -- & -- \\" in latex
    )


def test_who_leads_is_told_among_the_rows_that_are_shown():
    high, low = run_of("high", [5] * 30), run_of("low", [5] * 30)
    reports, results = [high[0], low[0]], [high[1], low[1]]
    at = {split: {"0.4": taus["none"], "0.5": taus["none"]} for split, taus in low[0].splits.items()}
    assert (
        build_table([high[0], replace(low[0], splits=at)], SPLITS, taus=("0.4", "none"))[1].label == "low-0.4"
    )
    assert {row.leads[0] for row in build_table(reports, SPLITS, results)} == {"tied"}
    (row,) = build_table([replace(low[0], splits={}), high[0]], SPLITS, [{}, high[1]], taus=("none",))
    assert (row.label, row.leads[0]) == ("high", "best")


def test_what_others_call_a_method_is_text_in_the_table():
    line = to_markdown(build_table([replace(MINE, method="<b>*a*</b>")], SPLITS), SPLITS)
    assert r"\<b\>\*a\*\</b\>" in line
