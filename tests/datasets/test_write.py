"""A dataset folder is written whole or not at all, and nothing of the user's is lost."""

from dataclasses import replace
from pathlib import Path

import pytest

import daam_bench.datasets.write as write
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.types.errors import InputError
from tests.tiny_dataset import generated_example


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_examples_give_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        write_dataset(tmp_path / name, {"coco_gen": [generated_example("one", "cat", "dog")]}, "# Card\n")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_a_failure_leaves_the_old_dataset_and_nothing_else(tiny_dataset, tmp_path, monkeypatch):
    folder = tmp_path / "dataset"
    write_dataset(folder, {"coco_gen": [generated_example("old", "cat", "dog")]}, "")
    before = contents(folder)

    def disk_is_full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(write, "_write_json", disk_is_full)
    with pytest.raises(InputError, match="no space"):
        write_dataset(folder, {"coco_gen": [generated_example("new", "cat", "dog")]}, "")
    assert contents(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_replacing_drops_old_splits_and_keeps_other_files(tmp_path):
    folder = tmp_path / "dataset"
    write_dataset(folder, {"unreal_gen": [generated_example("old", "cat", "dog")]}, "")
    (folder / "LICENSE").write_text("free")
    (folder / "images").mkdir()
    (folder / "images" / "one.txt").write_text("kept")
    write_dataset(folder, {"coco_gen": [generated_example("new", "cat", "dog")]}, "")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "coco_gen.parquet",
        "coco_gen.coco.json",
        "LICENSE",
        "images",
    }
    assert (folder / "images" / "one.txt").read_text() == "kept"
    assert load_split(folder, "coco_gen")[0].query.id == "new"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is there and is no dataset"):
        write_dataset(tmp_path, {"coco_gen": [generated_example("one", "cat", "dog")]}, "")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_bad_examples_are_refused(tmp_path):
    example = generated_example("one", "cat", "dog")
    bad = {
        "has no examples": [],
        "names 2 examples": [example, example],
        "2 nouns but 1 masks": [replace(example, masks=(None,))],
        "where 'a pi' stands": [
            replace(example, query=replace(example.query, prompt="a pizza" + example.query.prompt[5:]))
        ],
    }
    bad["where 'a pi' stands"][0] = replace(
        bad["where 'a pi' stands"][0],
        query=replace(
            bad["where 'a pi' stands"][0].query,
            nouns=(replace(example.query.nouns[0], start=0, end=4), example.query.nouns[1]),
        ),
    )
    for expected, examples in bad.items():
        with pytest.raises(InputError, match=expected):
            write_dataset(tmp_path / "new", {"coco_gen": examples}, "")
    assert not (tmp_path / "new").exists()
