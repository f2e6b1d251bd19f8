"""A refresh measures the faithfulness of runs, resumes, and says how the scores came to be."""

import json
import shutil
from dataclasses import replace

import pytest

from daam_bench.analysis.effects_report import read_faithfulness, write_scores
from daam_bench.datasets import load as loading
from daam_bench.datasets.load import load_split
from daam_bench.leaderboard.entries import load_entry
from daam_bench.scoring.effects import OWN
from daam_bench.scoring.report import describe_environment
from daam_bench.types.errors import InputError
from tools.method_lists import BASELINE
from tools.refresh import stages
from tools.refresh.__main__ import main
from tools.refresh.measuring import (
    BY_WORD,
    FAITHFULNESS,
    check_faithfulness,
    measure_runs,
    measure_words,
    with_published,
    write_entry_records,
)
from tools.refresh.planned_jobs import Job
from tools.refresh.recording import make_entries, record
from tools.refresh.running import SECONDS, run_job

NAME = "emoji-seed2"
SPLIT = "coco_gen"


@pytest.fixture(scope="module")
def root(generated_dataset, tmp_path_factory):
    """A tiny generator's dataset in the place of a sibling's, and runs on two of its images."""
    root = tmp_path_factory.mktemp("refresh")
    shutil.copytree(generated_dataset, root / "annotations" / NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_PACKAGE", root / "daam_bench")
        run_job(root / "work", Job(NAME, SPLIT, ("daam", "random"), 2))
        run_job(root / "work", Job(NAME, SPLIT, ("whole",), 1))
        yield root


@pytest.fixture
def work(root, tmp_path):
    """A copy of the work folder."""
    return shutil.copytree(root / "work", tmp_path / "work")


@pytest.fixture(scope="module")
def measured(root):
    """What was measured in the work folder itself."""
    found = measure_runs(root / "work", NAME, {SPLIT: ("random", "whole", "daam", "iseg")}, limit=2)
    assert found is not None
    return found


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_runs_that_are_over_are_measured_at_the_usual_tau(measured, tmp_path):
    split = measured.report.splits[SPLIT]
    assert list(split.methods) == ["daam", "random"]
    assert split.images == 2
    assert measured.unfinished == ["whole on coco_gen"]
    noun = split.methods["daam"].groups["noun"]
    assert list(noun.hard) == ["0.4"]
    assert OWN in noun.soft
    write_scores(tmp_path, measured.report, FAITHFULNESS)
    assert read_faithfulness(tmp_path / "faithfulness.json") == measured.report
    assert "| **daam** |" in (tmp_path / "faithfulness.md").read_text()


def test_a_report_says_with_what_code_and_in_what_time_it_was_measured(measured, root):
    rows = [row for row in lines(root / "work" / FAITHFULNESS / NAME / SPLIT / SECONDS) if "ids" in row]
    assert {one for row in rows for one in row["ids"]} == {
        f"{name} {SPLIT}-{image}" for name in ("reference", "daam", "random") for image in (0, 1)
    }
    environment = measured.report.environment
    assert environment.wall_seconds == pytest.approx(sum(row["seconds"] for row in rows))
    assert environment.commit == rows[0]["commit"]
    assert (environment.images, environment.limit, environment.drifted) == (2, 2, 0)


def test_what_is_measured_is_not_measured_again_unless_it_changes(measured, work):
    folder = work / FAITHFULNESS / NAME / SPLIT
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = measure_runs(work, NAME, {SPLIT: ("daam", "random")}, limit=2)
    assert again.report.splits == measured.report.splits
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    predictions = work / NAME / "random" / SPLIT / "predictions.jsonl"
    header, first, *rest = lines(predictions)
    first["mask"] = rest[0]["mask"]
    predictions.write_text("".join(json.dumps(line) + "\n" for line in (header, first, *rest)))
    measure_runs(work, NAME, {SPLIT: ("daam", "random")}, limit=2)
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"random.effects.jsonl", SECONDS}
    assert lines(folder / SECONDS)[-1]["ids"] == [f"random {SPLIT}-0"]


def test_unfinished_runs_and_uncommitted_code_are_not_published(measured, work):
    with pytest.raises(InputError, match="whole on coco_gen is not over"):
        check_faithfulness(measured)
    log = work / FAITHFULNESS / NAME / SPLIT / SECONDS
    header, *rows = lines(log)
    for dirty in (False, True):
        rows[-1]["dirty"] = dirty
        for row in rows[:-1]:
            row["dirty"] = False
        log.write_text("".join(json.dumps(row) + "\n" for row in (header, *rows)))
        found = measure_runs(work, NAME, {SPLIT: ("daam", "random")}, limit=2)
        if dirty:
            with pytest.raises(InputError, match="uncommitted changes"):
                check_faithfulness(found)
        else:
            check_faithfulness(found)


def test_without_runs_there_is_nothing_to_measure(root, tmp_path):
    assert measure_runs(tmp_path, NAME, {SPLIT: ("daam",)}, limit=None) is None


def test_every_word_of_one_method_is_measured_by_its_part_of_speech(root, work):
    found = measure_words(work, NAME, limit=1)
    (method,) = found.report.splits[SPLIT].methods
    assert method == BASELINE
    assert set(found.report.splits[SPLIT].methods[method].groups) == {"noun", "X"}
    assert found.report.partial
    assert found.report.words == ("all",)
    folder = work / BY_WORD / NAME / SPLIT
    before = (folder / "daam.effects.jsonl").read_bytes()
    again = measure_words(work, NAME, limit=1)
    assert again.report.splits == found.report.splits
    assert (folder / "daam.effects.jsonl").read_bytes() == before


def test_an_entry_with_the_measured_maps_has_a_record_of_them(root, tmp_path, capsys):
    splits = ("coco_gen", "unreal_gen")
    for split in splits:
        run_job(tmp_path / "work", Job(NAME, split, ("daam", "random"), None))
    recorded = record(tmp_path / "work", NAME, list(splits), limit=None, resamples=10)
    entries, records = tmp_path / "entries", tmp_path / "records"
    assert make_entries(recorded, tmp_path / "work", entries) == ["random-half", "daam"]
    methods = dict.fromkeys(splits, ("daam", "random"))
    found = measure_runs(tmp_path / "work", NAME, methods, limit=None)
    assert write_entry_records(found, entries, records) == ["daam", "random-half"]
    entry = load_entry(entries / "daam", records)
    scores = found.report.splits["unreal_gen"].methods["daam"].groups["noun"]
    assert entry.faithfulness.heat_maps["unreal_gen"].mean == scores.soft[OWN].mean
    assert entry.faithfulness.masks["unreal_gen"]["0.4"].mean == scores.hard["0.4"][OWN].mean
    assert entry.faithfulness.commit == found.report.environment.commit
    hard = load_entry(entries / "random-half", records).faithfulness
    assert (hard.heat_maps, list(hard.masks["coco_gen"])) == ({}, ["none"])
    path = entries / "random-half" / SPLIT / "predictions.jsonl"
    header, first, *rest = lines(path)
    first["mask"] = rest[0]["mask"]
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, first, *rest)))
    assert load_entry(entries / "random-half", records).faithfulness is None
    capsys.readouterr()
    assert write_entry_records(found, entries, records) == ["daam"]
    assert "no faithfulness of the entry random-half" in capsys.readouterr().err


def test_a_draft_of_the_stage_leaves_report_and_page_in_the_work_folder(measured, work, capsys):
    arguments = ["--only", f"{NAME}/{SPLIT}", "--methods", "daam,random", "--limit", "2"]
    assert main([*arguments, "--stages", "faithfulness", "--work", str(work)]) == 0
    folder = work / "draft" / "baselines" / "results" / NAME
    assert read_faithfulness(folder / "faithfulness.json").splits == measured.report.splits
    assert f"{folder}/faithfulness.json, .md" in capsys.readouterr().out


def test_a_split_is_published_beside_what_was_published_of_others(measured):
    report = measured.report
    environment, fingerprint = report.environment, load_split(NAME, "unreal_gen").fingerprint
    before = replace(
        report,
        splits={"unreal_gen": report.splits[SPLIT]},
        fingerprint={"unreal_gen": fingerprint},
        environment=replace(environment, wall_seconds=3.0),
    )
    both = with_published(report, before)
    assert list(both.splits) == list(both.fingerprint) == [SPLIT, "unreal_gen"]
    assert both.environment.images == 4
    assert both.environment.wall_seconds == pytest.approx(3 + environment.wall_seconds)
    again = with_published(report, both)
    assert again == replace(both, environment=replace(both.environment, wall_seconds=None))
    outdated = {"unreal_gen": "other masks"}
    for other in (None, report, replace(before, fingerprint=outdated), replace(before, words=("all",))):
        assert with_published(report, other) == report


def test_some_of_the_methods_are_measured_and_not_published(measured, work, capsys, monkeypatch):
    clean = replace(describe_environment(), dirty=False)
    monkeypatch.setattr(stages, "describe_environment", lambda: clean)
    job = stages.Refresh(work=work, only=(f"{NAME}/{SPLIT}",), methods=("daam",), limit=2, draft=False)
    job.faithfulness()
    assert job.wrote == []
    assert f"nothing published of {NAME}: that takes all methods" in capsys.readouterr().err
