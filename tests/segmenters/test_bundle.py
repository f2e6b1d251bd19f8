"""`run --method one,two,...`: several methods, one trace, each with a folder of its own."""

import shutil

import pytest

from daam_bench import load_split
from daam_bench.engine import InProcess
from daam_bench.run import main
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters import traced_image
from daam_bench.segmenters.bundle import BundleWorker, segment_together
from daam_bench.segmenters.method_worker import MethodWorker

METHODS = ("daam", "daam-self", "whole")


@pytest.fixture(scope="module")
def run_together(generated_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    assert main(command(generated_dataset, ",".join(METHODS), folder)) == 0
    return folder


@pytest.fixture
def generated(monkeypatch):
    """How many images each call generated again."""
    calls = []
    reproduce = traced_image.reproduce

    def counted(pipeline, queries, generation):
        calls.append(len(queries))
        return reproduce(pipeline, queries, generation)

    monkeypatch.setattr(traced_image, "reproduce", counted)
    return calls


def command(dataset, methods, output, *more):
    options = ["--dataset", str(dataset), "--split", "coco_gen", "--device", "cpu", "--tau", "0.3,0.5"]
    return ["--method", methods, *options, "--batch-size", "2", "--output", str(output), *more]


def test_each_methods_files_are_those_of_a_run_alone(run_together, generated_dataset, tmp_path):
    for method in METHODS:
        options = command(generated_dataset, method, tmp_path / method)
        if method == "whole":
            options = [one for one in options if one not in ("--device", "cpu")]
        assert main(options) == 0
        for name in ("predictions.jsonl", "heat_maps.jsonl", "drift.jsonl"):
            alone, together = (folder / method / "coco_gen" / name for folder in (tmp_path, run_together))
            assert alone.exists() == together.exists()
            if alone.exists():
                assert alone.read_bytes() == together.read_bytes()
        alone, together = (
            read_report(folder / method / "report.json") for folder in (tmp_path, run_together)
        )
        assert (alone.method, alone.parameters) == (together.method, together.parameters)
        assert alone.splits == together.splits
        assert together.environment.drifted == (None if method == "whole" else 0)
        assert together.environment.device == alone.environment.device
        assert (together.environment.images, together.environment.limit) == (alone.environment.images, None)
        assert together.environment.wall_seconds > 0


def test_each_image_is_generated_once(generated_dataset, tmp_path, generated):
    assert main(command(generated_dataset, "daam,daam-self,daam-mean", tmp_path)) == 0
    assert generated == [2, 2, 1]


def test_only_what_is_missing_is_done_again(run_together, generated_dataset, tmp_path, generated, capsys):
    shutil.copytree(run_together, tmp_path / "some")
    shutil.rmtree(tmp_path / "some" / "daam-self")
    predictions = tmp_path / "some" / "daam" / "coco_gen" / "predictions.jsonl"
    whole = predictions.read_bytes()
    predictions.write_bytes(b"".join(whole.splitlines(keepends=True)[:-4]))
    assert main(command(generated_dataset, "daam,daam-self,whole", tmp_path / "some")) == 0
    assert generated == [2, 2, 1]
    assert predictions.read_bytes() == whole
    said = capsys.readouterr().err
    for method, is_kept in (("daam", True), ("daam-self", False), ("whole", True)):
        output = tmp_path / "some" / method
        assert (f"note: what the run in {output} had done was kept" in said) == is_kept
        seconds = read_report(output / "report.json").environment.wall_seconds
        assert (seconds is None) == is_kept
    generated.clear()
    assert main(command(generated_dataset, "daam,daam-self,whole", tmp_path / "some")) == 0
    assert generated == []
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line in METHODS] == list(METHODS)


def test_each_method_is_made_once_and_a_fresh_run_has_no_note(tiny_dataset, tmp_path, capsys, monkeypatch):
    made = []
    original = BundleWorker.make

    def counted(names, *more):
        made.append(names)
        return original(names, *more)

    def made_again(*_):
        raise AssertionError

    monkeypatch.setattr(BundleWorker, "make", counted)
    monkeypatch.setattr(MethodWorker, "make", made_again)
    options = ["--dataset", str(tiny_dataset), "--output", str(tmp_path)]
    assert main(["--method", "whole, random,whole", *options]) == 0
    assert made == [("whole", "random")]
    assert "was kept" not in capsys.readouterr().err


def test_a_method_named_twice_is_one(tiny_dataset, tmp_path):
    options = ["--dataset", str(tiny_dataset), "--output", str(tmp_path)]
    assert main(["--method", "whole,whole", *options]) == 0
    assert read_report(tmp_path / "report.json").method == "whole"


def test_options_go_to_the_methods_that_have_them(generated_dataset, tmp_path, capsys):
    options = ("--seed", "3", "--option", "power=2", "--limit", "1")
    assert main(command(generated_dataset, "daam,daam-self,random", tmp_path / "out", *options)) == 0
    found = {
        name: read_report(tmp_path / "out" / name / "report.json").parameters
        for name in ("daam", "daam-self", "random")
    }
    assert found["daam-self"]["power"] == 2
    assert "power" not in found["daam"]
    assert [one["seed"] for one in found.values()] == [3, 3, 3]
    assert main(command(generated_dataset, "daam,whole", tmp_path, "--option", "power=2")) == 2
    assert "none of the methods daam, whole has an option 'power'" in capsys.readouterr().err


def test_an_unknown_method_among_them_is_said_before_anything_runs(generated_dataset, tmp_path, capsys):
    assert main(command(generated_dataset, "daam,daan", tmp_path / "out")) == 2
    assert "no method 'daan'; did you mean 'daam'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(run_together, generated_dataset, tmp_path):
    assert main(command(generated_dataset, ",".join(METHODS), tmp_path, "--workers", "2")) == 0
    files = sorted(run_together.glob("*/coco_gen/*.jsonl"))
    assert len(files) == 7
    for path in files:
        assert (tmp_path / path.relative_to(run_together)).read_bytes() == path.read_bytes()


def test_shards_are_of_one_method(generated_dataset, tmp_path, capsys):
    assert main(command(generated_dataset, "daam,whole", tmp_path / "out", "--shard", "1/2")) == 2
    assert "shards are of one method" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_each_method_took_is_told_batch_by_batch_and_once(generated_dataset, tmp_path):
    split = load_split(generated_dataset, "coco_gen")
    folders = [tmp_path / name for name in METHODS]
    told = []

    def done(batch, seconds):
        told.append(([query.id for query in batch], seconds))

    for _ in range(2):
        pool = InProcess(BundleWorker.make(METHODS, {name: {} for name in METHODS}, {"device": "cpu"}))
        segment_together(pool, split, folders, taus=(0.4,), batch_size=2, progress=False, done=done)
    assert [identifier for ids, _ in told for identifier in ids] == [example.id for example in split]
    for _, seconds in told:
        assert set(seconds) == set(METHODS)
        assert min(seconds.values()) > 0
