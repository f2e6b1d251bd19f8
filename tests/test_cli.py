"""The console command `daam-bench`."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench import __version__
from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.scoring.saved_report import read_report
from daam_bench.types import Annotation


@pytest.fixture(scope="module")
def outputs(tiny_dataset, tmp_path_factory) -> Path:
    """A folder with the outputs of three methods: "whole", "random" and the soft "gradient"."""
    folder = tmp_path_factory.mktemp("outputs")
    for name, method in {
        "whole": "whole",
        "random": "random",
        "gradient": "tests.segmenters.methods:Gradient",
    }.items():
        options = ["--dataset", str(tiny_dataset), "--method", method, "--tau", "0.3,0.4"]
        assert main(["run", *options, "--output", str(folder / name)]) == 0
    return folder


def error_of(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run, expect exit code 2, and return the one line on stderr."""
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(lines) == 1
    return lines[0]


def test_score_prints_what_the_run_reported(outputs, tmp_path, capsys):
    assert main(["score", str(outputs / "gradient"), "--output", str(tmp_path)]) == 0
    again, first = read_report(tmp_path / "report.json"), read_report(outputs / "gradient" / "report.json")
    assert again.splits == first.splits
    assert again.parameters == first.parameters
    assert (tmp_path / "pairs.csv").read_bytes() == (outputs / "gradient" / "pairs.csv").read_bytes()
    assert "coco_gen" in capsys.readouterr().out


def test_a_run_that_is_scored_again_in_its_place_keeps_what_is_known_of_it(outputs, tmp_path, capsys):
    run = Path(shutil.copytree(outputs / "random", tmp_path / "run"))
    before = read_report(run / "report.json").environment
    assert before.wall_seconds is not None
    assert main(["score", str(run), "--output", str(run)]) == 0
    assert read_report(run / "report.json").environment == before
    files = [str(run / name / "predictions.jsonl") for name in ("coco_gen", "unreal_gen")]
    assert main(["score", *files, "--output", str(run)]) == 0
    assert read_report(run / "report.json").environment == before
    capsys.readouterr()
    line = error_of(capsys, ["score", files[0], "--output", str(run)])
    assert "holds the report of a run over coco_gen, unreal_gen" in line
    assert read_report(run / "report.json").environment == before


def test_files_of_one_dataset_in_two_spellings_are_scored_together(outputs, tiny_dataset, tmp_path):
    run = Path(shutil.copytree(outputs / "whole", tmp_path / "run"))
    path = run / "unreal_gen" / "predictions.jsonl"
    path.write_text(path.read_text().replace(str(tiny_dataset), f"{tiny_dataset}/"))
    assert main(["score", str(run)]) == 0


def test_run_and_score_say_which_masks_are_proposals(tiny_dataset, tmp_path, capsys):
    split = load_split(tiny_dataset, "coco_gen")
    annotation = Annotation("annotator", "proposal: not looked at", "2026-01-31")
    examples = [replace(example, annotation=annotation) for example in split.examples]
    write_dataset(tmp_path / "data", {"coco_gen": examples}, "")
    options = ["--dataset", str(tmp_path / "data"), "--split", "coco_gen", "--method", "whole"]
    for command in (["run", *options, "--output", str(tmp_path / "out")], ["score", str(tmp_path / "out")]):
        assert main(command) == 0
        assert "nobody has checked yet: coco_gen (5 of 5 images, by annotator)" in capsys.readouterr().err


def test_score_takes_single_files(outputs, capsys):
    assert main(["score", str(outputs / "whole" / "coco_gen" / "predictions.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert "coco_gen" in printed
    assert "unreal_gen" not in printed


def test_score_finds_a_dataset_that_moved(outputs, tiny_dataset, tmp_path, capsys):
    moved = shutil.copytree(tiny_dataset, tmp_path / "moved")
    output = shutil.copytree(outputs / "whole", tmp_path / "output")
    for path in output.glob("*/predictions.jsonl"):
        path.write_text(path.read_text().replace(str(tiny_dataset), "/gone"))
    assert "no dataset '/gone'" in error_of(capsys, ["score", str(output)])
    assert main(["score", str(output), "--dataset", str(moved)]) == 0


def test_score_refuses_two_methods_at_once(outputs, capsys):
    files = [str(outputs / name / "coco_gen" / "predictions.jsonl") for name in ("whole", "random")]
    assert "score them one by one" in error_of(capsys, ["score", *files])


def test_score_of_what_is_no_output(tmp_path, capsys):
    assert "no predictions.jsonl in" in error_of(capsys, ["score", str(tmp_path)])
    assert "can't read" in error_of(capsys, ["score", str(tmp_path / "gone.jsonl")])


def test_compare_with_itself_is_zero(outputs, capsys):
    assert main(["compare", str(outputs / "whole"), str(outputs / "whole")]) == 0
    assert "mIoU_inf +0.0 [+0.0, +0.0]" in capsys.readouterr().out


def test_compare_is_a_minus_b_on_every_split(outputs, capsys):
    assert main(["compare", str(outputs / "whole"), str(outputs / "random")]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["coco_gen", "unreal_gen"]
    reports = [read_report(outputs / name / "report.json") for name in ("whole", "random")]
    for line, split in zip(lines, ("coco_gen", "unreal_gen"), strict=True):
        expected = 100 * (
            reports[0].splits[split]["none"].miou_inf - reports[1].splits[split]["none"].miou_inf
        )
        assert f"mIoU_inf {expected:+.1f} [" in line


def test_compare_a_soft_method_with_a_hard_one_at_every_tau_or_one(outputs, capsys):
    both = [str(outputs / "gradient"), str(outputs / "whole")]
    assert main(["compare", *both]) == 0
    assert capsys.readouterr().out.count("tau 0.3 and none") == 2
    assert main(["compare", *both, "--tau", "0.4"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("tau 0.4 and none") == 2
    assert "0.3" not in printed
    assert "no scores at tau '0.9'" in error_of(capsys, ["compare", *both, "--tau", "0.9"])


@pytest.mark.parametrize("tau", ["0.5", "banana"])
def test_compare_has_no_other_tau_than_it_is_told(tau, tiny_dataset, tmp_path, capsys):
    method = "tests.segmenters.methods:Gradient"
    options = ["--dataset", str(tiny_dataset), "--split", "coco_gen", "--method", method, "--tau", "0.4"]
    assert main(["run", *options, "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    line = error_of(capsys, ["compare", str(tmp_path), str(tmp_path), "--tau", tau])
    assert f"no scores at tau {tau!r}; choose from 0.4" in line
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 0
    assert "tau 0.4 and 0.4" in capsys.readouterr().out


def test_compare_says_first_that_the_taus_differ(outputs, capsys):
    assert main(["compare", str(outputs / "gradient"), str(outputs / "whole")]) == 0
    assert "coco_gen: A and B are not at the same taus (0.3, 0.4 and hard masks)" in capsys.readouterr().err
    assert main(["compare", str(outputs / "gradient"), str(outputs / "whole"), "--tau", "0.4"]) == 0
    assert "same taus" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run", "--tau", "0.3", "0.5"], "commas between them, such as 0.3,0.5"),
        (["show", "a", "cat", "on", "grass"], "put quotes around"),
        (["show", "a cat", "--toa", "0.4"], "unrecognized arguments: --toa 0.4 (see"),
    ],
)
def test_words_that_no_option_takes_get_a_hint(words, hint, capsys):
    assert hint in error_of(capsys, words)


def test_the_command_alone_prints_help(capsys):
    assert main([]) == 0
    assert "compare" in capsys.readouterr().out


def test_a_mistyped_split_gets_a_hint(tiny_dataset, tmp_path, capsys):
    options = ["--dataset", str(tiny_dataset), "--method", "whole", "--output", str(tmp_path / "out")]
    assert "did you mean 'coco_gen'?" in error_of(capsys, ["run", *options, "--split", "coco-gen"])


def test_compare_needs_a_split_in_common(outputs, capsys):
    files = [
        str(outputs / name / split / "predictions.jsonl")
        for name, split in (("whole", "coco_gen"), ("random", "unreal_gen"))
    ]
    assert "no split in common" in error_of(capsys, ["compare", *files])


def test_swap_prints_one_prompt_a_line(tmp_path, capsys):
    captions = ["A cat on a red bench.", "", "Three mice and an apple in the snow"]
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    assert main(["swap", str(tmp_path / "captions.txt"), "--seed", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(("A ", "An "))
    assert " on a red " in first
    assert second.startswith("Three ")
    assert second.endswith(" in the snow")
    assert sum(word in first + second for word in ("cat", "bench", "mouse", "mice", "apple")) == 4
    assert "cat on" not in first
    assert "mice" not in second.split(" and ")[0]


def test_swap_of_what_holds_no_captions(tmp_path, capsys):
    (tmp_path / "captions.txt").write_text("and so on")
    assert "has no countable noun" in error_of(capsys, ["swap", str(tmp_path / "captions.txt")])
    assert "no such file" in error_of(capsys, ["swap", str(tmp_path)])
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    assert "is no UTF-8 text" in error_of(capsys, ["swap", str(tmp_path / "bytes")])


def test_an_unknown_command(capsys):
    assert "invalid choice: 'frobnicate'" in error_of(capsys, ["frobnicate"])


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"daam-bench {__version__}\n"


def test_python_m_daam_bench_is_the_same_command():
    result = subprocess.run(
        [sys.executable, "-m", "daam_bench", "methods"], capture_output=True, text=True, check=True
    )
    assert "  random: Makes every pixel true" in result.stdout


@pytest.mark.parametrize(
    "code", ["import daam_bench", "import daam_bench.cli as c; c.build_parser().format_help()"]
)
def test_import_and_help_load_nothing_heavy(code):
    heavy = (
        "import sys; print({'torch', 'diffusers', 'datasets', 'pandas', 'numpy', 'PIL'} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{heavy}"], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def test_a_reader_who_has_enough_is_no_error():
    command = f"{sys.executable} -m daam_bench methods | head -c 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (result.returncode, len(result.stdout), result.stderr) == (0, 1, "")


def test_output_that_nobody_reads_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "daam_bench", "methods"]
    with os.fdopen(writing, "w") as closed:
        result = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["score", "--help"], ["--version"], ["methods"]])
def test_a_full_output_is_one_line(command):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "daam_bench", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=buffered,
        )
    assert result.returncode == 2
    assert result.stderr == (
        "error: can't read or write: No space left on device; give another place, or make room\n"
    )


@pytest.mark.parametrize("entry", ["daam_bench", "daam_bench.run"])
@pytest.mark.parametrize("name", ["argparse", "dataclasses", "gettext", "shutil"])
def test_interrupted_while_it_starts_it_shows_no_traceback(entry, name):
    """Of what is imported first, and while the command line is read."""
    code = (
        "import os, runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.modules.pop({name!r}, None)\n"
        "class Finder:\n"
        "    def find_spec(self, wanted, path=None, target=None):\n"
        f"        if wanted == {name!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"runpy.run_module({entry!r}, run_name='__main__', alter_sys=True)"
    )
    result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")


class TestPartial:
    """Predictions of a limited run: refused, or scored with --partial and marked."""

    @pytest.fixture(scope="class")
    def limited(self, tiny_dataset, tmp_path_factory):
        folder = tmp_path_factory.mktemp("limited") / "whole"
        options = ["--dataset", str(tiny_dataset), "--method", "whole", "--limit", "2"]
        assert main(["run", *options, "--output", str(folder)]) == 0
        return folder

    def test_score_refuses_them_with_the_count_and_the_first_ids(self, limited, capsys):
        message = error_of(capsys, ["score", str(limited)])
        assert "6 of 10 nouns of 'coco_gen' were never asked (ids 'coco-2', 'coco-3', 'coco-4')" in message
        assert "--partial" in message

    def test_score_with_partial_prints_what_the_run_printed(self, limited, tiny_dataset, tmp_path, capsys):
        options = ["--dataset", str(tiny_dataset), "--method", "whole", "--limit", "2"]
        assert main(["run", *options, "--output", str(tmp_path / "run")]) == 0
        printed = capsys.readouterr().out.split("\n\n")[0]
        assert main(["score", str(limited), "--partial", "--output", str(tmp_path)]) == 0
        assert capsys.readouterr().out.split("\n\n")[0] == printed
        head, *rows = printed.splitlines()
        assert head.endswith("partial")
        assert all(row.endswith("partial") for row in rows)
        report = read_report(tmp_path / "report.json")
        assert report.partial
        assert report.splits == read_report(limited / "report.json").splits
        assert "**Partial: scored over a part of the nouns" in (tmp_path / "report.md").read_text()

    def test_a_full_run_is_not_compared_with_a_limited_one(self, limited, outputs, capsys):
        both = [str(outputs / "random"), str(limited)]
        assert "never asked" in error_of(capsys, ["compare", *both])
        assert "on the same examples" in error_of(capsys, ["compare", *both, "--partial"])

    def test_limited_runs_are_compared_and_marked(self, limited, capsys):
        assert main(["compare", str(limited), str(limited), "--partial"]) == 0
        _, *lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert all(line.endswith("+0.0 [+0.0, +0.0]  partial") for line in lines)

    def test_a_full_run_is_not_partial_whatever_is_asked(self, outputs, tmp_path, capsys):
        assert main(["score", str(outputs / "whole"), "--partial", "--output", str(tmp_path)]) == 0
        assert not read_report(tmp_path / "report.json").partial
        assert "partial" not in capsys.readouterr().out.splitlines()[0]

    def test_table_with_partial_runs_nothing_and_marks_its_rows(self, limited, tiny_dataset, capsys):
        before = (limited / "coco_gen" / "predictions.jsonl").read_bytes()
        options = ["table", "--dataset", str(tiny_dataset), "--output", str(limited.parent), "--partial"]
        assert main([*options, "--methods", "whole,random"]) == 0
        printed = capsys.readouterr()
        assert "Whole image (partial)" in printed.out
        assert "the table is without random: can't read" in printed.err
        assert (limited / "coco_gen" / "predictions.jsonl").read_bytes() == before
        assert "Whole image (partial)" in (limited.parent / "table.csv").read_text()


def test_predictions_of_format_1_are_refused_in_one_line(outputs, tmp_path, capsys):
    path = tmp_path / "predictions.jsonl"
    old = (outputs / "whole" / "coco_gen" / "predictions.jsonl").read_text()
    path.write_text(old.replace('{"daam_bench":2', '{"daam_bench":1', 1))
    assert "line 1: format 1, not the 2 that is read; make it again" in error_of(capsys, ["score", str(path)])


def test_intervals_over_few_images_are_said_to_be_too_narrow(outputs, capsys):
    few = (
        "an interval over fewer than 30 images is too narrow: coco_gen (5 images for mIoU_80, 5 for mIoU_inf)"
    )
    for command in (["score", str(outputs / "whole")], ["compare", *[str(outputs / "whole")] * 2]):
        assert main(command) == 0
        assert few in capsys.readouterr().err
    assert few.removeprefix("an") in (outputs / "whole" / "report.md").read_text()
