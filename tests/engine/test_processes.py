"""Several processes: the same bytes, whoever dies; and nobody is left over."""

import os
import signal
import subprocess
import sys
import time

import pytest

from daam_bench.console import Parser, add_engine, engine_of
from daam_bench.engine import Local
from daam_bench.engine.choice import choose_engine
from daam_bench.engine.processes import Processes
from daam_bench.run import main
from daam_bench.types.errors import InputError
from tests.engine.test_shards import arguments, assert_same, error_of

TWO = ("--workers", "2", "--threads", "1")


def test_two_processes_write_the_bytes_of_one(tiny_dataset, whole, tmp_path, capsys):
    assert main(arguments(tiny_dataset, tmp_path, *TWO)) == 0
    assert_same(whole, tmp_path)
    bar = capsys.readouterr().err
    assert "2 workers" in bar or "1 worker" in bar
    assert "image/s" in bar


@pytest.mark.parametrize("method", ["Deadly", "Torn"])
def test_a_worker_that_is_killed_changes_no_byte(method, tiny_dataset, tmp_path, caplog):
    outputs = []
    for kills in (0, 2):
        (tmp_path / f"kills{kills}").mkdir()
        for number in range(kills):
            (tmp_path / f"kills{kills}" / str(number)).touch()
        outputs.append(tmp_path / f"out{kills}")
        more = ["--option", "example=coco-2", "--option", f"folder={tmp_path / f'kills{kills}'}"]
        named = f"tests.engine.deadly:{method}"
        assert main(arguments(tiny_dataset, outputs[-1], *more, *TWO, method=named)) == 0
    assert_same(*outputs)
    assert caplog.text.count("the batch of 'coco-2' goes to another") == 2


def test_a_batch_that_kills_three_workers_is_one_line(tiny_dataset, tmp_path, capsys):
    (tmp_path / "kills").mkdir()
    for number in range(9):
        (tmp_path / "kills" / str(number)).touch()
    more = ["--option", "example=coco-2", "--option", f"folder={tmp_path / 'kills'}"]
    argv = arguments(tiny_dataset, tmp_path / "out", *more, *TWO, method="tests.engine.deadly:Deadly")
    assert "the batch of 'coco-2' killed 3 workers" in error_of(capsys, argv)


def test_workers_that_are_not_alike_are_refused(tiny_dataset, tmp_path, capsys):
    argv = arguments(tiny_dataset, tmp_path, *TWO, method="tests.engine.deadly:Unlike")
    assert "parameters is {'gain'" in error_of(capsys, argv)


def test_a_fault_of_the_method_has_its_traceback(tiny_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FAILS_BY", "bug")
    argv = arguments(tiny_dataset, tmp_path, *TWO, method="tests.segmenters.methods:Raising")
    assert main(argv) == 1
    printed = capsys.readouterr().err
    assert "ZeroDivisionError" in printed
    assert "return 1 // 0" in printed
    assert "keeps" in printed


def test_warnings_of_workers_are_said_once_and_in_order(tiny_dataset, tmp_path, caplog):
    argv = arguments(
        tiny_dataset, tmp_path, *TWO, "--split", "coco_gen", method="tests.engine.deadly:Warning"
    )
    assert main(argv) == 0
    said = [record.getMessage() for record in caplog.records]
    assert said.count("split coco_gen has 5 images") == 1
    assert [text for text in said if text.startswith("image")] == [
        f"image coco-{number}" for number in range(5)
    ]


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def test_nothing_is_said_after_the_end(tiny_dataset, tmp_path):
    argv = arguments(tiny_dataset, tmp_path, *TWO, method="tests.engine.deadly:Barred")
    ended = subprocess.run(
        [sys.executable, "-m", "daam_bench.run", *argv], capture_output=True, text=True, check=True
    )
    assert " worker" in ended.stderr
    assert "leaked" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_no_worker_outlives_a_driver_that_is_killed(tiny_dataset, tmp_path):
    argv = arguments(tiny_dataset, tmp_path, *TWO, method="tests.segmenters.methods:Slow")
    driver = subprocess.Popen(
        [sys.executable, "-m", "daam_bench.run", *argv],
        env={**os.environ, "SECONDS_A_BATCH": "60"},
        stderr=subprocess.DEVNULL,
    )
    predictions = tmp_path / "coco_gen" / "predictions.jsonl"
    deadline = time.monotonic() + 120
    while not (predictions.exists() and predictions.read_bytes().count(b"\n") > 1):
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = children(driver.pid)
    assert len(workers) >= 2
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 20
    while any(map(_is_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def environment_of(item):
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    return item[0], {name: os.environ.get(name) for name in names}


class Telling:
    about = {}  # noqa: RUF012

    def __call__(self, item):
        time.sleep(0.2)
        return environment_of(item)


def test_each_process_has_its_gpu_and_its_threads():
    class Item(tuple):
        __slots__ = ()

    with Processes(2, ("3", "GPU-b"), threads=3).start(Telling) as pool:
        found = dict(pool.map([(number,) for number in range(8)]))
    assert {one["CUDA_VISIBLE_DEVICES"] for one in found.values()} == {"3", "GPU-b"}
    assert {one["OMP_NUM_THREADS"] for one in found.values()} == {"3"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"workers": "2", "device": "cuda:1"}, "--device cuda:1 is one GPU"),
        ({"workers": "1", "engine": "ray", "device": "cuda:0"}, "--device cuda:0 is one GPU"),
        ({"workers": "0"}, "at least 1"),
        ({"workers": "many"}, "a number of at least 1, or auto"),
        ({"workers": "2", "threads": 0}, "--threads"),
        ({"workers": "2", "address": "head:6379"}, "--address goes with --engine ray"),
        ({"workers": "1", "gpus": 0.5}, "--gpus goes with --engine ray"),
        ({"workers": "1", "engine": "ray", "gpus": 1.5}, "--gpus must be a fraction"),
    ],
)
def test_options_that_do_not_go_together(options, expected):
    with pytest.raises(InputError, match=expected):
        choose_engine(**options)


def test_auto_is_a_worker_for_each_gpu(monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,5")
    engine = choose_engine(workers="auto")
    assert (engine._workers, engine._gpus) == (3, ("0", "2", "5"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert isinstance(choose_engine(workers="auto"), Local)
    assert "there is none here" in caplog.text


@pytest.mark.parametrize(("options", "workers"), [([], None), (["--workers", "1"], 1)])
def test_a_cluster_is_filled_unless_told_otherwise(options, workers):
    parser = Parser()
    add_engine(parser)
    engine = engine_of(parser.parse_args(["--engine", "ray", "--gpus", "0", *options]), None)
    assert engine._workers == workers
    assert engine_of(parser.parse_args([]), None) is None
    assert isinstance(engine_of(parser.parse_args(["--workers", "1"]), None), Local)


def test_an_executed_batch_needs_no_image_that_was_not_asked_for(tiny_dataset):
    import pickle

    from daam_bench.datasets.load import load_split
    from daam_bench.engine.travel import packed

    query = load_split(tiny_dataset, "coco_gen").queries()[0]
    travelled = pickle.loads(packed([query]))[0]
    assert query.image.fp is not None, "it was decoded only to be sent"
    assert travelled.image.tobytes() == query.image.tobytes()
