"""Which rows of the table are the best of a column, and which are tied with it."""

from dataclasses import replace
from pathlib import Path

from daam_bench.leaderboard import SPLITS
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.site.standings import Column, Scored, standings
from daam_bench.leaderboard.submission import Submission
from daam_bench.scoring.report import build_report, describe_environment
from daam_bench.scoring.score import score
from daam_bench.types import Prediction
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import left, make_split

IMAGES = 12
COLUMN = Column("coco_gen", "inf")


def scored(slug: str, columns: list[int]) -> Scored:
    """An entry that marks so many of an image's six columns where the ground truth is all of them."""
    split = make_split([[("cat", "cat", left(6))] for _ in range(IMAGES)])
    masks = [Prediction(str(image), 0, None, encode(left(count))) for image, count in enumerate(columns)]
    results = {name: score(replace(split, name=name), masks) for name in SPLITS}
    report = build_report(
        list(results.values()), method=slug, parameters={}, dataset="tiny", environment=describe_environment()
    )
    submission = Submission(
        name=slug,
        authors=("A. Person",),
        link=None,
        licence="CC-BY-4.0",
        description="",
        method=slug,
        parameters={},
        taus=(),
        truth="none",
        supervised=False,
        open_vocabulary=True,
    )
    return Scored(Entry(slug, Path(slug), submission, report), results)


def standing(rows, slug):
    (row,) = (row for row in rows if row.entry.slug == slug)
    return row.cells[COLUMN].standing


def test_rows_stand_in_the_order_of_miou_inf_on_the_first_split():
    rows = standings([scored("low", [1] * IMAGES), scored("high", [6] * IMAGES), scored("mid", [3] * IMAGES)])

    assert [row.entry.slug for row in rows] == ["high", "mid", "low"]


def test_a_row_that_is_lower_on_every_image_is_not_tied():
    rows = standings([scored("best", [4] * IMAGES), scored("behind", [3] * IMAGES)])

    assert standing(rows, "best") == "best"
    assert standing(rows, "behind") is None


def test_a_row_that_is_now_higher_now_lower_is_tied():
    rows = standings([scored("best", [6, 1] * 5 + [6, 2]), scored("other", [1, 6] * 6)])

    assert standing(rows, "best") == "best"
    assert standing(rows, "other") == "tied"


def test_equal_rows_are_both_the_best():
    rows = standings([scored("one", [5] * IMAGES), scored("two", [5] * IMAGES)])

    assert [standing(rows, slug) for slug in ("one", "two")] == ["best", "best"]


def test_tied_rows_share_a_rank():
    rows = standings(
        [
            scored("behind", [1] * IMAGES),
            scored("up-and-down", [2, 6] * (IMAGES // 2)),
            scored("steady", [4] * IMAGES),
        ]
    )
    assert {row.entry.slug: row.rank for row in rows} == {"up-and-down": 1, "steady": 1, "behind": 3}
