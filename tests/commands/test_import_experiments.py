"""`daam-bench import` of castorini/daam's experiment folders, from the outside."""

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from random import Random

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.types.masks import decode
from tests.annotate.experiments import experiments, spoiled, write_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_folder(tmp_path / "theirs", experiments(3))


def imported(*more: str) -> int:
    return main(["import", "--by", "Ada", *more])


def error_of(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert imported(*more) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_folder_becomes_a_dataset(folder, tmp_path, capsys):
    output = tmp_path / "data"
    assert imported(str(folder), "--output", str(output), "--split", "coco_gen") == 0
    printed = capsys.readouterr()
    assert "3 images: 6 masks; 0 problems; 0 experiments without masks left out" in printed.out
    split = load_split(output, "coco_gen")
    assert (len(split), split.model) == (3, None)
    assert split[0].annotation.by == "Ada"
    card = (output / "README.md").read_text()
    assert "# data\n" in card
    assert "3 images annotated by Ada," in card
    assert "author = {Tang, Raphael" in card


def test_a_second_split_joins_the_first(folder, tmp_path):
    output = tmp_path / "data"
    unreal = write_folder(tmp_path / "unreal", experiments(2))
    assert imported(str(folder), "--output", str(output), "--split", "coco_gen") == 0
    assert imported(str(unreal), "--into", str(output), "--split", "unreal_gen") == 0
    assert (len(load_split(output, "coco_gen")), len(load_split(output, "unreal_gen"))) == (3, 2)
    assert "`unreal_gen`: 2 images" in (output / "README.md").read_text()


def test_another_dataset_is_not_replaced(folder, tmp_path, capsys):
    data, other = tmp_path / "data", tmp_path / "other"
    for output in (data, other):
        assert imported(str(folder), "--output", str(output), "--split", "coco_gen") == 0
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    options = ("--into", str(data), "--output", str(other), "--split", "unreal_gen")
    assert "is there already; import into it with --into" in error_of(capsys, str(folder), *options)
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before


def test_how_the_images_were_generated_is_recorded_if_told(folder, tmp_path, capsys):
    settings = ["--model", "some/model", "--steps", "30", "--guidance", "7.5", "--dtype", "float16"]
    target = ["--output", str(tmp_path / "data"), "--split", "coco_gen"]
    assert "give --scheduler too" in error_of(capsys, str(folder), *target, *settings)
    assert imported(str(folder), *target, *settings, "--scheduler", "PNDMScheduler") == 0
    generation = load_split(tmp_path / "data", "coco_gen")[0].query.generation
    assert (generation.model, generation.steps, generation.guidance_scale) == ("some/model", 30, 7.5)


def test_problems_are_named_and_the_rest_kept(tmp_path, capsys):
    files = experiments(2)
    files["output/1/prompt.txt"] = b"\xff"
    folder = write_folder(tmp_path / "theirs", files)
    assert imported(str(folder), "--output", str(tmp_path / "data"), "--split", "coco_gen") == 0
    printed = capsys.readouterr()
    assert "'1': prompt.txt is not UTF-8" in printed.err
    assert "1 images: 2 masks; 1 problems" in printed.out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--split", "coco_gen"), "say where the dataset goes"),
        (("--output", "DATA"), "name the split that the experiments make"),
        (("--output", "DATA", "--split", "../x"), "'../x' is no name for a split"),
        (("--output", "TRUTH", "--split", "coco_gen"), "is there already"),
        (("--into", "emoji", "--split", "coco_gen"), "emoji has a split coco_gen already"),
        (("--into", "emoji", "--split", "more"), "emoji can't be changed in its place"),
        (("--output", "DATA", "--split", "coco_gen", "--steps", "0"), "give --model, --scheduler"),
        (("--output", "DATA", "--split", "coco_gen", "--complete"), "--complete goes with COCO JSON"),
    ],
)
def test_bad_arguments(folder, tmp_path, capsys, options, line):
    places = {"DATA": str(tmp_path / "data"), "TRUTH": str(folder)}
    assert line in error_of(capsys, str(folder), *(places.get(option, option) for option in options))
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}


def test_nothing_that_can_be_used(tmp_path, capsys):
    folder = write_folder(tmp_path / "theirs", {"1/prompt.txt": b"a cat"})
    target = ("--output", str(tmp_path / "data"), "--split", "coco_gen")
    assert "0 with problems, 1 without a <word>.gt.png" in error_of(capsys, str(folder), *target)
    assert not (tmp_path / "data").exists()


def test_the_tagger_gives_tokens(folder, tmp_path):
    assert imported(str(folder), "--output", str(tmp_path / "data"), "--split", "coco_gen") == 0
    example = load_split(tmp_path / "data", "coco_gen")[0]
    assert [token.pos for token in example.tokens] == ["DET", "NOUN", "CCONJ", "NUM", "NOUN"]
    assert [noun.coco_class for noun in example.query.nouns] == ["cat", "dog"]


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_whatever_is_wrong_there_is_a_clear_error_or_a_dataset(tmp_path, start):
    for number in range(start, start + 50):
        import_spoiled(tmp_path / str(number), number)


def import_spoiled(scratch: Path, number: int) -> int:
    """Import something spoiled from a fresh folder, check how that ended, and return the exit code."""
    random = Random(number)
    scratch.mkdir()
    source, output = scratch / "source", scratch / "data"
    source.mkdir()
    for name, content in spoiled(random).items():
        with suppress(OSError):
            write_folder(source, {name.lstrip("/").replace("..", "dots"): content})
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("error")
        status = imported(str(source), "--output", str(output), "--split", "coco_gen")
    made = {path.name for path in scratch.iterdir()} - {source.name}
    if status:
        assert (status, made) == (2, set())
        assert errors.getvalue().splitlines()[-1].startswith("error: ")
    else:
        assert made == {"data"}
        for example in load_split(output, "coco_gen"):
            assert example.query.nouns
            assert example.query.image.convert("RGB").getbbox()
            assert all(mask is None or decode(mask).any() for mask in example.masks)
    return status
