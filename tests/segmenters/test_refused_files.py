"""A file that the system refuses: bad input for a method of ours, a fault of the method for others'."""

import os
from pathlib import Path

import numpy as np
import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.segmenters.base import method_code
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types.errors import InputError, MethodFailedError


@pytest.fixture
def masks(tiny_dataset, tmp_path) -> Path:
    for example in load_split(tiny_dataset, "coco_gen"):
        for noun in range(len(example.query.nouns)):
            place = tmp_path / "masks" / "coco_gen" / example.id / f"{noun}.npy"
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, np.ones((32, 32), bool))
    return tmp_path / "masks"


def refusing(monkeypatch, name: str) -> None:
    """Let the system refuse to open files of a name, also to root."""
    opens = Path.open

    def refuse(path, *arguments, **options):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return opens(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)


def test_a_mask_that_can_not_be_read_is_one_line(masks, tiny_dataset, tmp_path, monkeypatch, capsys):
    refusing(monkeypatch, "1.npy")
    options = ["--dataset", str(tiny_dataset), "--split", "coco_gen", "--output", str(tmp_path / "out")]
    assert main(["run", "--method", "precomputed", "--from", str(masks), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: method 'precomputed' can't read or write {masks / 'coco_gen'}")
    assert "Permission denied; give another file" in line


def test_a_method_s_own_file_is_its_own_fault(tiny_dataset, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("FAILS_BY", "file")
    options = ["--dataset", str(tiny_dataset), "--batch-size", "2", "--output", str(tmp_path / "out")]
    assert main(["run", "--method", "tests.segmenters.methods:Raising", *options]) == 1
    assert "method 'raising' failed: FileNotFoundError" in capfd.readouterr().err


def test_a_function_s_own_file_is_its_own_fault():
    with pytest.raises(MethodFailedError, match="FileNotFoundError"), method_code("mine"):
        Path("/no/such/file").read_bytes()


def test_a_disk_that_is_full_in_a_method_of_ours(masks, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("daam_bench.segmenters.precomputed.hashlib.file_digest", full)
    with pytest.raises(InputError, match=r"'precomputed' can't read or write: No space left .*make room"):
        get_segmenter("precomputed", source=str(masks))
