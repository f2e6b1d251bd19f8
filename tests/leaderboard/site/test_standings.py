"""Which rows of the table are the best of a column, and which are tied with it."""

from dataclasses import replace
from pathlib import Path

from daam_bench.leaderboard import SPLITS
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.site.front_page import track_sections
from daam_bench.leaderboard.site.standings import Column, Scored, Standing, standings
from daam_bench.leaderboard.submission import Submission
from daam_bench.scoring.report import build_report, describe_environment
from daam_bench.scoring.score import score
from daam_bench.types import Prediction
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import left, make_split

IMAGES = 12
COLUMN = Column("coco_gen", "inf")
CAT = ("cat", "cat", left(6))


def scored(slug: str, columns: list[int], noun=CAT, taus=(None,)) -> Scored:
    """An entry that marks so many of an image's six columns where the ground truth is all of them."""
    split = make_split([[noun] for _ in range(IMAGES)])
    masks = [
        Prediction(str(image), 0, tau, encode(left(count)))
        for image, count in enumerate(columns)
        for tau in taus
    ]
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

    assert [standing(rows, slug) for slug in ("best", "other")] == ["tied", "tied"]


def test_equal_rows_are_tied_and_none_is_the_best():
    rows = standings([scored("one", [5] * IMAGES), scored("two", [5] * IMAGES)])

    assert [standing(rows, slug) for slug in ("one", "two")] == ["tied", "tied"]


def test_tied_rows_share_a_rank():
    rows = standings(
        [
            scored("behind", [1] * IMAGES),
            scored("up-and-down", [2, 6] * (IMAGES // 2)),
            scored("steady", [4] * IMAGES),
        ]
    )
    assert {row.entry.slug: row.rank for row in rows} == {"up-and-down": 1, "steady": 1, "behind": 3}


def test_rows_of_the_same_score_stand_by_their_slugs():
    rows = standings([scored("two", [5] * IMAGES), scored("one", [5] * IMAGES)])

    assert [row.entry.slug for row in rows] == ["one", "two"]


def test_a_cell_has_the_score_and_interval_of_the_report():
    entry = scored("one", [6, 1] * 6)
    (row,) = standings([entry])

    for column, cell in row.cells.items():
        scores = entry.entry.report.splits[column.split]["none"]
        expected = (
            (scores.miou_80, scores.ci95_80) if column.metric == "80" else (scores.miou_inf, scores.ci95_inf)
        )
        assert (cell.miou, cell.interval, cell.standing) == (*expected, "best")
    assert row.label == "one"


def test_without_pairs_a_cell_is_empty_and_the_row_stands_last():
    empty = scored("empty", [0] * IMAGES, noun=("cat", "cat", None))
    (row,) = standings([empty])

    assert all((cell.miou, cell.interval, cell.standing) == (None, None, None) for cell in row.cells.values())
    assert empty.best_tau() == "none"


def test_a_row_of_several_is_labelled_with_its_tau(entries):
    row = Standing(Scored(entries[0], {}), "0.3", {}, 1)

    assert row.label == "Gradient, τ 0.3"


def test_the_taus_of_an_entry_are_those_that_all_splits_have_and_the_best_is_that_of_the_first(entries):
    first, second = (entries[0].report.splits[name] for name in SPLITS)
    scored_entry = Scored(entries[0], {"coco_gen": first, "unreal_gen": {"0.4": second["0.4"]}})

    assert scored_entry.taus() == ["0.4"]
    both = Scored(entries[0], {"coco_gen": first, "unreal_gen": second})
    assert both.best_tau() == max(first, key=lambda tau: first[tau].miou_inf)


def test_an_entry_at_several_taus_is_no_rival_of_itself_and_counts_once():
    rows = standings(
        [scored("soft", [5] * IMAGES, taus=(0.3, 0.4)), scored("hard", [3] * IMAGES)],
    )
    assert [(row.entry.slug, row.tau, row.rank) for row in rows] == [
        ("soft", "0.3", 1),
        ("soft", "0.4", 1),
        ("hard", "none", 2),
    ]
    assert [row.cells[COLUMN].standing for row in rows] == ["best", None, None]
    (section,) = (one for one in track_sections(rows) if one.rows)
    assert section.shared_ranks == set()
