"""A whole dataset, loaded to be written again."""

import shutil

import pytest

from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.types.errors import InputError


def test_a_dataset_loads_whole_and_is_written_the_same(tiny_dataset, tmp_path):
    whole = load_whole(tiny_dataset)
    assert set(whole.splits) == {"coco_gen", "unreal_gen"}
    write_dataset(tmp_path / "again", whole.splits, whole.card)
    assert (tmp_path / "again" / "README.md").read_bytes() == (tiny_dataset / "README.md").read_bytes()
    for name, split in whole.splits.items():
        assert load_split(tmp_path / "again", name).fingerprint == split.fingerprint


def test_a_dataset_without_a_card_loads(tiny_dataset, tmp_path):
    folder = shutil.copytree(tiny_dataset, tmp_path / "bare")
    (folder / "README.md").unlink()
    assert load_whole(folder).card == ""


def test_a_folder_without_splits_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match="is no dataset"):
        load_whole(tmp_path)
