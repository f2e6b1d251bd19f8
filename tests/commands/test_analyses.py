"""`daam-bench layers` from the outside, with a tiny pipeline."""

import csv
import json
import os

import pytest
from PIL import Image

from daam_bench.analysis import layer_traces
from daam_bench.cli import main
from daam_bench.commands import analyses
from daam_bench.types.errors import InputError


@pytest.fixture(scope="module")
def output(generated_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    options = ["--split", "coco_gen,unreal_gen", "--bins", "2", "--limit", "3"]
    assert main(["layers", "--dataset", str(generated_dataset), *options, "--output", str(folder)]) == 0
    return folder


def test_every_part_of_every_split_has_a_row(output):
    with (output / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = [row["kind"] for row in rows if row["split"] == "unreal_gen"]
    assert kinds == ["all", *["layer"] * 7, "steps", "steps"]
    assert len(rows) == 2 * len(kinds)
    assert rows[1]["part"] == "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    assert rows[1]["resolution"] == "8x12"
    for row in rows:
        low, miou, high, share = (
            float(row[name]) for name in ("low", "miou_inf", "high", "start_token_share")
        )
        assert 0 <= low <= miou <= high <= 1
        assert 0 <= share <= 1


def test_the_report_says_how(output, generated_dataset):
    report = json.loads((output / "report.json").read_text())
    assert (report["analysis"], report["dataset"]) == ("layers", str(generated_dataset))
    assert (report["tau"], report["bins"]) == (0.4, 2)
    assert report["fingerprint"].keys() == {"coco_gen", "unreal_gen"}
    assert (report["environment"]["limit"], report["environment"]["drifted"]) == (3, 0)
    assert len(report["parts"]) == 2 * 10


def test_the_figure_comes_in_three_formats(output):
    with Image.open(output / "layers.png") as figure:
        assert len(figure.convert("L").getcolors()) > 10
    assert {path.suffix for path in output.glob("layers.*")} == {".csv", ".png", ".svg", ".pdf"}
    assert not list(output.glob(".*"))


def test_a_rank_takes_its_gpu_before_the_pipeline_is_loaded(tmp_path, capsys, monkeypatch):
    (tmp_path / "prompts.txt").write_text("a cat\n")
    ranks = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,7"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)

    def no_gpu_here(*_, **__):
        raise InputError(f"loading on GPU {os.environ['CUDA_VISIBLE_DEVICES']}")

    monkeypatch.setattr(analyses, "load_model", no_gpu_here)
    options = ["--prompts", str(tmp_path / "prompts.txt"), "--output", str(tmp_path / "out")]
    assert main(["pos", *options, "--shard", "auto"]) == 2
    assert "loading on GPU 7" in capsys.readouterr().err


def test_an_interrupted_run_says_how_it_resumes(generated_dataset, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(layer_traces, "trace_queries", interrupt)
    options = ["--split", "coco_gen", "--bins", "1", "--output", str(tmp_path / "out")]
    assert main(["layers", "--dataset", str(generated_dataset), *options]) == 130
    assert "the same command resumes" in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*.png"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tau", "1.5"], "tau is a share"),
        (["--bins", "3"], "--bins must lie between 1 and the 2 inference steps"),
        (["--batch-size", "0"], "batch size must be at least 1"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--dtype", "int8"], "unknown dtype"),
        (["--device", "toaster"], "device 'toaster' can't be used"),
        (["--split", "scenes"], "scenes"),
        (["--dataset", "/gone"], "no dataset '/gone'"),
        (["--split", "a,b,c,d,e,f,g,h"], "room for 7 splits"),
    ],
)
def test_bad_input_is_one_line(argv, message, generated_dataset, tmp_path, capsys):
    usual = ["--dataset", str(generated_dataset), "--split", "coco_gen", "--bins", "2"]
    assert main(["layers", *usual, *argv, "--output", str(tmp_path / "out")]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
    assert message in line
    assert not (tmp_path / "out").exists()
