"""`daam-bench agreement` from the outside."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.figures.panels import OTHER, PREDICTED
from daam_bench.types.masks import decode, encode


@pytest.fixture
def second(tiny_dataset, tmp_path):
    """The tiny dataset's first three images of `coco_gen` annotated again, a pixel further to the right."""
    examples = []
    for example in load_split(tiny_dataset, "coco_gen").examples[:3]:
        masks = [mask and encode(np.roll(decode(mask), 1, axis=1)) for mask in example.masks]
        examples.append(replace(example, masks=tuple(masks)))
    write_dataset(tmp_path / "second", {"coco_gen": examples}, "")
    return tmp_path / "second"


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["agreement", *argv]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_figures_table_and_image(tiny_dataset, second, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["agreement", str(tiny_dataset), str(second), "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "coco_gen  3 images, 6 nouns" in printed
    assert "unreal_gen" not in printed
    assert "both 5, only A 0, only B 0, neither 1" in printed
    record = json.loads((output / "agreement.json").read_text())
    assert 0.8 < record["splits"]["coco_gen"]["miou"] < 0.95
    assert f"{100 * record['splits']['coco_gen']['miou']:.1f} [" in printed
    with (output / "nouns.csv").open() as file:
        rows = list(csv.DictReader(file))
    ious = [float(row["iou"]) for row in rows if row["iou"]]
    assert np.mean(ious) == pytest.approx(record["splits"]["coco_gen"]["miou"])
    assert [row["depicted_a"] for row in rows if row["text"] == "moon"] == ["False"]
    with Image.open(output / "worst.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    for colour in (PREDICTED, OTHER):
        rgb = [round(255 * value) for value in to_rgb(colour)]
        assert (np.abs(pixels - rgb) < 25).all(axis=-1).sum() > 100, colour


def test_no_split_in_common(tiny_dataset, second, tmp_path, capsys):
    scenes = tmp_path / "scenes"
    write_dataset(scenes, {"scenes": load_split(tiny_dataset, "coco_gen").examples}, "")
    line = error_of(capsys, str(second), str(scenes))
    assert "no split in common: A holds coco_gen; B holds scenes" in line
    line = error_of(capsys, str(tiny_dataset), str(second), "--split", "unreal_gen")
    assert "no split 'unreal_gen' in both" in line


def test_without_any_mask_there_is_no_image(tiny_dataset, tmp_path, capsys):
    empty = [
        replace(example, masks=(None, None)) for example in load_split(tiny_dataset, "coco_gen").examples
    ]
    write_dataset(tmp_path / "empty", {"coco_gen": empty}, "")
    output = tmp_path / "out"
    options = [str(tmp_path / "empty"), str(tmp_path / "empty"), "--output", str(output)]
    assert main(["agreement", *options]) == 0
    assert {path.name for path in output.iterdir()} == {"agreement.json", "nouns.csv"}
    assert "mIoU      - over 0 nouns" in capsys.readouterr().out


def test_an_output_that_cannot_be_written(tiny_dataset, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    options = [str(tiny_dataset), str(tiny_dataset), "--output", str(tmp_path / "file")]
    assert "can't write" in error_of(capsys, *options)


def test_two_annotations_are_merged_into_a_dataset(tiny_dataset, second, tmp_path, capsys):
    options = [str(tiny_dataset), str(second), "--merge", str(tmp_path / "merged")]
    assert main(["agreement", *options]) == 0
    assert "the merged masks of 3 images" in capsys.readouterr().out
    ours, theirs, merged = (
        load_split(folder, "coco_gen") for folder in (tiny_dataset, second, tmp_path / "merged")
    )
    assert len(merged) == len(ours)
    for example, other, found in zip(ours, theirs, merged, strict=False):
        for mask, moved, between in zip(example.masks, other.masks, found.masks, strict=True):
            if mask is not None:
                a, b, m = decode(mask), decode(moved), decode(between)
                assert ((a & b) <= m).all()
                assert (m <= (a | b)).all()
    assert merged[-1].masks == ours[-1].masks
    assert "name a new folder" in error_of(capsys, *options)
    assert "give --merge" in error_of(capsys, str(tiny_dataset), str(second), "--prefer", "a")
