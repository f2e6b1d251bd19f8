"""The front page's tracks, the methods that were not run here, and entries with and without `scenes`."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.leaderboard.entries import load_entries
from daam_bench.leaderboard.site.front_page import NO_TRACK, track_sections
from daam_bench.leaderboard.site.standings import Column, score_entry, standings
from daam_bench.leaderboard.site.write_site import build_site
from daam_bench.segmenters.cards import TRACKS
from tests.leaderboard.packed import DESCRIBED, FLAGS
from tests.leaderboard.site.parsed import Page
from tests.leaderboard.site.test_standings import IMAGES, scored
from tests.tiny_dataset import generated_example

THREE = "coco_gen,unreal_gen,scenes"
NEED_WEIGHTS = {"clipseg", "grounded-sam", "owlv2-sam", "sam3", "sclip"}


def of_track(slug: str, columns: list[int], track: str | None):
    """An entry of a track that marks so many of an image's six columns."""
    entry = scored(slug, columns)
    submission = replace(entry.entry.submission, track=track)
    return replace(entry, entry=replace(entry.entry, submission=submission))


def test_methods_are_ranked_within_their_own_track():
    rows = standings(
        [
            of_track("unstated", [6] * IMAGES, None),
            of_track("closed", [5] * IMAGES, "closed vocabulary"),
            of_track("good", [3] * IMAGES, "generator"),
            of_track("bad", [1] * IMAGES, "generator"),
        ]
    )
    assert [(row.track, row.entry.slug, row.rank) for row in rows] == [
        ("generator", "good", 1),
        ("generator", "bad", 2),
        ("closed vocabulary", "closed", 1),
        (None, "unstated", 1),
    ]
    column = Column("coco_gen", "inf")
    assert [row.cells[column].standing for row in rows] == ["best", None, "best", "best"]


def test_a_track_names_the_methods_whose_weights_are_not_here():
    rows = standings([of_track("good", [3] * IMAGES, "generator"), of_track("sam3", [4] * IMAGES, None)])
    sections = {section.name: section for section in track_sections(rows)}
    assert list(sections) == ["generator", "other weights", "closed vocabulary", NO_TRACK]
    assert set(sections["other weights"].not_run) == NEED_WEIGHTS - {"sam3"}
    assert sections["other weights"].rows == []
    assert sections["other weights"].meaning == TRACKS["other weights"]
    assert not sections["generator"].not_run


@pytest.fixture(scope="module")
def dataset(tiny_dataset, tmp_path_factory) -> Path:
    """The tiny dataset with a third split, of three images."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    pairs = (("cat", "kite"), ("dog", "pizza"), ("moon", "boat"))
    scenes = [generated_example(f"scenes-{index}", *pair) for index, pair in enumerate(pairs)]
    splits, card = load_whole(tiny_dataset)
    write_dataset(
        folder, {**{name: split.examples for name, split in splits.items()}, "scenes": scenes}, card
    )
    return folder


@pytest.fixture(scope="module")
def entries(dataset, tmp_path_factory) -> Path:
    """Two entries: "gradient" on three splits, "random" on two."""
    folder = tmp_path_factory.mktemp("leaderboard") / "entries"
    given = ["--dataset", str(dataset)]
    for method, splits in (
        ("tests.segmenters.methods:Gradient", THREE),
        ("random", "coco_gen,unreal_gen"),
    ):
        name = method.rpartition(":")[2].lower()
        run, packed = folder.parent / name, folder.parent / f"{name}.zip"
        options = ["--method", method, "--tau", "0.3,0.4", "--split", splits]
        assert main(["run", *given, *options, "--output", str(run)]) == 0
        described = ["--name", name, *DESCRIBED, *FLAGS]
        assert main(["submit", "pack", str(run), *described, *given, "--output", str(packed)]) == 0
        assert main(["submit", "accept", str(packed), *given, "--entries", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def site(dataset, entries, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    build_site(load_entries(entries), str(dataset), folder)
    return folder


def test_an_entry_may_have_scenes(dataset, entries, capsys):
    by_name = {entry.slug: entry for entry in load_entries(entries)}
    assert list(by_name["gradient"].report.splits) == THREE.split(",")
    assert list(by_name["random"].report.splits) == ["coco_gen", "unreal_gen"]
    capsys.readouterr()
    given = ["--dataset", str(dataset), "--entries", str(entries)]
    assert main(["leaderboard", "check", *given]) == 0
    assert "the masks of all 2 score as their reports say" in capsys.readouterr().out


def test_scenes_are_checked_as_the_other_splits_are(dataset, entries, tmp_path, capsys):
    import shutil

    copied = shutil.copytree(entries, tmp_path / "entries")
    path = copied / "gradient" / "scenes" / "predictions.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    capsys.readouterr()
    given = ["--dataset", str(dataset), "--entries", str(copied)]
    assert main(["leaderboard", "check", *given]) == 2
    assert "gradient/scenes/predictions.jsonl: no prediction of id 'scenes-2'" in capsys.readouterr().out
    path.unlink()
    assert main(["leaderboard", "check", *given]) == 2
    assert "scenes/predictions.jsonl: is missing; take the folder scenes out" in capsys.readouterr().out


def test_scenes_may_come_with_masks_alone(dataset, entries, tmp_path, capsys):
    run = tmp_path / "run"
    given = ["--dataset", str(dataset)]
    options = ["--method", "tests.segmenters.methods:Gradient", "--tau", "0.4", "--split", THREE]
    assert main(["run", *given, *options, "--output", str(run)]) == 0
    (run / "scenes" / "heat_maps.jsonl").unlink()
    packed, accepted = tmp_path / "packed.zip", tmp_path / "entries"
    described = ["--name", "masks", *DESCRIBED, *FLAGS]
    assert main(["submit", "pack", str(run), *described, *given, "--output", str(packed)]) == 0
    assert main(["submit", "accept", str(packed), *given, "--entries", str(accepted)]) == 0
    (entry,) = load_entries(accepted)
    scores = {name: taus["0.4"] for name, taus in entry.report.splits.items()}
    assert scores["scenes"].miou_inf > 0
    assert scores["scenes"].average_precision is None
    assert scores["coco_gen"].average_precision is not None
    assert main(["leaderboard", "check", *given, "--entries", str(accepted)]) == 0
    build_site([entry], str(dataset), tmp_path / "site")


def test_the_table_has_a_column_of_scenes_and_a_dash_where_an_entry_left_them_out(site):
    page = Page(site / "index.html")
    assert "composited, exact masks" in page.all("thead")[0].text
    rows = list(csv.DictReader((site / "standings.csv").read_text().splitlines()))
    found = {row["slug"]: row for row in rows}
    assert float(found["gradient"]["scenes_miou_inf"]) > 0
    assert float(found["gradient"]["scenes_average_precision"]) > 0
    assert (found["random"]["scenes_miou_inf"], found["random"]["scenes_leakage"]) == ("", "")
    records = json.loads((site / "standings.json").read_text())["rows"]
    assert [record["scenes_miou_80"] is None for record in records] == [
        row["slug"] == "random" for row in rows
    ]
    rows_at = enumerate(page.elements)
    places = [index for index, one in rows_at if one.tag == "tr" and "data-entry" in one.attributes]
    for place in places:
        rest = page.elements[place + 1 :]
        row = rest[: next((i for i, one in enumerate(rest) if one.tag == "tr"), len(rest))]
        cells = [cell.attributes.get("data-value") for cell in row if cell.tag == "td"][2:-1]
        of_scenes = cells[2 * len(cells) // 3 :]
        ran = page.elements[place].attributes["data-entry"] == "gradient"
        assert [bool(value) for value in of_scenes] == [ran] * len(of_scenes)


def test_a_site_without_scenes_has_no_such_column(tiny_dataset, entries, dataset, tmp_path):
    random = [entry for entry in load_entries(entries) if entry.slug == "random"]
    build_site(random, str(dataset), tmp_path / "site")
    assert not (tmp_path / "site" / "images" / "scenes").exists()
    assert "composited" not in Page(tmp_path / "site" / "index.html").all("thead")[0].text


def test_an_entry_whose_report_has_scenes_without_masks_is_refused(dataset, entries, tmp_path):
    import shutil

    from daam_bench.leaderboard.entries import load_splits
    from daam_bench.types.errors import InputError

    copied = shutil.copytree(entries, tmp_path / "entries")
    shutil.rmtree(copied / "gradient" / "scenes")
    (entry,) = (entry for entry in load_entries(copied) if entry.slug == "gradient")
    with pytest.raises(InputError, match="scenes"):
        score_entry(entry, {split.name: split for split in load_splits(str(dataset))})


@pytest.mark.slow
def test_a_visitor_sorts_within_tracks_and_the_viewer_says_what_was_not_run(opener, site):
    with opener.open(site / "index.html") as page:
        page.locator("#standings thead tr:nth-child(2) th").nth(6).get_by_role("button").click()
        first = page.locator("#standings tbody tr").all()
        assert "track" in first[0].get_attribute("class")
        page.get_by_label("Track").select_option("other weights")
        assert page.locator("#standings tbody tr:visible").count() == 1 + len(NEED_WEIGHTS)
        assert page.locator("#shown").inner_text() == "0 of 3 rows"
        page.get_by_label("Track").select_option("")
        page.get_by_label("Search").fill("sam 3")
        assert page.locator("#standings tbody tr.not-run:visible").count() == 1
    with opener.open(site / "viewer.html", "split=scenes&a=random&b=gradient") as page:
        page.locator("#panel-a .caption").get_by_text("not run on this split").wait_for()
        page.locator("#panel-b .caption").get_by_text("IoU").wait_for()
