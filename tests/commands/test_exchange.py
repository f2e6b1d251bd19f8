"""The commands `daam-bench export` and `daam-bench import`."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daam_bench.annotate import export_files as export_module
from daam_bench.cli import main
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.files import folders
from daam_bench.types import Annotation
from daam_bench.types.masks import encode
from tests.annotate.datasets import bare

SPLITS = ("coco_gen", "unreal_gen")


@pytest.fixture
def unannotated(tiny_dataset, tmp_path) -> Path:
    whole = load_whole(tiny_dataset)
    write_dataset(tmp_path / "unannotated", bare(whole.splits), whole.card)
    return tmp_path / "unannotated"


def exported(dataset: Path, kind: str, folder: Path) -> list[str]:
    assert main(["export", str(dataset), "--format", kind, "--output", str(folder)]) == 0
    return sorted(str(path) for path in folder.rglob("*.json") if path.name != "cvat_labels.json")


def error_of(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run, expect exit code 2, and return the last line on stderr."""
    capsys.readouterr()
    assert main(argv) == 2
    return capsys.readouterr().err.splitlines()[-1]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["coco", "label-studio"])
def test_an_annotated_dataset_comes_back(kind, tiny_dataset, unannotated, tmp_path, capsys):
    files = exported(tiny_dataset, kind, tmp_path / "exported")
    assert main(["import", *files, "--into", str(unannotated), "--by", "Ann", "--how", "painted"]) == 0
    printed = capsys.readouterr()
    assert "10 images: 18 masks, 2 nouns not depicted; 0 problems" in printed.out
    assert printed.err == ""
    today = datetime.now(UTC).date().isoformat()
    for name in SPLITS:
        again, first = load_split(unannotated, name), load_split(tiny_dataset, name)
        assert [example.masks for example in again] == [example.masks for example in first]
        assert {example.annotation for example in again} == {
            type(first[0].annotation)("Ann", "painted", today, ("own", "own"))
        }
        assert again.fingerprint == first.fingerprint


def proposed(dataset: Path, folder: Path) -> Path:
    """A dataset as `propose` leaves it: the masks of `dataset` as a method's proposals."""
    whole = load_whole(dataset)
    proposals = Annotation("daam", "proposal: at tau 0.4", "2026-01-31", ("proposed", "proposed"), "daam")
    splits = {
        name: [replace(example, annotation=proposals) for example in split]
        for name, split in whole.splits.items()
    }
    write_dataset(folder, splits, whole.card)
    return folder


@pytest.mark.parametrize("kind", ["coco", "label-studio"])
def test_proposals_left_unchanged_are_accepted_ones(kind, tiny_dataset, tmp_path, capsys):
    dataset = proposed(tiny_dataset, tmp_path / "proposed")
    files = exported(dataset, kind, tmp_path / "exported")
    if kind == "label-studio":
        for file in files:
            submit_predictions(Path(file))
    assert main(["import", *files, "--into", str(dataset), "--by", "A. Person"]) == 0
    assert "of 20 nouns 100% accepted as proposed\n" in capsys.readouterr().out
    for name in SPLITS:
        for example in load_split(dataset, name):
            assert not example.annotation.is_proposal
            assert example.annotation.masks == ("accepted", "accepted")
            assert example.annotation.proposal == "daam"
    assert (
        "masks of images with proposals of daam: 9 left as proposed." in (dataset / "README.md").read_text()
    )
    # Imported again, by somebody else, they are still what a method proposed.
    assert main(["import", *files, "--into", str(dataset), "--by", "B. Person"]) == 0
    assert load_split(dataset, "coco_gen")[0].annotation.masks == ("accepted", "accepted")


def submit_predictions(file: Path) -> None:
    """Do what an annotator does who submits every task as it is."""
    tasks = json.loads(file.read_text())
    for task in tasks:
        task["annotations"] = task.pop("predictions")
    file.write_text(json.dumps(tasks))


def test_changed_proposals_are_edited_ones(tiny_dataset, tmp_path, capsys):
    dataset = proposed(tiny_dataset, tmp_path / "proposed")
    whole = load_whole(tiny_dataset)
    first = whole.splits["coco_gen"][0]
    changed = replace(first, masks=(None, encode(~first.nouns[1].mask)))
    write_dataset(
        tmp_path / "changed", {"coco_gen": [changed, *whole.splits["coco_gen"].examples[1:]]}, whole.card
    )
    export = ["export", str(tmp_path / "changed"), "--format", "coco", "--split", "coco_gen"]
    assert main([*export, "--output", str(tmp_path / "exported")]) == 0
    capsys.readouterr()
    file = tmp_path / "exported" / "annotations" / "instances_coco_gen.json"
    assert main(["import", str(file), "--into", str(dataset), "--by", "A. Person"]) == 0
    assert "of 10 nouns 80% accepted as proposed, 20% edited\n" in capsys.readouterr().out
    again = load_split(dataset, "coco_gen")
    assert again[0].annotation.masks == ("edited", "edited")
    assert again[1].annotation.masks == ("accepted", "accepted")


def test_masks_of_unknown_history_stay_so(tiny_dataset, tmp_path, capsys):
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    copied = shutil.copytree(tiny_dataset, tmp_path / "copied")
    assert main(["import", *files, "--into", str(copied), "--by", "Ann"]) == 0
    assert "of 20 nouns 100% with masks before of which the dataset does not say" in capsys.readouterr().out
    assert load_split(copied, "coco_gen")[0].annotation.masks is None


def test_import_into_a_new_folder_leaves_the_dataset(tiny_dataset, unannotated, tmp_path):
    before = contents(unannotated)
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    new = tmp_path / "annotated"
    assert main(["import", *files, "--into", str(unannotated), "--output", str(new), "--by", "Ann"]) == 0
    assert contents(unannotated) == before
    assert load_split(new, "coco_gen")[0].masks == load_split(tiny_dataset, "coco_gen")[0].masks


def test_bad_records_are_named_and_the_rest_is_kept(tiny_dataset, unannotated, tmp_path, capsys):
    file, _ = exported(tiny_dataset, "coco", tmp_path / "exported")
    content = json.loads(Path(file).read_text())
    content["annotations"][0]["segmentation"] = {"size": [32, 32], "counts": "broken\n"}
    Path(file).write_text(json.dumps(content))
    assert main(["import", file, "--into", str(unannotated), "--by", "Ann"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "coco_gen, image 'coco-0', noun 0 'cat': the counts of a mask" in line
    again, first = load_split(unannotated, "coco_gen"), load_split(tiny_dataset, "coco_gen")
    assert again[0].masks == (None, first[0].masks[1])
    assert [example.masks for example in again[1:]] == [example.masks for example in first[1:]]


def test_nothing_usable_is_an_error_and_changes_nothing(tiny_dataset, unannotated, tmp_path, capsys):
    file, _ = exported(tiny_dataset, "coco", tmp_path / "exported")
    content = json.loads(Path(file).read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = []
    Path(file).write_text(json.dumps(content))
    before = contents(unannotated)
    line = error_of(capsys, ["import", file, "--into", str(unannotated), "--by", "Ann"])
    assert line == "error: none of the 9 records above can be used; the dataset is as it was"
    (nothing,) = exported(unannotated, "coco", tmp_path / "empty")[:1]
    assert "nothing is annotated" in error_of(
        capsys, ["import", nothing, "--into", str(unannotated), "--by", "A"]
    )
    assert contents(unannotated) == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no JSON"),
        (b'{"images": [', "is no JSON"),
        (b"\xff\xfe\xfd", "is no JSON"),
        (b"[" * 1_000_000, "is no JSON"),
        (b'{"images": [], "annotations": [], "categories": NaN}', "NaN is no JSON"),
        (b"1" * 10_000, "is no JSON"),
        (b"null", "neither COCO JSON"),
        (b"[]", "neither COCO JSON"),
        (b'[{"id": 1, "image": "a.png", "mask": []}]', "not JSON-MIN"),
        (b'{"images": 1, "annotations": [], "categories": []}', '"images" is no list'),
    ],
)
def test_what_is_no_export(data, reason, unannotated, tmp_path, capsys):
    file = tmp_path / "file.json"
    file.write_bytes(data)
    assert reason in error_of(capsys, ["import", str(file), "--into", str(unannotated), "--by", "Ann"])


def test_what_can_not_be_read_or_is_another_format(tiny_dataset, unannotated, tmp_path, capsys):
    options = ["--into", str(unannotated), "--by", "Ann"]
    assert "can't read" in error_of(capsys, ["import", str(tmp_path / "gone.json"), *options])
    assert "is no file" in error_of(capsys, ["import", "/dev/zero", *options])
    file, _ = exported(tiny_dataset, "coco", tmp_path / "exported")
    line = error_of(capsys, ["import", file, "--format", "label-studio", *options])
    assert "is not of the format label-studio" in line


def test_a_file_too_large_to_be_an_annotator_s(unannotated, tmp_path, capsys):
    file = tmp_path / "file.json"
    with file.open("wb") as stream:
        stream.truncate((1 << 28) + 1)
    line = error_of(capsys, ["import", str(file), "--into", str(unannotated), "--by", "Ann"])
    assert "larger than 256 MiB" in line


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--into", "emoji", "--by", "Ann"], "emoji can't be changed in its place"),
        (["--into", "/gone", "--by", "Ann"], "/gone can't be changed"),
        (["--into", "{}", "--by", " "], "--by must be a line of text"),
        (["--into", "{}", "--by", "\udcff"], "--by must be a line of text"),
        (["--into", "{}", "--by", "Ann", "--split", "scenes"], "no split 'scenes'"),
        (["--into", "{}", "--by", "Ann", "--steps", "3"], "--steps goes with a folder of experiments"),
        (["--into", "{}", "--by", "Ann", "--revision", "x"], "--revision goes with a folder of experiments"),
    ],
)
def test_options_that_make_no_sense(options, reason, tiny_dataset, unannotated, tmp_path, capsys):
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    given = [option.format(unannotated) for option in options]
    assert reason in error_of(capsys, ["import", *files, *given])


def test_complete_is_of_coco_json_alone(tiny_dataset, unannotated, tmp_path, capsys):
    files = exported(tiny_dataset, "label-studio", tmp_path / "exported")
    line = error_of(capsys, ["import", *files, "--into", str(unannotated), "--by", "Ann", "--complete"])
    assert "--complete goes with COCO JSON" in line


def test_an_example_in_two_files_counts_once(tiny_dataset, unannotated, tmp_path, capsys):
    file, _ = exported(tiny_dataset, "coco", tmp_path / "exported")
    assert main(["import", file, file, "--into", str(unannotated), "--by", "Ann"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all("it is in a file before" in line for line in lines)


@pytest.mark.parametrize("kind", ["coco", "label-studio"])
def test_export_writes_a_new_folder_or_nothing(kind, tiny_dataset, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    options = ["export", str(tiny_dataset), "--format", kind, "--output"]
    assert "is there already" in error_of(capsys, [*options, str(folder)])
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]

    def disk_is_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "_dump", disk_is_full)
    assert "No space left on device" in error_of(capsys, [*options, str(tmp_path / "new")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported"]


def test_tasks_are_written_in_parts_that_can_be_uploaded(tiny_dataset, unannotated, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "MAX_UPLOAD", 1500)
    files = exported(tiny_dataset, "label-studio", tmp_path / "exported")
    assert len(files) > 2
    assert main(["import", *files, "--into", str(unannotated), "--by", "Ann"]) == 0
    assert (
        load_split(unannotated, "unreal_gen").fingerprint
        == load_split(tiny_dataset, "unreal_gen").fingerprint
    )


def test_export_of_one_split(tiny_dataset, tmp_path):
    target = str(tmp_path / "exported")
    options = ["--format", "coco", "--split", " unreal_gen , ", "--output", target]
    assert main(["export", str(tiny_dataset), *options]) == 0
    assert [path.name for path in (tmp_path / "exported" / "images").iterdir()] == ["unreal_gen"]


def test_export_of_what_is_not_there(tmp_path, tiny_dataset, capsys):
    options = ["--format", "coco", "--output", str(tmp_path / "new")]
    assert "no dataset '/gone'" in error_of(capsys, ["export", "/gone", *options])
    line = error_of(capsys, ["export", str(tiny_dataset), "--split", "scenes", *options])
    assert "no split 'scenes'" in line


def test_import_over_a_folder_of_something_else_is_refused(tiny_dataset, unannotated, tmp_path, capsys):
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    options = ["--into", str(unannotated), "--output", str(tmp_path / "exported"), "--by", "Ann"]
    assert "is there already; import into it with --into" in error_of(capsys, ["import", *files, *options])


def test_import_never_replaces_another_dataset(tiny_dataset, unannotated, tmp_path, capsys):
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    new, options = tmp_path / "annotated", ["--into", str(unannotated), "--by", "Ann"]
    coco, unreal = (next(file for file in files if name in file) for name in SPLITS)
    assert main(["import", coco, *options, "--output", str(new)]) == 0
    before = contents(new)
    line = error_of(capsys, ["import", unreal, *options, "--output", str(new)])
    assert f"{new} is there already; import into it with --into, or name a new folder" in line
    assert contents(new) == before
    # The folder of --into itself is no other.
    assert main(["import", unreal, "--into", str(new), "--output", f"{new}/", "--by", "Ann"]) == 0
    for name in SPLITS:
        assert load_split(new, name).fingerprint == load_split(tiny_dataset, name).fingerprint


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_an_interrupt_around_a_rename_leaves_the_dataset(
    exchanges, place, unannotated, tiny_dataset, tmp_path, monkeypatch, capsys
):
    files = exported(tiny_dataset, "coco", tmp_path / "exported")
    before = load_split(unannotated, "coco_gen").fingerprint
    after = load_split(tiny_dataset, "coco_gen").fingerprint
    calls = []

    def interrupted(call):
        def wrapped(*arguments):
            result = call(*arguments)
            calls.append(arguments)
            if len(calls) == place:
                raise KeyboardInterrupt
            return result

        return wrapped

    with monkeypatch.context() as patch:
        exchange = folders._exchange if exchanges else lambda one, other: False
        patch.setattr(folders, "_exchange", interrupted(exchange))
        patch.setattr(os, "rename", interrupted(os.rename))
        status = main(["import", *files, "--into", str(unannotated), "--by", "Ann"])
    assert status in (0, 130)
    assert status == 130 or len(calls) < place
    assert load_split(unannotated, "coco_gen").fingerprint in (before, after)
    assert not list(unannotated.parent.glob(".*"))
