import csv
import io
import json
import shutil
from dataclasses import replace

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.leaderboard.site.write_site import MARKER, build_site, replacing_site
from daam_bench.types import Annotation
from daam_bench.types.errors import InputError


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_same_entries_give_the_same_bytes(site, entries, tiny_dataset, tmp_path):
    build_site(entries, str(tiny_dataset), tmp_path / "again")

    assert content(tmp_path / "again") == content(site)


def test_the_command_builds_a_site(entries_folder, tiny_dataset, tmp_path, capsys):
    options = ["--entries", str(entries_folder), "--dataset", str(tiny_dataset)]
    code = main(["leaderboard", "build", *options, "--out", str(tmp_path / "site")])

    assert code == 0
    assert "2 methods" in capsys.readouterr().out
    assert json.loads((tmp_path / "site" / MARKER).read_text())["entries"] == ["gradient", "random-half"]


def test_a_site_is_replaced_and_what_is_no_part_of_it_is_kept(entries, tiny_dataset, tmp_path):
    build_site(entries, str(tiny_dataset), tmp_path / "site")
    (tmp_path / "site" / "CNAME").write_text("example.org")
    (tmp_path / "site" / ".git").mkdir()

    build_site(entries[:1], str(tiny_dataset), tmp_path / "site")

    assert (tmp_path / "site" / "CNAME").read_text() == "example.org"
    assert (tmp_path / "site" / ".git").is_dir()
    assert not (tmp_path / "site" / "methods" / "hostile.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_that_is_no_site_is_left_alone(entries, tiny_dataset, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")

    with pytest.raises(InputError, match="is no site; name another folder"):
        build_site(entries, str(tiny_dataset), tmp_path / "thesis")
    assert content(tmp_path / "thesis") == {"chapter.tex": b"mine"}


def test_a_failure_on_the_way_leaves_the_old_site(site, tmp_path):
    shutil.copytree(site, tmp_path / "site")

    def fail_on_the_way():
        with replacing_site(tmp_path / "site") as fresh:
            (fresh / "index.html").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_on_the_way()
    assert content(tmp_path / "site") == content(site)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_report_that_its_masks_do_not_give_stops_the_build(entries, tiny_dataset, tmp_path):
    report = entries[0].report
    scores = report.splits["coco_gen"]["0.3"]
    better = {**report.splits["coco_gen"], "0.3": replace(scores, miou_inf=0.99)}
    boasting = replace(entries[0], report=replace(report, splits={**report.splits, "coco_gen": better}))

    with pytest.raises(InputError, match="leaderboard check"):
        build_site([boasting], str(tiny_dataset), tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_no_entries_are_no_site(tiny_dataset, tmp_path):
    with pytest.raises(InputError, match="no entries"):
        build_site([], str(tiny_dataset), tmp_path / "site")


def test_masks_that_a_program_proposed_are_called_provisional(tiny_dataset, soft_run, tmp_path):
    from tests.leaderboard.packed import pack_run

    proposed = Annotation("a program", "proposal: not looked at", "2024-01-01")
    splits = {
        name: [replace(example, annotation=proposed) for example in load_split(tiny_dataset, name).examples]
        for name in ("coco_gen", "unreal_gen")
    }
    write_dataset(tmp_path / "tiny", splits, "# Proposed\n")
    dataset = ["--dataset", str(tmp_path / "tiny")]
    assert pack_run(tmp_path / "tiny", soft_run, tmp_path / "soft.zip") == 0
    assert (
        main(
            ["submit", "accept", str(tmp_path / "soft.zip"), "--entries", str(tmp_path / "entries"), *dataset]
        )
        == 0
    )

    assert (
        main(
            [
                "leaderboard",
                "build",
                "--entries",
                str(tmp_path / "entries"),
                *dataset,
                "--out",
                str(tmp_path / "site"),
            ]
        )
        == 0
    )

    front, method = (
        " ".join((tmp_path / "site" / name).read_text().split())
        for name in ("index.html", "methods/gradient.html")
    )
    assert "The ground truth is provisional." in front
    assert "all 5 images of coco_gen" in front
    assert "The ground truth of coco_gen and unreal_gen is provisional" in method


def test_the_table_is_there_as_csv_and_json(site, entries):
    found = json.loads((site / "standings.json").read_text())
    assert found["protocol"] == "2"
    assert {row["slug"] for row in found["rows"]} == {entry.slug for entry in entries}
    rows = list(csv.DictReader(io.StringIO((site / "standings.csv").read_text())))
    assert [row["name"] for row in rows] == [row["name"] for row in found["rows"]]
    for row, record in zip(rows, found["rows"], strict=True):
        scores = next(entry for entry in entries if entry.slug == record["slug"]).report.splits["coco_gen"]
        tau = "none" if record["tau"] is None else str(record["tau"])
        assert float(row["coco_gen_miou_inf"]) == record["coco_gen_miou_inf"] == scores[tau].miou_inf
