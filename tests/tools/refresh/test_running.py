"""A refresh runs, resumes, notices what changed, and records what things took."""

import json
from dataclasses import replace

import pytest

from daam_bench.datasets import load as loading
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.leaderboard.entries import load_entries
from daam_bench.scoring.saved_report import read_report
from daam_bench.scoring.score import score
from daam_bench.types.errors import InputError
from tests.tiny_dataset import make_dataset
from tools.refresh import recording, running
from tools.refresh.__main__ import main
from tools.refresh.planned_jobs import Job
from tools.refresh.recording import check_publishable, make_entries, publish, record
from tools.refresh.running import (
    MADE_WITH,
    REFUSED,
    SECONDS,
    cost_of,
    drop_outdated,
    run_job,
    write_made_with,
)

NAME = "emoji-seed2"
METHODS = ("random", "whole")


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A small dataset in the place of a sibling's."""
    monkeypatch.setattr(loading, "_PACKAGE", tmp_path / "daam_bench")
    return make_dataset(tmp_path / "annotations" / NAME)


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def run(work, methods=METHODS, split="coco_gen", limit=None):
    run_job(work, Job(NAME, split, methods, limit))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_method_has_its_folder_with_what_it_took(dataset, work):
    run(work)
    for method in METHODS:
        folder = work / NAME / method / "coco_gen"
        images = {line["id"] for line in lines(folder / "predictions.jsonl")[1:]}
        logged = [line for line in lines(folder / SECONDS) if "ids" in line]
        assert {identifier for line in logged for identifier in line["ids"]} == images
        cost = cost_of(folder)
        assert cost.images == len(images)
        assert cost.seconds == pytest.approx(sum(line["seconds"] for line in logged))
        assert cost.seconds > 0


def test_what_is_done_is_not_done_again(dataset, work):
    run(work, limit=2)
    folder = work / NAME / "random" / "coco_gen"
    first = (folder / "predictions.jsonl").read_bytes(), (folder / SECONDS).read_bytes()
    run(work, limit=2)
    assert ((folder / "predictions.jsonl").read_bytes(), (folder / SECONDS).read_bytes()) == first
    run(work)
    assert (folder / "predictions.jsonl").read_bytes().startswith(first[0])


@pytest.mark.parametrize("what", ["queries", "generator"])
def test_other_images_or_weights_are_run_again(dataset, work, capsys, what):
    run(work)
    path = work / NAME / "random" / "coco_gen" / MADE_WITH
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {what: "0" * 64}))
    run(work)
    assert json.loads(path.read_text()) == said
    assert "it is made again" in capsys.readouterr().err
    assert len(lines(path.with_name(SECONDS))) == 2


def test_other_masks_alone_leave_what_methods_made(dataset, work, capsys, monkeypatch):
    run(work)
    folder = work / NAME / "whole" / "coco_gen"
    before = {path.name: path.read_text().splitlines() for path in folder.glob("*.jsonl")}
    splits, card = load_whole(dataset)
    masked = next(mask for example in splits["coco_gen"] for mask in example.masks if mask)
    others = [
        replace(example, masks=tuple(mask and masked for mask in example.masks))
        for example in splits["coco_gen"]
    ]
    write_dataset(
        dataset, {**{name: split.examples for name, split in splits.items()}, "coco_gen": others}, card
    )
    split = load_split(NAME, "coco_gen")
    assert split.fingerprint != json.loads(before[SECONDS][0])["fingerprint"]
    monkeypatch.setattr(running.Bundle, "segment", lambda *_: pytest.fail("a method is run again"))
    run(work)
    assert "stays; the masks have changed" in capsys.readouterr().err
    for name, (header, *rest) in before.items():
        now, *same = (folder / name).read_text().splitlines()
        assert same == rest
        assert json.loads(now) == json.loads(header) | {"fingerprint": split.fingerprint}
    assert score(split, folder / "predictions.jsonl")["none"].pairs_inf > 0


def test_what_follows_from_masks_is_made_again_with_others(dataset, tmp_path, capsys):
    split, folder = load_split(NAME, "coco_gen"), tmp_path / "made"
    folder.mkdir()
    write_made_with(folder, split)
    drop_outdated(folder, split, sees_masks=True)
    assert folder.exists()
    drop_outdated(folder, replace(split, fingerprint="0" * 64), sees_masks=True)
    assert not folder.exists()
    assert "made of other masks" in capsys.readouterr().err


def test_a_method_that_refuses_a_split_is_told_and_the_others_run(dataset, work, capsys, monkeypatch):
    make = running.make_segmenter

    def refusing(name, options, offers):
        if name == "whole":
            raise InputError("needs joint attention")
        return make(name, options, offers)

    monkeypatch.setattr(running, "make_segmenter", refusing)
    run(work)
    assert "without whole: needs joint attention" in capsys.readouterr().err
    assert json.loads((work / NAME / "whole" / "coco_gen" / REFUSED).read_text()) == {
        "why": "needs joint attention"
    }
    assert (work / NAME / "random" / "coco_gen" / "predictions.jsonl").exists()
    monkeypatch.setattr(running, "make_segmenter", make)
    run(work)
    assert not (work / NAME / "whole" / "coco_gen" / REFUSED).exists()


def test_a_batch_that_was_begun_again_counts_once(tmp_path):
    batches = [(["a", "b"], 1.0), (["c"], 5.0), (["c"], 2.0)]
    header = {
        "daam_bench": 2,
        "method": "m",
        "parameters": {},
        "dataset": "d",
        "split": "s",
        "fingerprint": "f" * 64,
    }
    rows = [
        {"ids": ids, "seconds": took, "device": "cpu", "commit": "1", "dirty": False} for ids, took in batches
    ]
    (tmp_path / SECONDS).write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))
    assert (cost_of(tmp_path).seconds, cost_of(tmp_path).images) == (3.0, 3)
    assert cost_of(tmp_path / "nowhere") is None


def test_a_report_says_how_its_predictions_came_to_be(dataset, work, tmp_path):
    run(work)
    run(work, split="unreal_gen")
    found = record(work, NAME, ["coco_gen", "unreal_gen"], limit=None, resamples=100)
    publish(found, tmp_path / "results")
    report = read_report(tmp_path / "results" / "random" / "report.json")
    environment = report.environment
    costs = [cost_of(work / NAME / "random" / split) for split in ("coco_gen", "unreal_gen")]
    assert environment.wall_seconds == pytest.approx(sum(cost.seconds for cost in costs))
    assert environment.images == sum(cost.images for cost in costs)
    assert (environment.device, environment.commit) == ("cpu", costs[0].commit)
    assert not report.partial
    assert "Perfect detector" in (tmp_path / "results" / "table.md").read_text()


def test_what_was_run_on_uncommitted_code_is_not_published(dataset, work):
    run(work)
    committed(work)
    check_publishable(record(work, NAME, ["coco_gen"], limit=None, resamples=10))
    path = work / NAME / "whole" / "coco_gen" / SECONDS
    path.write_text(path.read_text().replace('"dirty": false', '"dirty": true'))
    with pytest.raises(InputError, match=r"whole \(uncommitted changes\)"):
        check_publishable(record(work, NAME, ["coco_gen"], limit=None, resamples=10))


def committed(work):
    """Let the logs of all runs say that nothing was uncommitted."""
    for path in work.rglob(SECONDS):
        header, *rows = lines(path)
        rows = [row | {"dirty": False} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))


def test_a_run_that_is_not_over_is_not_published(dataset, work):
    run(work, limit=2)
    committed(work)
    with pytest.raises(InputError, match=r"random \(2 of \d+ images of coco_gen\)"):
        check_publishable(record(work, NAME, ["coco_gen"], limit=None, resamples=10))


def test_a_run_that_has_come_to_nothing_is_passed_over(dataset, work):
    run(work, ("random",))
    run(work, ("whole",))
    (work / NAME / "whole" / "coco_gen" / SECONDS).unlink()
    assert list(record(work, NAME, ["coco_gen"], limit=None, resamples=10).reports) == ["random"]


def test_an_entry_is_made_of_each_method_that_is_complete(dataset, work, tmp_path):
    run(work)
    run(work, ("random",), "unreal_gen")
    found = record(work, NAME, ["coco_gen", "unreal_gen"], limit=None, resamples=10)
    assert make_entries(found, work, tmp_path / "entries") == ["random-half"]
    (entry,) = load_entries(tmp_path / "entries")
    assert entry.submission.name == "Random half"
    assert entry.submission.environment.wall_seconds == found.reports["random"].environment.wall_seconds
    assert recording.LABELS["random"] == "Random 50 %"


@pytest.mark.slow
def test_a_draft_leaves_the_checkout_alone(dataset, work, capsys):
    arguments = ["--only", NAME, "--methods", "random,whole", "--limit", "2", "--work", str(work)]
    assert main([*arguments, "--stages", "run,record,entries,orders,texts"]) == 0
    draft = work / "draft" / "baselines" / "results" / NAME
    assert read_report(draft / "random" / "report.json").partial
    assert read_report(draft / "random" / "report.json").environment.limit == 2
    assert (work / "draft" / "baselines" / "results" / "ranks.json").exists()
    assert "without runs on emoji only the parts" in capsys.readouterr().err


def test_a_stage_that_is_none_and_a_work_folder_without_runs_are_one_line(tmp_path, capsys):
    assert main(["--stages", "paint"]) == 2
    assert main(["--draft", "--stages", "record", "--work", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") <= 3
