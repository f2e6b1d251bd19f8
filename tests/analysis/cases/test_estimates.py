"""Means of case studies' rows, and their tables, by hand."""

import pytest

from daam_bench.analysis.cases.estimates import (
    CaseTable,
    MeanColumn,
    cell,
    estimate,
    estimates,
    table_by,
    whether,
)


def test_an_estimate_is_of_the_wanted_rows_with_a_value():
    rows = [
        {"image": index, "kind": kind, "value": value}
        for index, (kind, value) in enumerate([("a", 1.0), ("a", 3.0), ("b", 9.0), ("a", None)])
    ]
    found = estimate(rows, "value", kind="a")
    assert found.mean == 2.0
    assert found.interval == (1.0, 3.0)
    assert cell(found) == "2.00 [1.00, 3.00]"


def test_rows_of_one_image_are_resampled_together():
    rows = [{"image": 0, "value": value} for value in (0.0, 1.0)]
    assert estimate(rows, "value").interval == (0.5, 0.5)


def test_no_rows_have_no_estimate():
    assert estimate([], "value") is None


def test_a_table_is_markdown():
    assert CaseTable(("a", "b"), (("1", "2"),)).markdown() == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_a_table_has_a_line_for_each_kind():
    rows = [{"image": index, "kind": "x", "share": share} for index, share in enumerate((0.2, 0.4))]
    columns = (MeanColumn("percent", "share", 0, 100), MeanColumn("share", "share"))
    assert table_by(
        rows, by="kind", heading="letter", kinds="xy", columns=columns, names={"x": "an x"}
    ) == CaseTable(
        ("letter", "images", "percent", "share"),
        (("an x", "2", "30 [20, 40]", "0.30 [0.20, 0.40]"), ("y", "0", "-", "-")),
    )
    assert estimates(rows, ["share"], kind="x") == [(pytest.approx(0.3), (0.2, 0.4))]


def test_no_rows_are_a_dash():
    assert cell(None) == "-"
    assert estimates([], ["share"]) == [None]


def test_a_mean_may_say_how_often_a_column_has_a_value():
    rows = [{"image": index, "asked": 2, "found": found} for index, found in enumerate((2, 3, None, 2, 4))]
    assert estimate(rows, whether("found", 2)).mean == 0.5
    assert estimate(rows, whether("found", "asked")).mean == 0.5
    assert estimate(rows, whether("found", 5)).mean == 0
