"""Shards: how they are named, what they must have in common, and what joining them says."""

import json
import multiprocessing

import pytest

from daam_bench.engine.shards import Shard, parse_shard, sharing, take_own_gpu
from daam_bench.files.locks import locked
from daam_bench.run import main
from daam_bench.types.errors import InputError

ARRAY = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "5"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (ARRAY, Shard(3, 3)),
        (ARRAY | {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_STEP": "2"}, Shard(3, 3)),
        (ARRAY | {"RANK": "0", "WORLD_SIZE": "1"}, Shard(3, 3)),
        ({"RANK": "0", "WORLD_SIZE": "2"}, Shard(1, 2)),
    ],
)
def test_auto_reads_slurm_and_torchrun(environment, expected):
    assert parse_shard("auto", environment) == expected


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("0/4", {}, "i from 1 to n"),
        ("5/4", {}, "i from 1 to n"),
        ("half", {}, "i/n"),
        ("auto", {}, "has neither"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is ''"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_ID": "9"}, "not numbered evenly"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_STEP": "2"}, "not numbered evenly"),
        ("auto", ARRAY | {"RANK": "0", "WORLD_SIZE": "2"}, "which is it"),
    ],
)
def test_what_names_no_shard_is_refused(text, environment, expected):
    with pytest.raises(InputError, match=expected):
        parse_shard(text, environment)


def test_a_local_rank_keeps_its_own_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-b,6")
    take_own_gpu({"LOCAL_RANK": "1"})
    import os

    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"


def arguments(dataset, output, *more, method="tests.segmenters.methods:Gradient"):
    options = ["--dataset", str(dataset), "--output", str(output), "--batch-size", "1", "--tau", "0.3,0.4"]
    return [*options, "--method", method, *more]


def assert_same(one, other, maps=True):
    for split in ("coco_gen", "unreal_gen"):
        for name in ("predictions.jsonl", "heat_maps.jsonl")[: 1 + maps]:
            assert (one / split / name).read_bytes() == (other / split / name).read_bytes()
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    assert reports[0]["splits"] == reports[1]["splits"]


def test_joined_shards_are_the_bytes_of_one_process(tiny_dataset, whole, tmp_path, caplog):
    for shard in ("3/3", "1/3", "2/3"):
        assert main(arguments(tiny_dataset, tmp_path, "--shard", shard)) == 0
        assert not (tmp_path / "report.json").exists()
    assert main(arguments(tiny_dataset, tmp_path)) == 0
    assert "lacks" not in caplog.text
    assert_same(whole, tmp_path)
    assert not (tmp_path / "shards").exists()
    # The time of the join is not that of the method.
    seconds = [
        json.loads((folder / "report.json").read_text())["environment"]["wall_seconds"]
        for folder in (whole, tmp_path)
    ]
    assert (seconds[0] > 0, seconds[1]) == (True, None)


def test_what_shards_lack_is_said_and_done(tiny_dataset, whole, tmp_path, caplog):
    main(arguments(tiny_dataset, tmp_path, "--shard", "1/3"))
    main(arguments(tiny_dataset, tmp_path, "--shard", "3/3"))
    torn = tmp_path / "shards" / "3-of-3" / "coco_gen" / "predictions.jsonl"
    torn.write_bytes(torn.read_bytes()[:-20])
    main(arguments(tiny_dataset, tmp_path))
    assert "shard 2/3 lacks 2 of its 2 batches of gradient on coco_gen" in caplog.text
    assert "shard 3/3 lacks 1 of its 1 batches of gradient on coco_gen" in caplog.text
    assert "shard 1/3" not in caplog.text
    assert_same(whole, tmp_path)


@pytest.mark.parametrize("fewer", [("--split", "coco_gen"), ("--limit", "2")])
def test_shards_of_more_than_is_joined_are_kept(fewer, tiny_dataset, whole, tmp_path, caplog):
    argv = arguments(tiny_dataset, tmp_path)
    for shard in ("1/2", "2/2"):
        assert main([*argv, "--shard", shard]) == 0
    assert main([*argv, *fewer]) == 0
    assert f"{tmp_path / 'shards'} is kept: the shards did more" in caplog.text
    caplog.clear()
    assert main(argv) == 0
    assert "lacks" not in caplog.text
    assert_same(whole, tmp_path)
    assert not (tmp_path / "shards").exists()


def test_a_dataset_may_be_spelled_otherwise(tiny_dataset, whole, tmp_path, caplog):
    assert main(arguments(tiny_dataset, tmp_path, "--shard", "1/2")) == 0
    assert main(arguments(f"{tiny_dataset}/", tmp_path, "--shard", "2/2")) == 0
    assert main(arguments(tiny_dataset, tmp_path)) == 0
    assert "lacks" not in caplog.text
    assert_same(whole, tmp_path)
    assert main(arguments(f"{tiny_dataset}/", tmp_path)) == 0
    assert_same(whole, tmp_path)


def test_a_shard_resumes(tiny_dataset, tmp_path):
    argv = arguments(tiny_dataset, tmp_path, "--shard", "1/2", "--split", "coco_gen")
    assert main(argv) == 0
    path = tmp_path / "shards" / "1-of-2" / "coco_gen" / "predictions.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert main(argv) == 0
    assert path.read_bytes() == content


def error_of(capsys, argv):
    capsys.readouterr()
    assert main(argv) == 2
    return capsys.readouterr().err


def test_shards_that_do_not_fit_are_refused(tiny_dataset, tmp_path, capsys):
    argv = arguments(tiny_dataset, tmp_path)
    main([*argv, "--shard", "1/2"])
    assert "--batch-size 1; give the same" in error_of(capsys, [*argv, "--batch-size", "2"])
    assert "other parameters" in error_of(capsys, [*argv, "--option", "gain=2.0"])
    assert "batch_size is 2, not 1" in error_of(capsys, [*argv, "--shard", "1/2", "--batch-size", "2"])
    record = tmp_path / "shards" / "1-of-2" / "shard.json"
    record.write_text(record.read_text().replace('"torch": "', '"torch": "0'))
    assert "torch is" in error_of(capsys, argv)
    main([*argv, "--shard", "1/3"])
    assert "parts of several jobs" in error_of(capsys, argv)
    assert main([*argv, "--restart"]) == 0
    assert not (tmp_path / "shards").exists()


def test_shards_at_work_are_not_joined(tiny_dataset, tmp_path):
    main(arguments(tiny_dataset, tmp_path, "--shard", "1/2"))
    context = multiprocessing.get_context("spawn")
    holding, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "shards" / "1-of-2", holding, done))
    other.start()
    try:
        assert holding.wait(60)
        with (
            pytest.raises(InputError, match=f"1-of-2 is in use by process {other.pid}"),
            sharing(None, tmp_path, 1),
        ):
            pass
    finally:
        done.set()
        other.join()


def hold(folder, holding, done):
    with locked(folder):
        holding.set()
        done.wait(60)
