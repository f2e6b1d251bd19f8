"""`daam-bench propose` from the outside."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from tests.segmenters.methods import Gradient

METHOD = ("--method", "tests.segmenters.methods:Gradient")


@pytest.fixture
def bare(tiny_dataset, tmp_path) -> Path:
    """A dataset of which only `unreal_gen` is annotated."""
    splits = {name: list(split.examples) for name, split in load_whole(tiny_dataset).splits.items()}
    splits["coco_gen"] = [
        replace(example, masks=(None, None), annotation=None) for example in splits["coco_gen"]
    ]
    write_dataset(tmp_path / "bare", splits, "---\nlicense: cc0-1.0\n---\n# Bare\n\n## Annotation\n\nNone.\n")
    return tmp_path / "bare"


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert main(["propose", *argv]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def annotators(folder: Path, split: str) -> set[str]:
    return {example.annotation.by for example in load_split(folder, split)}


def test_a_new_dataset_is_written_and_the_old_left(bare, tmp_path, capsys):
    before = load_split(bare, "coco_gen").fingerprint
    assert main(["propose", str(bare), *METHOD, "--output", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert printed == f"{tmp_path / 'new'}/: proposals of gradient for 5 images (coco_gen)\n"
    assert load_split(bare, "coco_gen").fingerprint == before
    assert annotators(tmp_path / "new", "coco_gen") == {"gradient"}
    assert annotators(tmp_path / "new", "unreal_gen") == {"tests"}
    assert {path.name for path in tmp_path.iterdir()} == {"bare", "new"}


def test_the_card_says_so(bare):
    assert main(["propose", str(bare), *METHOD]) == 0
    card = (bare / "README.md").read_text()
    assert "license: cc0-1.0" in card
    assert "5 images with proposals of gradient that nobody has checked yet," in card
    assert "None." not in card


def test_scoring_says_so(bare, tmp_path, capsys):
    main(["propose", str(bare), *METHOD])
    main(["run", "--dataset", str(bare), "--method", "whole", "--output", str(tmp_path / "out")])
    assert "coco_gen (5 of 5 images, by gradient)" in capsys.readouterr().err


def test_a_second_time_there_is_nothing_to_do(bare, capsys):
    assert main(["propose", str(bare), *METHOD]) == 0
    assert "is annotated already; add --all" in error_of(capsys, str(bare), *METHOD)
    assert main(["propose", str(bare), *METHOD, "--all", "--split", "coco_gen", "--tau", "0.9"]) == 0


def test_checked_masks_are_never_lost(bare, tmp_path, capsys):
    assert "5 images of" in error_of(capsys, str(bare), *METHOD, "--all")
    assert annotators(bare, "unreal_gen") == {"tests"}
    assert main(["propose", str(bare), *METHOD, "--all", "--output", str(tmp_path / "new")]) == 0
    assert "the masks of 5 images, which are no mere proposals, are replaced" in capsys.readouterr().err
    assert annotators(bare, "unreal_gen") == {"tests"}
    assert annotators(tmp_path / "new", "unreal_gen") == {"gradient"}


def test_an_interrupted_run_leaves_the_dataset_and_resumes(bare, tmp_path, capsys, monkeypatch):
    def interrupted(self, queries):
        if queries[0].id != "coco-0":
            raise KeyboardInterrupt
        return original(self, queries)

    original = Gradient.segment
    options = ["propose", str(bare), *METHOD, "--batch-size", "1", "--output", str(tmp_path / "new")]
    with monkeypatch.context() as patched:
        patched.setattr(Gradient, "segment", interrupted)
        assert main(options) == 130
    assert "the same command resumes where it stopped" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert len((tmp_path / "new-proposals/coco_gen/predictions.jsonl").read_text().splitlines()) == 3
    assert main(options) == 0
    assert annotators(tmp_path / "new", "coco_gen") == {"gradient"}


def test_masks_that_are_imported_meanwhile_stay(bare, tiny_dataset, tmp_path, capsys, monkeypatch):
    export = ["export", str(tiny_dataset), "--format", "coco", "--split", "coco_gen"]
    assert main([*export, "--output", str(tmp_path / "exported")]) == 0
    file = tmp_path / "exported" / "annotations" / "instances_coco_gen.json"
    content = json.loads(file.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 1]
    file.write_text(json.dumps(content))

    def annotated_meanwhile(self, queries):
        assert main(["import", str(file), "--into", str(bare), "--by", "Ann"]) == 0
        return original(self, queries)

    original = Gradient.segment
    monkeypatch.setattr(Gradient, "segment", annotated_meanwhile)
    capsys.readouterr()
    assert main(["propose", str(bare), *METHOD]) == 0
    printed = capsys.readouterr()
    assert "proposals of gradient for 4 images (coco_gen)" in printed.out
    assert f"1 images of {bare} were annotated meanwhile" in printed.err
    first, *others = load_split(bare, "coco_gen")
    assert (first.annotation.by, {one.annotation.by for one in others}) == ("Ann", {"gradient"})
    assert first.masks == load_split(tiny_dataset, "coco_gen")[0].masks


def test_a_dataset_that_is_written_there_meanwhile_stays(bare, tiny_dataset, tmp_path, capsys, monkeypatch):
    new = tmp_path / "new"

    def written_meanwhile(self, queries):
        shutil.copytree(tiny_dataset, new)
        return original(self, queries)

    original = Gradient.segment
    monkeypatch.setattr(Gradient, "segment", written_meanwhile)
    assert main(["propose", str(bare), *METHOD, "--output", str(new)]) == 2
    assert "is there already; name a new folder" in capsys.readouterr().err
    assert annotators(new, "coco_gen") == {"tests"}


def test_shards_of_more_than_is_proposed_are_kept(bare, tiny_dataset, capsys, caplog):
    whole = load_whole(bare)
    splits = {
        name: [replace(one, masks=(None, None), annotation=None) for one in split.examples]
        for name, split in whole.splits.items()
    }
    write_dataset(bare, splits, whole.card)
    options = ["propose", str(bare), *METHOD, "--batch-size", "1"]
    for shard in ("1/2", "2/2"):
        assert main([*options, "--shard", shard]) == 0
    assert main([*options, "--split", "coco_gen"]) == 0
    assert f"{bare}-proposals/shards is kept" in caplog.text
    caplog.clear()
    capsys.readouterr()
    assert main(options) == 0
    assert "lacks" not in caplog.text
    assert "proposals of gradient for 5 images (unreal_gen)" in capsys.readouterr().out
    assert not bare.with_name("bare-proposals").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--method", "nonesuch"), "no method 'nonesuch'"),
        ((*METHOD, "--split", "scenes"), "no split 'scenes' in the dataset; it holds coco_gen, unreal_gen"),
        ((*METHOD, "--tau", "1.5"), "in [0, 1], not 1.5"),
        ((*METHOD, "--batch-size", "0"), "the batch size must be at least 1"),
        ((*METHOD, "--seed", "1"), "has no option 'seed'"),
    ],
)
def test_bad_arguments(bare, capsys, options, line):
    before = {path: path.read_bytes() for path in bare.iterdir()}
    assert line in error_of(capsys, str(bare), *options)
    assert {path: path.read_bytes() for path in bare.iterdir()} == before


def test_places_that_cannot_be_written_to(bare, tmp_path, capsys):
    assert "emoji can't be changed in its place; name a new folder" in error_of(capsys, "emoji", *METHOD)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    options = (*METHOD, "--output", str(tmp_path / "full"))
    assert "is there already; name a new folder" in error_of(capsys, str(bare), *options)
