"""From a submission to an entry, and scoring entries again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daam_bench.leaderboard.checking import validate
from daam_bench.leaderboard.entries import (
    accept,
    check_entry,
    differences,
    load_entries,
    load_entry,
    load_splits,
)
from daam_bench.leaderboard.reading import Problems, opened
from daam_bench.scoring.saved_report import read_report
from daam_bench.types import ClassScore
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, encode
from tests.leaderboard.packed import edited


@pytest.fixture(scope="module")
def checked(soft_zip, tiny_splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened") / "submission"
    with opened(soft_zip) as unpacked:
        shutil.copytree(unpacked, folder)
    return validate(folder, tiny_splits, Problems())


@pytest.fixture(scope="module")
def accepted(checked, tmp_path_factory):
    return accept(checked, tmp_path_factory.mktemp("accepted") / "entries")


@pytest.fixture
def entry(accepted, tmp_path):
    """An entry of one's own, to change."""
    return load_entry(shutil.copytree(accepted.folder, tmp_path / "entries" / accepted.slug))


def problems_of(entry, splits) -> list[str]:
    problems = Problems()
    check_entry(entry.folder, splits, problems)
    return problems.lines()


def rewrite(path: Path, edit) -> None:
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


def test_an_entry_scores_as_the_run_did(accepted, soft_run):
    run = read_report(soft_run / "report.json")
    assert accepted.slug == "gradient"
    assert accepted.report.splits == run.splits
    assert accepted.report.fingerprint == run.fingerprint
    assert accepted.submission.environment == run.environment
    assert accepted.submission.taus == (0.3, 0.4)
    assert accepted.report.dataset == "tiny"
    assert accepted.heat_maps("coco_gen").exists()


def test_an_entry_holds_nothing_but_its_files(accepted):
    assert {
        path.relative_to(accepted.folder).as_posix() for path in accepted.folder.rglob("*") if path.is_file()
    } == {
        "submission.json",
        "report.json",
        "coco_gen/predictions.jsonl",
        "coco_gen/heat_maps.jsonl",
        "unreal_gen/predictions.jsonl",
        "unreal_gen/heat_maps.jsonl",
    }
    assert [path.name for path in accepted.folder.parent.iterdir()] == ["gradient"]


def test_an_untouched_entry_passes(entry, tiny_splits):
    assert problems_of(entry, tiny_splits) == []


def test_a_dataset_that_lies_elsewhere_is_the_same(entry, tiny_dataset, tmp_path):
    moved = shutil.copytree(tiny_dataset, tmp_path / "tiny")
    assert problems_of(entry, load_splits(str(moved))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("splits", "coco_gen", "0.3", "miou_inf"), lambda old: old + 2e-9),
        (("splits", "coco_gen", "0.3", "ci95_inf", 1), lambda old: old + 2e-9),
        (("splits", "coco_gen", "0.3", "per_class", "cat", "miou"), lambda old: old - 2e-9),
        (("splits", "coco_gen", "0.3", "pairs_inf"), lambda old: old + 1),
        (("splits", "coco_gen", "0.3", "average_precision"), lambda old: old + 2e-4),
        (("splits", "coco_gen", "0.3", "miou_over_tau", "0.5", "miou_80"), lambda old: old + 2e-4),
        (("splits", "coco_gen", "0.3", "average_precision"), lambda old: None),
        (("fingerprint", "coco_gen"), lambda old: "0" * 64),
        (("method",), lambda old: "other"),
        (("parameters", "gain"), lambda old: 2.0),
        (("dataset",), lambda old: "other"),
    ],
)
def test_any_other_number_in_a_report_fails(entry, tiny_splits, path, value):
    def edit(record):
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value(record[path[-1]])

    rewrite(entry.folder / "report.json", edit)
    (line,) = problems_of(entry, tiny_splits)
    assert line.startswith("gradient/report.json: ")
    assert str(path[0]) in line


@pytest.mark.parametrize(
    ("path", "change"),
    [(("miou_inf",), 1e-12), (("average_precision",), 1e-6), (("miou_over_tau", "0.5", "miou_inf"), 1e-6)],
)
def test_last_digits_of_another_machine_pass(entry, tiny_splits, path, change):
    def edit(record):
        scores = record["splits"]["coco_gen"]["0.3"]
        for key in path[:-1]:
            scores = scores[key]
        scores[path[-1]] += change

    rewrite(entry.folder / "report.json", edit)
    assert problems_of(entry, tiny_splits) == []


def test_two_peaks_may_lie_elsewhere_three_not(accepted):
    pairs = accepted.report.splits["coco_gen"]["0.3"].pairs_inf

    def with_hits(hits):
        splits = {
            name: {tau: replace(scores, pointing_game=hits / pairs) for tau, scores in taus.items()}
            for name, taus in accepted.report.splits.items()
        }
        return replace(accepted.report, splits=splits)

    assert list(differences(with_hits(3), with_hits(5))) == []
    assert len(list(differences(with_hits(3), with_hits(6)))) == 4


def test_a_class_too_many_fails(accepted):
    def edit(scores):
        return replace(scores, per_class={**scores.per_class, "zebra": ClassScore(0.5, 1)})

    splits = {**accepted.report.splits, "coco_gen": {"0.3": edit(accepted.report.splits["coco_gen"]["0.3"])}}
    found = list(differences(replace(accepted.report, splits=splits), accepted.report))
    assert found == [
        "'splits.coco_gen.0.3.per_class.zebra' is only in the report",
        "'splits.coco_gen.0.4' is only among the new scores",
    ]


def test_another_mask_fails(hard_zip, tiny_splits, tmp_path):
    with opened(hard_zip) as unpacked:
        entry = accept(validate(unpacked, tiny_splits, Problems()), tmp_path / "entries")
    path = entry.predictions("coco_gen")
    mask = as_record(encode(np.ones((32, 32), bool)))
    path.write_bytes(edited(path.read_bytes(), 2, lambda record: record.update(mask=mask)))
    lines = problems_of(entry, tiny_splits)
    assert any("splits.coco_gen.none.miou_inf is" in line for line in lines)


def test_a_dataset_of_other_content_fails(entry, tiny_splits):
    other = [replace(split, fingerprint="1" * 64) for split in tiny_splits]
    lines = problems_of(entry, other)
    assert lines
    assert all("it was made on other content" in line for line in lines)


def test_a_report_of_another_protocol_fails(entry, tiny_splits):
    rewrite(entry.folder / "report.json", lambda record: record.update(protocol="0"))
    (line,) = problems_of(entry, tiny_splits)
    assert "protocol '0', not '2'" in line


def test_foreign_files_and_links_fail(entry, tiny_splits):
    (entry.folder / "setup.py").write_text("")
    (entry.folder / "coco_gen" / "link").symlink_to("/etc/passwd")
    assert problems_of(entry, tiny_splits) == [
        "gradient/coco_gen/link: is a link or a device; an entry holds plain files",
        "gradient/setup.py: is no file of an entry; remove it",
    ]


@pytest.mark.parametrize("name", ["::warning::x", "A", "-a", "a\x1b[2J"])
def test_a_folder_of_another_name_fails_and_its_name_is_quoted(entry, tiny_splits, name):
    problems = Problems()
    check_entry(entry.folder.rename(entry.folder.with_name(name)), tiny_splits, problems)
    (line,) = problems.lines()
    assert line.startswith(f"entry {name!r}: must be a folder")


def test_a_linked_entry_fails(entry, tiny_splits):
    link = entry.folder.with_name("linked")
    link.symlink_to(entry.folder)
    problems = Problems()
    check_entry(link, tiny_splits, problems)
    assert "no link" in problems.lines()[0]


def test_a_report_with_hidden_characters_fails(entry, tiny_splits):
    rewrite(entry.folder / "report.json", lambda record: record["environment"].update(platform="x\x1b[2J"))
    (line,) = problems_of(entry, tiny_splits)
    assert "holds the character U+001B" in line


def test_a_slug_is_taken_once(checked, entry):
    entries = entry.folder.parent
    other = replace(checked, submission=replace(checked.submission, name="Another"))
    with pytest.raises(InputError, match="is there already; give --replace"):
        accept(checked, entries)
    assert accept(other, entries, "gradient-2").slug == "gradient-2"
    assert accept(checked, entries, overwrite=True).slug == "gradient"
    assert [found.slug for found in load_entries(entries)] == ["gradient", "gradient-2"]


@pytest.mark.parametrize("slug", ["../evil", "A", "a--b", ".a", "a/b", "-"])
def test_a_slug_is_a_plain_name(checked, tmp_path, slug):
    with pytest.raises(InputError, match="a slug is made of"):
        accept(checked, tmp_path / "entries", slug)
    assert not (tmp_path / "entries").exists()


def test_a_failed_acceptance_leaves_the_old_entry(checked, entry, monkeypatch):
    before = (entry.folder / "report.json").read_bytes()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("daam_bench.leaderboard.entries.score_submission", fail)
    with pytest.raises(KeyboardInterrupt):
        accept(checked, entry.folder.parent, overwrite=True)
    assert (entry.folder / "report.json").read_bytes() == before
    assert [path.name for path in entry.folder.parent.iterdir()] == ["gradient"]


@pytest.mark.parametrize("content", ["[]", "{", '{"name": 3}'])
def test_an_entry_that_does_not_say_its_name_is_in_nobody_s_way(checked, entry, content):
    (entry.folder / "submission.json").write_text(content)
    assert accept(checked, entry.folder.parent, "another").slug == "another"


def test_a_damaged_entry_is_named(entry):
    (entry.folder / "submission.json").write_text("{}")
    with pytest.raises(InputError, match=r"submission\.json: "):
        load_entries(entry.folder.parent)


def test_no_entries_says_where_it_looked(tmp_path):
    with pytest.raises(InputError, match=f"no leaderboard entries at {tmp_path / 'x'}; .* give --entries"):
        load_entries(tmp_path / "x")
