"""What is wrong with a dataset is said in one line."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.types import Example, Generation
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.masks import encode
from tests.tiny_dataset import generated_example

GENERATION = Generation("some/model", None, "DDIMScheduler", 4, 7.5, 32, 32, "float32")


@pytest.fixture
def folder(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the tiny dataset, to be spoiled."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "copy"))


def message(dataset: str | Path, split: str = "coco_gen") -> str:
    with pytest.raises(InputError) as caught:
        load_split(dataset, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(path: Path, column: str, values: list[object]) -> None:
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values)), path)


def test_an_unknown_split_lists_those_there(folder):
    assert "no split 'cocogen'" in message(folder, "cocogen")
    assert message(folder, "cocogen").endswith("it holds coco_gen, unreal_gen")


def test_a_missing_folder(tmp_path):
    missing = str(tmp_path / "nowhere")
    assert message(missing).startswith(f"no dataset {missing!r}: no such folder")


def test_a_folder_that_is_no_dataset(tmp_path):
    assert (
        message(tmp_path)
        == f"{tmp_path} is no dataset: looked for coco_gen.parquet there and found no .parquet file"
    )


def test_a_file_in_place_of_a_folder(folder):
    assert "is a file; give the folder" in message(folder / "coco_gen.parquet")


def test_a_file_that_is_no_parquet(folder):
    (folder / "coco_gen.parquet").write_text("hello")
    assert "can't be read as Parquet" in message(folder)


def test_missing_columns_are_named(folder):
    path = folder / "coco_gen.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["nouns", "seed"]), path)
    assert "has no column seed, nouns;" in message(folder)


def test_a_value_of_another_type_names_its_row(folder):
    change(folder / "coco_gen.parquet", "nouns", [[1], [], [], [], []])
    assert """row 1 (id 'coco-0') is no example: "nouns[0]": """ in message(folder)


def test_an_image_that_is_no_image_names_its_row(folder):
    broken = [{"bytes": b"not an image", "path": "x.png"}] * 5
    change(folder / "coco_gen.parquet", "image", broken)
    assert "row 1 (id 'coco-0') is no example: \"image\" is no whole image" in message(folder)


def test_an_image_stored_without_its_bytes_names_its_row(folder):
    change(folder / "coco_gen.parquet", "image", [{"bytes": None, "path": "x.png"}] * 5)
    assert "row 1 (id 'coco-0') is no example" in message(folder)


def columns_of(folder: Path) -> dict[str, list]:
    return pq.read_table(folder / "coco_gen.parquet").to_pydict()


def torn(image: dict) -> dict:
    return image | {"bytes": image["bytes"][:-20]}


@pytest.mark.parametrize(
    ("column", "spoil", "problem"),
    [
        ("prompt", lambda value: None, '"prompt": input should be a valid string'),
        ("prompt", lambda value: len(value), '"prompt": input should be a valid string'),
        ("prompt", lambda value: value.encode(), "a value is of no type that a split has"),
        ("id", lambda value: len(value), '"id": input should be a valid string'),
        ("seed", lambda value: "7", '"seed": input should be a valid integer'),
        ("tokens", lambda value: None, '"tokens": input should be a valid array'),
        ("nouns", lambda value: {"text": ["cat"], "start": [2]}, '"nouns" is one record of lists; write a'),
        ("nouns", lambda value: [noun | {"end": None} for noun in value], '"nouns[0].end": input should be'),
        (
            "nouns",
            lambda value: [noun | {"mask": {"size": [32], "counts": "o"}} for noun in value],
            "[0].mask",
        ),
        (
            "generation",
            lambda value: {"model": "m", "scheduler": None},
            '"generation.scheduler": input should be',
        ),
        ("source", lambda value: "a caption", '"source": input should be an object'),
        ("annotation", lambda value: {"by": "Ada"}, '"annotation.how": is missing'),
        ("image", lambda value: "photo.png", '"image.bytes" is missing'),
        ("image", torn, '"image" is no whole image'),
    ],
)
def test_a_hostile_value_is_named_by_its_row_and_place(folder, column, spoil, problem):
    change(folder / "coco_gen.parquet", column, [spoil(value) for value in columns_of(folder)[column]])
    line = message(folder)
    assert line.startswith(f"{folder / 'coco_gen.parquet'}: row 1 (id ")
    assert problem in line
    assert line.endswith("; and 2 rows more")


def test_every_problem_of_a_row_is_named(folder):
    path = folder / "coco_gen.parquet"
    change(path, "prompt", [None, *columns_of(folder)["prompt"][1:]])
    change(path, "tokens", [None, *columns_of(folder)["tokens"][1:]])
    line = message(folder)
    assert line.count("row ") == 1
    assert '"prompt": ' in line
    assert '"tokens": ' in line


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[2J"])
def test_an_id_that_would_break_a_line(folder, name):
    change(folder / "coco_gen.parquet", "id", [name, "b", "c", "d", "e"])
    assert f"the id {name!r} is not one line of printable text" in message(folder)


def test_text_that_is_no_utf_8(folder):
    prompts = pa.array([b"\xff"] * 5, pa.binary()).view(pa.string())
    path = folder / "coco_gen.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index("prompt"), "prompt", prompts), path)
    assert "holds text that is not UTF-8" in message(folder)


def test_ids_given_twice(folder):
    change(folder / "coco_gen.parquet", "id", ["a", "b", "a", "c", "d"])
    path = folder / "coco_gen.parquet"
    assert message(folder) == f"{path}: the id 'a' names 2 examples; ids must be unique in a split"


def test_a_mask_that_does_not_fit_names_example_and_noun(folder):
    rows = pq.read_table(folder / "coco_gen.parquet").column("nouns").to_pylist()
    rows[3][1]["mask"] = {"size": [16, 32], "counts": encode(np.ones((16, 32), bool)).counts}
    change(folder / "coco_gen.parquet", "nouns", rows)
    assert message(folder) == (
        f"{folder / 'coco_gen.parquet'}: example 'coco-3', noun 'cake': "
        "the mask is 16x32 but the image 32x32 (height x width); annotate at the image's size"
    )


def test_a_span_that_does_not_hold_its_noun(folder):
    rows = pq.read_table(folder / "coco_gen.parquet").column("nouns").to_pylist()
    rows[0][0]["start"] = 1
    change(folder / "coco_gen.parquet", "nouns", rows)
    assert "noun 'cat' is said to stand at 1:5 of the prompt, where ' cat' stands" in message(folder)


def test_a_hub_dataset_that_was_never_downloaded(offline):
    assert message("nobody/never").startswith(
        "no dataset 'nobody/never': no such folder here, no copy in the hub's"
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An offline hub with an empty cache."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


def test_a_hub_dataset_in_the_cache_is_found_offline_at_its_revision(offline, tiny_dataset, monkeypatch):
    commit = "0123456789" * 4
    home = offline / "datasets--someone--tiny"
    shutil.copytree(tiny_dataset, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "v2").write_text(commit)
    with_cache = functools.partial(huggingface_hub.snapshot_download, cache_dir=str(offline))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", with_cache)
    loaded = load_split("someone/tiny@v2", "coco_gen")
    assert loaded.fingerprint == load_split(tiny_dataset, "coco_gen").fingerprint
    assert loaded.revision == commit
    assert "no copy in the hub's cache" in message("someone/tiny@v3")


def test_a_local_dataset_has_no_revision(tiny_dataset):
    assert load_split(tiny_dataset, "coco_gen").revision is None


def test_images_are_rgb_whatever_was_stored(folder, tmp_path):
    example = generated_example("grey", "cat", "dog")
    grey = replace(example, query=replace(example.query, image=example.query.image.convert("L")))
    write_dataset(tmp_path / "grey", {"scenes": [grey]}, "")
    assert load_split(tmp_path / "grey", "scenes")[0].query.image.mode == "RGB"


def test_scenes_know_the_model_of_the_other_splits(tmp_path):
    splits = {
        "coco_gen": [generated_example("one", "cat", "dog", GENERATION)],
        "scenes": [generated_example("two", "cat", "dog")],
    }
    write_dataset(tmp_path / "new", splits, "")
    assert load_split(tmp_path / "new", "scenes").model == "some/model"


def fingerprint(folder: Path, example: Example) -> str:
    write_dataset(folder, {"scenes": [example]}, "")
    return load_split(folder, "scenes").fingerprint


def test_the_fingerprint_changes_with_what_a_score_depends_on(tmp_path):
    example = generated_example("one", "cat", "dog")
    query = example.query
    brighter = Image.fromarray(np.asarray(query.image) ^ 1)
    other_class = (replace(query.nouns[0], coco_class="dog"), query.nouns[1])
    versions = [
        example,
        replace(example, query=replace(query, id="other")),
        replace(example, query=replace(query, prompt=query.prompt + ".")),
        replace(example, query=replace(query, image=brighter)),
        replace(example, query=replace(query, nouns=other_class)),
        replace(example, masks=(None, example.masks[1])),
        replace(example, masks=example.masks[::-1]),
    ]
    assert len({fingerprint(tmp_path / "new", version) for version in versions}) == len(versions)


def test_the_fingerprint_stands_where_a_score_does(tmp_path):
    example = generated_example("one", "cat", "dog")
    retagged = replace(example, tokens=(), annotation=None)
    assert fingerprint(tmp_path / "new", example) == fingerprint(tmp_path / "new", retagged)


def test_the_wrong_size_is_a_shape_error(tmp_path):
    example = generated_example("one", "cat", "dog")
    with pytest.raises(ShapeError, match="the mask is 2x2 but the image 32x32"):
        write_dataset(
            tmp_path / "new", {"scenes": [replace(example, masks=(encode(np.eye(2) > 0), None))]}, ""
        )
