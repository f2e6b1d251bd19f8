"""What hosts measured of entries' faithfulness: kept apart from them, counted only of the entry as it is."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.leaderboard.entries import load_entries, load_entry
from daam_bench.leaderboard.faithfulness_record import (
    EffectScore,
    FaithfulnessRecord,
    read_faithfulness_record,
    write_faithfulness_record,
)
from daam_bench.leaderboard.site.write_site import build_site
from daam_bench.leaderboard.verification import submitted_hash
from daam_bench.scoring.effects import MEASURE
from daam_bench.types.errors import InputError
from tests.leaderboard.site.parsed import Page

F, J = EffectScore(0.625, 0.5, 0.75, 9), EffectScore(-0.125, -0.25, -0.0001, 9)


@pytest.fixture
def entries(soft_zip, hard_zip, tiny_dataset, tmp_path) -> Path:
    """The entries "gradient", which is measured at tau 0.4, and "random-half", which is not."""
    folder = tmp_path / "leaderboard" / "entries"
    for submission in (soft_zip, hard_zip):
        options = ["--dataset", str(tiny_dataset), "--entries", str(folder)]
        assert main(["submit", "accept", str(submission), *options]) == 0
    write_faithfulness_record(folder.parent / "verified", record_of(folder / "gradient"))
    return folder


def record_of(folder: Path, **changes) -> FaithfulnessRecord:
    report = load_entry(folder).report
    record = FaithfulnessRecord(
        entry=folder.name,
        sha256=submitted_hash(folder),
        by="A. Host",
        date="2026-01-31",
        measure=MEASURE,
        dataset=report.dataset,
        fingerprint=dict(report.fingerprint),
        heat_maps={"coco_gen": F, "unreal_gen": F},
        masks={"coco_gen": {"0.4": J}, "unreal_gen": {"0.4": J}},
        version="0.1.0",
        commit="0123456789abcdef",
    )
    return replace(record, **changes)


def check(entries, dataset) -> int:
    return main(["leaderboard", "check", "--dataset", str(dataset), "--entries", str(entries)])


def test_a_record_is_read_as_it_was_written(entries):
    records = entries.parent / "verified"
    assert read_faithfulness_record(records, "gradient") == record_of(entries / "gradient")
    assert read_faithfulness_record(records, "random-half") is None
    assert load_entry(entries / "gradient").faithfulness == record_of(entries / "gradient")
    assert load_entry(entries / "gradient").verification is None


def test_a_record_counts_only_of_the_entry_the_dataset_and_the_measure_as_they_are(
    entries, tiny_dataset, capsys
):
    assert check(entries, tiny_dataset) == 0
    assert "note" not in capsys.readouterr().out
    for change in ({"measure": "0"}, {"sha256": "0" * 64}, {"fingerprint": {"coco_gen": "0" * 64}}):
        record = record_of(entries / "gradient", **change)
        write_faithfulness_record(entries.parent / "verified", record)
        assert load_entry(entries / "gradient").faithfulness is None
    assert check(entries, tiny_dataset) == 0
    assert "note   gradient: changed since a host measured its faithfulness" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"heat_maps": {"coco_gen": {"mean": 2.0, "low": 0.0, "high": 1.0, "words": 3}}}, '"heat_maps.coco'),
        ({"masks": {"coco_gen": {"0.4": {"mean": 0.5}}}}, "is missing"),
        ({"entry": "other"}, "it is of the entry 'other'"),
        ({"by": "A\u202e"}, "holds the character U+202E"),
    ],
)
def test_a_damaged_record_is_named(entries, tiny_dataset, capsys, change, said):
    path = entries.parent / "verified" / "gradient.faithfulness.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"gradient\.faithfulness\.json: .*`make refresh` writes it"):
        load_entry(entries / "gradient")
    assert check(entries, tiny_dataset) == 2
    assert said in capsys.readouterr().out


def test_a_record_inside_an_entry_is_none_of_its_files(entries, tiny_dataset, capsys):
    record = (entries.parent / "verified" / "gradient.faithfulness.json").read_bytes()
    (entries / "random-half" / "faithfulness.json").write_bytes(record)
    assert load_entry(entries / "random-half").faithfulness is None
    assert check(entries, tiny_dataset) == 2
    assert "random-half/faithfulness.json: is no file of an entry" in capsys.readouterr().out


def test_the_site_shows_f_of_heat_maps_and_j_of_masks_where_a_host_measured_them(
    entries, tiny_dataset, tmp_path
):
    build_site(load_entries(entries), str(tiny_dataset), tmp_path / "site")
    front = Page(tmp_path / "site" / "index.html")
    (group,) = (th for th in front.all("th") if th.text.startswith("faithfulness"))
    assert "by hosts" in group.text
    cells = [cell.attributes["data-value"] for cell in front.all("td") if "data-value" in cell.attributes]
    assert cells.count("0.625") == 2  # at both taus
    assert cells.count("-0.125") == 1  # at the tau that was measured
    written = [td.text for td in front.all("td")]
    assert written.count(".625 [.500, .750]") == 2
    assert written.count("-.125 [-.250, .000]") == 1  # no minus before what rounds to 0
    headers = [th for th in front.all("th") if "data-sort" in th.attributes]
    per_row = [len([c for c in front.all("td") if "data-value" in c.attributes]) // 3 + 1]
    assert per_row == [len(headers)]
    page = Page(tmp_path / "site" / "methods" / "gradient.html")
    said = dict(zip((e.text for e in page.all("dt")), (e.text for e in page.all("dd")), strict=True))
    assert said["coco_gen: F, heat maps"] == ".625 [.500, .750], 9 nouns"
    assert said["unreal_gen: J, masks at τ 0.4"] == "-.125 [-.250, .000], 9 nouns"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "site" / "standings.csv").read_text())))
    by_name = {(row["slug"], row["tau"]): row for row in rows}
    assert by_name["gradient", "0.4"]["coco_gen_faithfulness_j"] == "-0.125"
    assert by_name["gradient", "0.3"]["coco_gen_faithfulness_j"] == ""
    assert by_name["gradient", "0.3"]["coco_gen_faithfulness_f_low"] == "0.5"
    assert by_name["random-half", ""]["coco_gen_faithfulness_f"] == ""


def test_without_a_record_there_is_no_column(entries, tiny_dataset, tmp_path):
    (entries.parent / "verified" / "gradient.faithfulness.json").unlink()
    build_site(load_entries(entries), str(tiny_dataset), tmp_path / "site")
    assert "aithfulness" not in (tmp_path / "site" / "index.html").read_text()
    rows = json.loads((tmp_path / "site" / "standings.json").read_text())["rows"]
    assert {row["coco_gen_faithfulness_f"] for row in rows} == {None}
