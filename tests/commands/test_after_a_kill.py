"""A folder that a killed process left away is never said to be missing; the first to ask puts it back."""

import shutil
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import require_new, write_dataset
from daam_bench.leaderboard.entries import load_entries, load_splits
from daam_bench.leaderboard.site.write_site import MARKER, replacing_site
from daam_bench.types.errors import InputError
from tests.annotate.datasets import bare
from tests.leaderboard.conftest import soft_run, soft_zip  # noqa: F401


def take_away(folder: Path) -> None:
    """Leave a folder as a kill between two renames does."""
    scratch = folder.with_name(f".{folder.name}.abcdefgh.replacing")
    scratch.mkdir()
    (scratch / "new").mkdir()
    folder.rename(scratch / "old")


def assert_settled(folder: Path) -> None:
    assert folder.is_dir()
    assert not list(folder.parent.glob(".*"))


@pytest.fixture
def dataset(tiny_dataset, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_dataset, tmp_path / "mine"))


@pytest.fixture
def entries(soft_zip, tiny_dataset, tmp_path) -> Path:  # noqa: F811
    accept = ["submit", "accept", str(soft_zip), "--dataset", str(tiny_dataset)]
    assert main([*accept, "--entries", str(tmp_path / "entries")]) == 0
    return tmp_path / "entries"


def test_a_dataset_that_is_loaded(dataset):
    take_away(dataset)
    assert len(load_split(dataset, "coco_gen")) == 5
    assert_settled(dataset)


def test_a_dataset_that_masks_are_imported_into(dataset, tmp_path):
    assert main(["export", str(dataset), "--format", "coco", "--output", str(tmp_path / "coco")]) == 0
    take_away(dataset)
    file = str(tmp_path / "coco" / "annotations" / "instances_coco_gen.json")
    assert main(["import", file, "--into", str(dataset), "--by", "A. Person"]) == 0
    assert_settled(dataset)
    assert load_split(dataset, "coco_gen")[0].annotation.by == "A. Person"


def test_a_dataset_that_is_proposed_for(dataset, tmp_path):
    whole = load_whole(dataset)
    write_dataset(dataset, bare(whole.splits), whole.card)
    take_away(dataset)
    assert main(["propose", str(dataset), "--method", "whole"]) == 0
    assert_settled(dataset)


def test_a_folder_that_must_be_new(dataset, tmp_path):
    take_away(dataset)
    with pytest.raises(InputError, match="is there already; name another"):
        require_new(dataset, "name another")
    assert_settled(dataset)


def test_a_folder_of_something_else_is_not_written_over(tiny_dataset, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "mine.txt").touch()
    take_away(notes)
    whole = load_whole(tiny_dataset)
    with pytest.raises(InputError, match="is there and is no dataset"):
        write_dataset(notes, whole.splits, whole.card)
    take_away(notes)
    with pytest.raises(InputError, match="is there and is no site"), replacing_site(notes):
        pytest.fail("written over")
    assert_settled(notes)


def test_a_dataset_that_captions_are_read_from(dataset, capsys):
    take_away(dataset)
    assert main(["nouns", f"{dataset}:prompt@coco_gen"]) == 0
    assert "a cat and a pizza" in capsys.readouterr().out
    assert_settled(dataset)


def test_the_splits_of_a_leaderboard_have_the_name_of_their_folder(dataset):
    take_away(dataset)
    assert {split.dataset for split in load_splits(str(dataset))} == {"mine"}


def test_an_entry_that_is_listed(entries):
    take_away(entries / "gradient")
    assert [entry.slug for entry in load_entries(entries)] == ["gradient"]
    assert_settled(entries / "gradient")


def test_an_entry_that_another_would_replace_unasked(entries, soft_zip, tiny_dataset, capsys):  # noqa: F811
    take_away(entries / "gradient")
    accept = ["submit", "accept", str(soft_zip), "--dataset", str(tiny_dataset), "--entries", str(entries)]
    assert main(accept) == 2
    assert "is there already; give --replace" in capsys.readouterr().err
    assert_settled(entries / "gradient")


def test_an_entry_that_is_verified(entries, tiny_dataset, capsys):
    take_away(entries / "gradient")
    verify = ["leaderboard", "verify", "gradient", "--method", "whole", "--entries", str(entries)]
    assert main([*verify, "--dataset", str(tiny_dataset)]) == 2
    # The entry is found; its ground truth is what is wrong.
    assert "which is public; make a fresh dataset" in capsys.readouterr().err


def test_a_site_that_is_built_again(entries, tiny_dataset, tmp_path):
    build = ["leaderboard", "build", "--entries", str(entries), "--dataset", str(tiny_dataset)]
    build += ["--out", str(tmp_path / "site")]
    assert main(build) == 0
    (tmp_path / "site" / "CNAME").write_text("example.org")
    take_away(tmp_path / "site")
    assert main(build) == 0
    assert (tmp_path / "site" / MARKER).exists()
    assert (tmp_path / "site" / "CNAME").read_text() == "example.org"
    assert_settled(tmp_path / "site")
