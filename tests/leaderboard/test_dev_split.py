"""The split to choose settings on runs and scores like any other, and is refused by the leaderboard."""

import shutil

import pytest

from daam_bench import evaluate, load_split
from daam_bench.cli import main
from daam_bench.datasets.write import write_dataset
from daam_bench.scoring.saved_report import read_report
from tests.leaderboard.packed import members_of, pack_run, write_folder, write_zip
from tests.segmenters.methods import Gradient
from tests.tiny_dataset import generated_example

METHOD = "tests.segmenters.methods:Gradient"
REFUSED = "is the split to choose settings on, which the leaderboard never scores"


@pytest.fixture
def dataset(tiny_dataset, tmp_path):
    """The tiny dataset with a split `dev`."""
    splits = {name: load_split(tiny_dataset, name).examples for name in ("coco_gen", "unreal_gen")}
    dev = [generated_example(f"dev-{index}", *pair) for index, pair in enumerate((("cat", "sun"),) * 3)]
    write_dataset(tmp_path / "data", {**splits, "dev": dev}, "# With a development split\n")
    return tmp_path / "data"


@pytest.fixture
def run(dataset, tmp_path):
    """The output folder of a method over `dev`."""
    options = ["--split", "dev", "--tau", "0.3,0.4", "--dataset", str(dataset)]
    assert main(["run", "--method", METHOD, *options, "--output", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def one_line(capsys):
    """The one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_run_score_and_evaluate_give_the_same_scores(run, dataset, tmp_path):
    report = read_report(run / "report.json")
    assert list(report.splits) == ["dev"]
    scores = evaluate(Gradient(), load_split(dataset, "dev"), tau=(0.3, 0.4))
    assert report.splits["dev"] == dict(scores)
    again = ["score", str(run), "--dataset", str(dataset), "--output", str(tmp_path / "again")]
    assert main(again) == 0
    assert read_report(tmp_path / "again" / "report.json").splits == report.splits


def test_a_run_over_dev_is_not_packed(run, dataset, tmp_path, capsys):
    capsys.readouterr()
    assert pack_run(dataset, run, tmp_path / "x.zip") == 2
    assert f"{run / 'dev'} {REFUSED}" in one_line(capsys)
    assert not (tmp_path / "x.zip").exists()


def test_nor_is_one_over_all_splits(soft_run, run, dataset, tmp_path, capsys):
    shutil.copytree(soft_run, tmp_path / "all")
    shutil.copytree(run / "dev", tmp_path / "all" / "dev")
    capsys.readouterr()
    assert pack_run(dataset, tmp_path / "all", tmp_path / "x.zip") == 2
    assert REFUSED in one_line(capsys)


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_a_submission_with_it_is_refused(write, soft_zip, run, dataset, tmp_path, capsys):
    members = members_of(soft_zip)
    members["dev/predictions.jsonl"] = (run / "dev" / "predictions.jsonl").read_bytes()
    submission = write(tmp_path / "submission", members)
    entries = ["--entries", str(tmp_path / "entries"), "--dataset", str(dataset)]
    capsys.readouterr()
    assert main(["submit", "accept", str(submission), *entries]) == 2
    said = capsys.readouterr()
    assert REFUSED in said.out + said.err
    assert not (tmp_path / "entries").exists()


def test_it_verifies_nothing(soft_zip, dataset, tiny_dataset, tmp_path, capsys):
    entries = ["--entries", str(tmp_path / "entries")]
    assert main(["submit", "accept", str(soft_zip), *entries, "--dataset", str(tiny_dataset)]) == 0
    write_dataset(tmp_path / "only", {"dev": load_split(dataset, "dev").examples}, "# Dev\n")
    capsys.readouterr()
    options = ["--method", METHOD, "--dataset", str(tmp_path / "only")]
    assert main(["leaderboard", "verify", "gradient", *entries, *options]) == 2
    assert "holds dev, which is public; make a fresh dataset" in one_line(capsys)
