"""`python -m daam_bench.run` from the outside: what it writes, its exit codes, its one line of error."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench import cli
from daam_bench import run as module
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.evaluation import evaluate
from daam_bench.run import Settings, default_output, main, run
from daam_bench.scoring.saved_report import read_report
from daam_bench.types.masks import decode
from tests.tiny_dataset import generated_example


def arguments(dataset: Path, output: Path, *more: str) -> list[str]:
    return ["--dataset", str(dataset), "--method", "whole", "--output", str(output), *more]


def error_of(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run, expect exit code 2, and return the one line on stderr."""
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert status == 2
    assert len(lines) == 1
    return lines[0]


def test_everything_is_written(tiny_dataset, tmp_path, capsys):
    assert main(arguments(tiny_dataset, tmp_path / "out")) == 0
    files = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert files == {
        "coco_gen/predictions.jsonl",
        "unreal_gen/predictions.jsonl",
        "report.json",
        "report.md",
        "pairs.csv",
        "pairs.png",
    }
    printed = capsys.readouterr().out
    assert "mIoU_80" in printed
    assert "coco_gen" in printed
    assert f"{tmp_path / 'out'}/: report.md, report.json, pairs.csv, pairs.png" in printed


def test_the_whole_image_scores_the_share_of_each_mask(tiny_dataset, tmp_path):
    main(arguments(tiny_dataset, tmp_path))
    report = read_report(tmp_path / "report.json")
    masks = [mask for example in load_split(tiny_dataset, "coco_gen") for mask in example.masks if mask]
    shares = [decode(mask).mean() for mask in masks]
    assert report.splits["coco_gen"]["none"].miou_inf == pytest.approx(np.mean(shares))
    with (tmp_path / "pairs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "coco_gen"]
    assert [float(row["iou"]) for row in rows] == pytest.approx(shares)


def test_the_report_tells_how_the_numbers_came_to_be(tiny_dataset, tmp_path):
    main(["--dataset", str(tiny_dataset), "--method", "random", "--seed", "3", "--output", str(tmp_path)])
    report = read_report(tmp_path / "report.json")
    assert (report.method, report.parameters) == ("random", {"seed": 3})
    assert report.dataset == str(tiny_dataset)
    assert report.fingerprint["coco_gen"] == load_split(tiny_dataset, "coco_gen").fingerprint
    assert report.environment.seeds == {"bootstrap": 0, "method": 3}
    assert report.environment.wall_seconds > 0
    assert report.environment.limit is None


def test_the_report_tells_what_the_method_says_of_itself(tiny_dataset, tmp_path):
    options = ["--method", "tests.segmenters.methods:Tuned", "--dataset", str(tiny_dataset)]
    assert main([*options, "--output", str(tmp_path / "run")]) == 0
    report = read_report(tmp_path / "run" / "report.json")
    assert (report.track, report.tuned_on) == ("tuned on masks", "dev")
    assert (report.environment.images, report.environment.denoiser_calls) == (10, "one a step")
    assert report.environment.seconds_per_image == report.environment.wall_seconds / 10
    page = (tmp_path / "run" / "report.md").read_text()
    assert "| tuned on | dev |" in page
    assert "| cost of an image | denoiser calls: one a step; " in page
    again = ["score", str(tmp_path / "run"), "--output", str(tmp_path / "again")]
    assert cli.main(again) == 0
    scored = read_report(tmp_path / "again" / "report.json")
    assert (scored.track, scored.tuned_on) == ("tuned on masks", "dev")


def test_a_method_that_says_nothing_of_itself_has_no_track(tiny_dataset, tmp_path):
    options = ["--method", "tests.segmenters.methods:Gradient", "--dataset", str(tiny_dataset)]
    assert main([*options, "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert (report.track, report.tuned_on, report.environment.denoiser_calls) == (None, None, None)


def test_an_unknown_track_is_told_in_one_line(tiny_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tests.segmenters.methods.Tuned.track", "fastest")
    options = ["--method", "tests.segmenters.methods:Tuned", "--dataset", str(tiny_dataset)]
    assert main([*options, "--output", str(tmp_path)]) == 2
    assert "says track = 'fastest'; a track is one of generator, other weights" in capsys.readouterr().err
    assert not (tmp_path / "coco_gen" / "predictions.jsonl").exists()


def test_a_second_run_changes_nothing_but_its_own_circumstances(tiny_dataset, tmp_path):
    main(arguments(tiny_dataset, tmp_path))
    first = json.loads((tmp_path / "report.json").read_text())
    main(arguments(tiny_dataset, tmp_path))
    second = json.loads((tmp_path / "report.json").read_text())
    assert second["environment"].pop("wall_seconds") is None
    first["environment"].pop("wall_seconds")
    assert first == second


def test_limit_scores_the_first_examples_alone(tiny_dataset, tmp_path):
    main(arguments(tiny_dataset, tmp_path, "--limit", "2"))
    report = read_report(tmp_path / "report.json")
    assert report.splits["coco_gen"]["none"].pairs_inf == 4
    assert report.splits["coco_gen"]["none"].coverage == 1
    assert report.environment.limit == 2
    assert report.partial


def test_a_soft_method_is_scored_at_every_tau(tiny_dataset, tmp_path):
    method = "tests.segmenters.methods:Gradient"
    options = ["--method", method, "--tau", "0.3,0.4", "--split", "unreal_gen", "--batch-size", "2"]
    main(["--dataset", str(tiny_dataset), "--output", str(tmp_path), *options])
    report = read_report(tmp_path / "report.json")
    assert list(report.splits) == ["unreal_gen"]
    assert list(report.splits["unreal_gen"]) == ["0.3", "0.4"]
    assert report.splits["unreal_gen"]["0.3"].average_precision is not None


def test_daam_draws_the_images_anew_and_says_whether_they_came_out_the_same(
    generated_dataset, tmp_path, capsys
):
    options = ["--dataset", str(generated_dataset), "--device", "cpu", "--batch-size", "2", "--limit", "3"]
    assert main([*options, "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert (report.method, report.environment.device, report.environment.drifted) == ("daam", "cpu", 0)
    assert list(report.splits["unreal_gen"]) == ["0.4"]
    assert "warning" not in capsys.readouterr().err


def test_images_that_came_out_different_are_warned_of(generated_dataset, tmp_path, capsys):
    examples = load_split(generated_dataset, "coco_gen").examples[:3]
    other_seeds = [replace(example, query=replace(example.query, seed=99)) for example in examples]
    write_dataset(tmp_path / "data", {"coco_gen": other_seeds}, "")
    options = ["--dataset", str(tmp_path / "data"), "--split", "coco_gen", "--device", "cpu"]
    assert main([*options, "--output", str(tmp_path / "out")]) == 0
    assert read_report(tmp_path / "out" / "report.json").environment.drifted == 3
    assert "warning: 3 images came out unlike the dataset's" in capsys.readouterr().err


def test_restart_overwrites(tiny_dataset, tmp_path, capsys):
    options = ["--dataset", str(tiny_dataset), "--method", "random", "--output", str(tmp_path)]
    main([*options, "--seed", "1"])
    capsys.readouterr()
    assert "--restart" in error_of(capsys, [*options, "--seed", "2"])
    assert main([*options, "--seed", "2", "--restart"]) == 0
    assert read_report(tmp_path / "report.json").parameters == {"seed": 2}


def test_the_contact_sheet_is_a_image(tiny_dataset, tmp_path):
    main(arguments(tiny_dataset, tmp_path))
    with Image.open(tmp_path / "pairs.png") as sheet:
        assert sheet.width > 1000
        assert len(set(sheet.convert("RGB").getdata())) > 20


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--method", "daan"], "did you mean 'daam'?"),
        (["--method", "nowhere:Class"], "needs the module 'nowhere'"),
        (["--tau", "1.2"], "argument --tau: tau is a share of the heat map's maximum in [0, 1], not 1.2"),
        (["--tau", "0.4,nan"], "in [0, 1], not nan"),
        (["--tau", "high"], "argument --tau: 'high': give numbers such as 0.3,0.4"),
        (["--tau", ""], "argument --tau: '': give numbers"),
        (["--split", "coco"], "no split 'coco' in"),
        (["--dataset", "./nowhere"], "no dataset './nowhere': no such folder"),
        (["--limit", "0"], "--limit must be at least 1 example, not 0"),
        (["--limit", "few"], "argument --limit: invalid int value: 'few'"),
        (["--batch-size", "0"], "the batch size must be at least 1"),
        (["--seed", "1"], "method 'whole' has no option 'seed'"),
        (["--method", "daam", "--device", "toaster"], "device 'toaster' can't be used here"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(tiny_dataset, tmp_path, capsys, options, expected):
    assert expected in error_of(capsys, arguments(tiny_dataset, tmp_path, *options))


def test_an_output_that_cannot_be_written(tiny_dataset, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "can't write" in error_of(capsys, arguments(tiny_dataset, tmp_path / "file"))


def test_a_split_without_any_pair_still_has_a_report(tmp_path):
    example = replace(generated_example("one", "cat", "dog"), masks=(None, None))
    write_dataset(tmp_path / "data", {"coco_gen": [example]}, "")
    assert main(arguments(tmp_path / "data", tmp_path / "out", "--split", "coco_gen")) == 0
    assert read_report(tmp_path / "out" / "report.json").splits["coco_gen"]["none"].miou_inf is None


def test_interrupted_it_exits_130_and_goes_on(tiny_dataset, tmp_path):
    command = [sys.executable, "-m", "daam_bench.run", "--dataset", str(tiny_dataset), "--batch-size", "1"]
    command += ["--method", "tests.segmenters.methods:Slow", "--output", str(tmp_path)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "SECONDS_A_BATCH": "60"},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore the signal, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    predictions = tmp_path / "coco_gen" / "predictions.jsonl"
    while not (predictions.exists() and predictions.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last == "interrupted; what was done is kept; the same command resumes where it stopped"
    assert "Traceback" not in errors
    kept = predictions.read_bytes()
    subprocess.run(command, env={**os.environ, "SECONDS_A_BATCH": "0"}, check=True, capture_output=True)
    assert predictions.read_bytes().startswith(kept)
    assert (tmp_path / "report.json").exists()


def test_a_fresh_run_reads_each_file_it_wrote_at_most_once(generated_dataset, tmp_path):
    count = (
        "import os, sys; from collections import Counter; read = Counter()\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).startswith(sys.argv[1]):\n"
        "        name = os.path.relpath(arguments[0], sys.argv[1])\n"
        "        if not arguments[2] & os.O_WRONLY: read[name] += 1\n"
        "sys.addaudithook(hook)\n"
        "from daam_bench.run import main; status = main(sys.argv[2:])\n"
        "import json; print(json.dumps(read)); sys.exit(status)"
    )
    options = ["--dataset", str(generated_dataset), "--method", "daam", "--device", "cpu", "--limit", "4"]
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            count,
            str(tmp_path),
            *options,
            "--batch-size",
            "2",
            "--output",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    read = json.loads(result.stdout.splitlines()[-1])
    names = ("predictions.jsonl", "heat_maps.jsonl", "drift.jsonl")
    ours = [f"{split}/{name}" for split in ("coco_gen", "unreal_gen") for name in names]
    assert all((tmp_path / name).exists() for name in ours)
    assert {name: read.get(name) for name in ours} == dict.fromkeys(ours, 1)


def test_help_loads_nothing_heavy():
    code = "import sys, daam_bench.run as run\ntry: run.main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "print(sorted({'torch', 'diffusers', 'transformers', 'datasets', 'pandas'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True, check=True)
    assert "--tau T,T,..." in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("dataset", "method", "limit", "expected"),
    [
        ("emoji", "daam", None, "results/emoji-daam"),
        ("someone/birds@v1", "daam", 5, "results/someone-birds-v1-daam-first5"),
    ],
)
def test_the_default_output(dataset, method, limit, expected):
    assert default_output(dataset, method, limit).as_posix() == expected


def test_the_default_output_for_a_folder_has_its_name(tiny_dataset):
    folder = f"{tiny_dataset}/../tiny/"
    assert default_output(folder, "my.package:Method").as_posix() == "results/tiny-my.package-Method"


def test_the_library_call_returns_the_report(tiny_dataset, tmp_path):
    settings = Settings(
        method="whole",
        options={},
        dataset=str(tiny_dataset),
        splits=("coco_gen",),
        taus=(0.4,),
        batch_size=module.DEFAULT_BATCH_SIZE,
        limit=None,
        output=tmp_path,
        progress=False,
    )
    assert run(settings) == read_report(tmp_path / "report.json")


def run_process(options: list[str], **settings) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "daam_bench.run", *options]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, check=False, **settings)


class TestFailingMethods:
    """The code of a method that raises, exits or misbehaves."""

    def options(self, dataset: Path, output: Path, name: str) -> list[str]:
        method = ["--method", f"tests.segmenters.methods:{name}", "--split", "coco_gen"]
        return ["--dataset", str(dataset), "--output", str(output), "--batch-size", "2", *method]

    @pytest.mark.parametrize(
        ("fails_by", "error"),
        [("bug", "ZeroDivisionError"), ("exit", "SystemExit"), ("file", "FileNotFoundError")],
    )
    def test_its_traceback_is_shown_with_what_was_kept_and_how_to_resume(
        self, tiny_dataset, tmp_path, capfd, monkeypatch, fails_by, error
    ):
        monkeypatch.setenv("FAILS_BY", fails_by)
        options = self.options(tiny_dataset, tmp_path, "Raising")
        assert main(options) == 1
        *before, last = capfd.readouterr().err.splitlines()
        assert "Traceback (most recent call last):" in before
        assert any("in segment" in line for line in before)
        assert last.startswith(f"error: method 'raising' failed: {error}")
        assert f"{tmp_path / 'coco_gen' / 'predictions.jsonl'} keeps 4 of 10 nouns" in last
        assert last.endswith("the same command resumes where it stopped")

    def test_it_resumes_from_there(self, tiny_dataset, tmp_path, monkeypatch):
        monkeypatch.setenv("FAILS_BY", "bug")
        options = self.options(tiny_dataset, tmp_path, "Raising")
        assert [main(options) for _ in range(3)] == [1, 1, 0]
        assert read_report(tmp_path / "report.json").splits["coco_gen"]["0.4"].coverage == 1

    def test_it_can_not_change_the_images_or_the_current_folder(self, tiny_dataset, tmp_path):
        split, folder = load_split(tiny_dataset, "coco_gen"), Path.cwd()
        before = [example.image.tobytes() for example in split]
        method = __import__("tests.segmenters.methods", fromlist=["Vandal"]).Vandal()
        evaluate(method, split)
        assert Path.cwd() == folder
        assert [example.image.tobytes() for example in split] == before

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("precomputed", "give --from ..."),
            ("tests.segmenters.methods:Needs", "give --option folder= ..., --from ..."),
            ("os:system", "give --option command= ..."),
            ("os:chdir", "give --option path= ..."),
            ("builtins:len", "its argument 'obj' has no name to give it by"),
            ("builtins:dict", "does not say its options"),
        ],
    )
    def test_what_can_not_be_made_is_one_line(self, tiny_dataset, tmp_path, capsys, method, expected):
        options = ["--dataset", str(tiny_dataset), "--method", method, "--output", str(tmp_path)]
        assert expected in error_of(capsys, options)


class TestOutput:
    """Where results go: one process at a time, and whatever the file system refuses is one line."""

    def test_a_second_run_is_refused_also_with_restart(self, tiny_dataset, tmp_path, capsys):
        from daam_bench.files.locks import locked

        main(arguments(tiny_dataset, tmp_path))
        before = (tmp_path / "coco_gen" / "predictions.jsonl").read_bytes()
        capsys.readouterr()
        with locked(tmp_path):
            for more in ([], ["--restart"]):
                message = error_of(capsys, arguments(tiny_dataset, tmp_path, *more))
                assert f"{tmp_path} is in use by process {os.getpid()}" in message
        assert (tmp_path / "coco_gen" / "predictions.jsonl").read_bytes() == before

    def test_a_run_that_came_to_nothing_is_no_obstacle_to_the_corrected_one(
        self, tiny_dataset, tmp_path, capsys
    ):
        first = ["--dataset", str(tiny_dataset), "--method", "random", "--output", str(tmp_path)]
        main([*first, "--seed", "1"])
        for path in tmp_path.glob("*/predictions.jsonl"):
            path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + b'{"id": "torn')
        assert main([*first, "--seed", "2"]) == 0
        assert read_report(tmp_path / "report.json").parameters == {"seed": 2}

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_stdout_is_one_line(self, tiny_dataset, tmp_path):
        with Path("/dev/full").open("w") as full:
            result = run_process(arguments(tiny_dataset, tmp_path), stdout=full)
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].startswith("error: can't read or write: No space left")
        assert "Traceback" not in result.stderr
        assert "Exception ignored" not in result.stderr

    def test_a_closed_stdout_is_one_line(self, tiny_dataset, tmp_path):
        command = [sys.executable, "-m", "daam_bench.run", *arguments(tiny_dataset, tmp_path)]
        closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
        result = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 2
        assert result.stderr.splitlines() == [
            "error: stdout is closed; send the output somewhere, such as to /dev/null"
        ]

    def test_a_closed_stderr_is_no_fault(self, tiny_dataset, tmp_path):
        command = [sys.executable, "-m", "daam_bench.run", *arguments(tiny_dataset, tmp_path)]
        closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
        assert subprocess.run(closed, stdout=subprocess.DEVNULL, check=False).returncode == 0
        assert (tmp_path / "report.json").exists()

    @pytest.mark.parametrize("size", [100, 700, 3000])
    def test_a_disk_that_fills_up_is_one_line_and_the_run_resumes(self, tiny_dataset, tmp_path, size):
        options = ["--dataset", str(tiny_dataset), "--method", "random", "--batch-size", "1"]
        # Above the limit of a file's size a write fails as on a full disk.
        limit = (
            "import resource, signal, sys; from daam_bench.run import main\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, -1)); sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", limit, *options, "--output", str(tmp_path / "out")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].startswith("error: can't write")
        assert "Traceback" not in result.stderr
        assert "Exception ignored" not in result.stderr
        assert main([*options, "--output", str(tmp_path / "out")]) == 0
        assert main([*options, "--output", str(tmp_path / "whole")]) == 0
        for split in ("coco_gen", "unreal_gen"):
            name = f"{split}/predictions.jsonl"
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    @pytest.mark.parametrize(
        "name", ["predictions.jsonl", "report.json", "report.md", "pairs.csv", "pairs.png"]
    )
    def test_an_output_file_that_is_a_folder_is_one_line(self, tiny_dataset, tmp_path, capsys, name):
        place = tmp_path / "coco_gen" / name if name == "predictions.jsonl" else tmp_path / name
        place.mkdir(parents=True)
        assert main(arguments(tiny_dataset, tmp_path)) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: can't")
        assert name in error

    @pytest.mark.parametrize("name", ["importlib.metadata", "numpy", "pyarrow", "matplotlib"])
    @pytest.mark.parametrize("entry", ["daam_bench", "daam_bench.run"])
    def test_interrupted_while_it_imports_something_it_shows_no_traceback(
        self, tiny_dataset, tmp_path, entry, name
    ):
        interrupt = (
            "import os, runpy, signal, sys\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            f"        if name == {name!r}: os.kill(os.getpid(), signal.SIGINT)\n"
            "sys.meta_path.insert(0, Finder())\n"
            f"runpy.run_module({entry!r}, run_name='__main__', alter_sys=True)"
        )
        run_it = ["run"] if entry == "daam_bench" else []
        command = [sys.executable, "-c", interrupt, *run_it, *arguments(tiny_dataset, tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 130
        assert "Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1].startswith("interrupted")


def test_a_limited_run_into_the_folder_of_a_full_one_is_told_so(tiny_dataset, tmp_path, capsys):
    assert main(arguments(tiny_dataset, tmp_path)) == 0
    before = (tmp_path / "report.json").read_bytes()
    capsys.readouterr()
    assert main(arguments(tiny_dataset, tmp_path, "--limit", "2")) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "predictions of more than the 2 examples of 'coco_gen'" in last
    assert last.endswith("leave --limit out, or give another --output")
    assert (tmp_path / "report.json").read_bytes() == before


def test_a_full_run_into_the_folder_of_a_limited_one_goes_on_and_says_so(tiny_dataset, tmp_path, capsys):
    assert main(arguments(tiny_dataset, tmp_path, "--limit", "2")) == 0
    capsys.readouterr()
    assert main(arguments(tiny_dataset, tmp_path)) == 0
    assert (
        f"note: what the run in {tmp_path} had done was kept; --restart begins it again"
        in capsys.readouterr().err
    )
    assert not read_report(tmp_path / "report.json").partial
    assert main(arguments(tiny_dataset, tmp_path / "whole")) == 0
    name = "coco_gen/predictions.jsonl"
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_dataset_without_masks_stops_before_anything_is_generated(tmp_path, capsys):
    example = generated_example("one", "cat", "dog")
    bare = replace(example, masks=(None, None), annotation=None)
    write_dataset(tmp_path / "data", {"coco_gen": [bare]}, "")
    options = arguments(tmp_path / "data", tmp_path / "out", "--split", "coco_gen")
    assert "no masks yet: daam-bench propose, or import" in error_of(capsys, options)
    assert not (tmp_path / "out").exists()
    write_dataset(
        tmp_path / "some", {"coco_gen": [bare, replace(example, query=replace(example.query, id="two"))]}, ""
    )
    assert main(arguments(tmp_path / "some", tmp_path / "out", "--split", "coco_gen", "--limit", "1")) == 0
