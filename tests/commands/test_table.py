"""`daam-bench table` from the outside."""

import csv

import pytest
from PIL import Image

from daam_bench.cli import main
from daam_bench.job import Settings, run
from tests.tiny_dataset import make_dataset


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "data")


def table(dataset, output, methods, *more):
    return main(["table", "--dataset", str(dataset), "--output", str(output), "--methods", methods, *more])


def test_the_table_holds_what_each_run_scores_by_itself(dataset, tmp_path):
    output = tmp_path / "table"
    assert table(dataset, output, "whole,random") == 0
    with (output / "table.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["Whole image", "Random 50 %", "Perfect detector of COCO's classes"]
    alone = run(
        Settings(
            method="whole",
            options={},
            dataset=str(dataset),
            splits=("coco_gen", "unreal_gen"),
            taus=(0.4,),
            batch_size=2,
            limit=None,
            output=tmp_path / "alone",
            progress=False,
        )
    )
    for split in ("coco_gen", "unreal_gen"):
        scores = alone.splits[split]["none"]
        row = rows["Whole image"]
        assert float(row[f"{split}_miou_80"]) == scores.miou_80
        assert float(row[f"{split}_miou_inf_low"]) == scores.ci95_inf[0]


def test_the_figure_comes_in_three_formats(dataset, tmp_path):
    assert table(dataset, tmp_path / "table", "whole") == 0
    with Image.open(tmp_path / "table" / "table.png") as figure:
        assert len(figure.convert("L").getcolors()) > 10
    assert (tmp_path / "table" / "table.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "table" / "table.svg").read_text()


def test_a_method_that_cannot_run_is_told_and_left_out(dataset, tmp_path, capsys):
    assert table(dataset, tmp_path / "table", "whole,nosuch") == 0
    assert "the table is without nosuch: no method 'nosuch'" in capsys.readouterr().err
    assert "Whole image" in (tmp_path / "table" / "table.md").read_text()


def test_no_method_at_all_is_an_error(dataset, tmp_path, capsys):
    assert table(dataset, tmp_path / "table", "nosuch") == 2
    assert "none of the methods could run" in capsys.readouterr().err
    assert not (tmp_path / "table").exists()


def test_it_goes_on_where_it_stopped(dataset, tmp_path):
    output = tmp_path / "table"
    table(dataset, output, "random")
    predictions = output / "random" / "coco_gen" / "predictions.jsonl"
    whole = predictions.read_bytes()
    predictions.write_bytes(whole[: len(whole) * 2 // 3])
    before = scores_of(output)
    assert table(dataset, output, "random") == 0
    assert sorted(predictions.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert scores_of(output) == before


def scores_of(output):
    """The rows of the table, without the wall-clock time, which a run that was resumed does not know."""
    with (output / "table.csv").open(newline="") as file:
        return [{**row, "seconds_per_image": None} for row in csv.DictReader(file)]
