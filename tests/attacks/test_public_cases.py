"""What other projects were told about data from outside: right, or one line with the true cause."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.leaderboard.reading import opened
from daam_bench.segmenters.precomputed import Precomputed
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import as_record, decode, encode
from tests.tiny_dataset import generated_example

CATS = {"category_id": CATEGORY_IDS["cat"]}


def results(folder: Path, ids, numbers) -> Precomputed:
    """A dataset with these ids, each with a cat of its own, and results that name their images by numbers."""
    examples = [cat(name, place) for place, name in enumerate(ids)]
    write_dataset(folder / "data", {"coco_gen": examples}, "")
    rows = [
        {"image_id": number, **CATS, "segmentation": as_record(example.masks[0])}
        for number, example in zip(numbers, examples, strict=True)
    ]
    (folder / "masks").mkdir()
    (folder / "masks" / "coco_gen.json").write_text(json.dumps(rows))
    method = Precomputed(str(folder / "masks"))
    method.begin_split("coco_gen", load_split(folder / "data", "coco_gen").queries())
    return method


def cat(name: str, place: int):
    example = generated_example(name, "cat", "moon")
    mask = np.zeros((32, 32), bool)
    mask[place] = True
    return replace(example, masks=(encode(mask), None))


def rows_of(method: Precomputed, folder: Path) -> list[int | None]:
    """The row that each image's mask fills."""
    found = method.segment(load_split(folder / "data", "coco_gen").queries())
    return [None if masks[0] is None else int(np.flatnonzero(masks[0].any(axis=1))[0]) for masks in found]


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        (["0", "1", "2", "3"], [0, 1, 2, 3]),
        (["397133", "37777", "252219"], [397133, 37777, 252219]),
        (["000000397133", "000000037777"], [397133, 37777]),
        (["a", "b", "c"], [1, 2, 3]),
        (["1", "2", "3"], [1, 2, 3]),
        (["7", "8", "9"], [1, 2, 3]),
    ],
    ids=["from 0", "COCO's", "padded", "places", "both the same", "places beside numeric ids"],
)
def test_a_number_is_an_id_or_a_place(ids, numbers, tmp_path):
    """jsbroks/coco-annotator #212, torchgeo PR #847."""
    assert rows_of(results(tmp_path, ids, numbers), tmp_path) == list(range(len(ids)))


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [(["3", "1", "2"], [3, 1, 2]), (["2", "3", "4"], [1, 2, 3]), (["01", "1", "x"], [1, 1, 1])],
    ids=["all are both", "some are both", "padded and not"],
)
def test_a_number_that_may_be_two_images_is_refused(ids, numbers, tmp_path):
    with pytest.raises(InputError, match=r'image \d may be .*; give the ids as texts, "image_id": "<id>"'):
        results(tmp_path, ids, numbers)


def test_results_of_which_none_fits_stop(tmp_path):
    with pytest.raises(InputError, match="none of its 2 results is of a noun of the split; name images by"):
        results(tmp_path, ["a", "b"], [17, 18])


@pytest.mark.parametrize("name", ["9a1b2c3d-{}.png", "images\\9a1b2c3d-{}.png", "upload/3/9a1b2c3d-{}.png"])
def test_names_with_label_studios_upload_prefix(name, tiny_dataset, tmp_path, capsys):
    """HumanSignal/label-studio #729, #5438, #7294."""
    dataset = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    content = json.loads((dataset / "coco_gen.coco.json").read_text())
    content.pop("info")
    for image in content["images"]:
        image["file_name"] = name.format(image["file_name"].removesuffix(".png"))
    (tmp_path / "export.json").write_text(json.dumps(content))
    assert main(["import", str(tmp_path / "export.json"), "--into", str(dataset), "--by", "A. Person"]) == 0
    assert "5 images: " in capsys.readouterr().out
    assert load_split(dataset, "coco_gen")[0].annotation.by == "A. Person"


def test_upload_prefixes_in_results(tiny_dataset, tmp_path):
    split = load_split(tiny_dataset, "coco_gen")
    rows = [
        {
            "file_name": f"images\\9a1b2c3d-{example.id}.png",
            "noun": 0,
            "segmentation": as_record(example.masks[0]),
        }
        for example in split
    ]
    (tmp_path / "coco_gen.json").write_text(json.dumps(rows))
    method = Precomputed(str(tmp_path))
    method.begin_split("coco_gen", split.queries())
    for masks, example in zip(method.segment(split.queries()), split, strict=True):
        assert np.array_equal(masks[0], decode(example.masks[0]))


@pytest.mark.parametrize("column", ["nouns", "tokens"])
def test_lists_of_records_as_a_record_of_lists(column, tiny_dataset, tmp_path):
    """pixeltable PR #684."""
    rows = pq.read_table(tiny_dataset / "coco_gen.parquet").to_pylist()
    changed = [
        {**row, column: {key: [one[key] for one in row[column]] for key in row[column][0]}} for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(changed), tmp_path / "coco_gen.parquet")
    with pytest.raises(InputError, match=f'"{column}" is one record of lists; write a list of records'):
        load_split(tmp_path, "coco_gen")


def test_an_npz_that_is_called_npy(tiny_dataset, tmp_path):
    split = load_split(tiny_dataset, "coco_gen")
    place = tmp_path / "coco_gen" / split[0].id / "0.npy"
    place.parent.mkdir(parents=True)
    with place.open("wb") as file:
        np.savez(file, mask=np.zeros((32, 32), bool))
    method = Precomputed(str(tmp_path))
    method.begin_split("coco_gen", split.queries())
    with pytest.raises(InputError, match=r"0\.npy is a \.npz by its content; save one array"):
        method.segment(split.queries())


@pytest.mark.parametrize(
    ("masks", "problem"),
    [
        (["accepted"], "2 nouns but 1"),
        (["accepted", "perfect"], "'perfect' in"),
        (["own"] * 3, "2 nouns but 3"),
    ],
)
def test_kinds_of_masks_that_are_none(masks, problem, tiny_dataset, tmp_path):
    table = pq.read_table(tiny_dataset / "coco_gen.parquet")
    annotations = [{"by": "A", "how": "B", "date": "C", "masks": masks, "proposal": None}] * table.num_rows
    place = table.column_names.index("annotation")
    pq.write_table(
        table.set_column(place, "annotation", pa.array(annotations)), tmp_path / "coco_gen.parquet"
    )
    with pytest.raises(InputError, match=problem):
        load_split(tmp_path, "coco_gen")


def test_a_dataset_of_before_the_history_of_masks_loads(tiny_dataset, tmp_path):
    table = pq.read_table(tiny_dataset / "coco_gen.parquet")
    annotations = [{"by": "A", "how": "by hand", "date": "2024-01-01"}] * table.num_rows
    place = table.column_names.index("annotation")
    pq.write_table(
        table.set_column(place, "annotation", pa.array(annotations)), tmp_path / "coco_gen.parquet"
    )
    annotation = load_split(tmp_path, "coco_gen")[0].annotation
    assert (annotation.masks, annotation.proposal) == (None, None)


def test_classes_that_lack_a_comma():
    """In a config of MMDetection: c, a and t are no classes."""
    pytest.importorskip("mmdet")
    from daam_bench.segmenters.mmdet.detector import _named_classes

    with pytest.raises(InputError, match=r"has the text 'cat' as its classes.* classes=\('cat',\)"):
        _named_classes({"metainfo": {"classes": ("cat")}})


def test_a_zip_with_backslashes(tmp_path):
    with ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("mine\\submission.json", "{}")
        archive.filelist[0].filename = archive.filelist[0].orig_filename = "mine\\submission.json"
    with (
        pytest.raises(InputError, match="has backslashes, as some programs for Windows pack"),
        opened(tmp_path / "mine.zip"),
    ):
        pass
