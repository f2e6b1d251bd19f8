"""A dataset that is written reads back the same: by us, by `datasets`, by pycocotools."""

import contextlib
import io
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import load_dataset
from hypothesis import HealthCheck, given, settings
from PIL import Image
from pycocotools.coco import COCO

from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.types import Example
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import area, decode
from tests.datasets.strategies import splits

slow = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def without_image(example: Example) -> Example:
    return replace(example, query=replace(example.query, image=None))


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


@slow
@given(splits())
def test_write_then_load_gives_the_same_examples(dataset):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        write_dataset(folder, dataset, "# Card\n")
        for name, written in dataset.items():
            loaded = load_split(folder, name)
            assert list(map(without_image, loaded)) == list(map(without_image, written))
            for ours, theirs in zip(loaded, written, strict=True):
                np.testing.assert_array_equal(pixels(ours.query.image), pixels(theirs.query.image))


@settings(slow, max_examples=4)
@given(splits())
def test_datasets_loads_the_folder_without_our_package(dataset):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        write_dataset(folder, dataset, "# Card\n")
        loaded = load_dataset(str(folder), cache_dir=str(Path(scratch) / "cache"))
        assert set(loaded) == set(dataset)
        for name, written in dataset.items():
            for row, example in zip(loaded[name], written, strict=True):
                query = example.query
                assert (row["id"], row["prompt"], row["seed"]) == (query.id, query.prompt, query.seed)
                np.testing.assert_array_equal(pixels(row["image"]), pixels(query.image))
                assert (row["generation"] is None) == (query.generation is None)
                assert [noun["coco_class"] for noun in row["nouns"]] == [
                    noun.coco_class for noun in query.nouns
                ]
                assert [noun["mask"] and noun["mask"]["counts"] for noun in row["nouns"]] == [
                    mask and mask.counts for mask in example.masks
                ]


@slow
@given(splits())
def test_pycocotools_reads_the_same_masks(dataset):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        write_dataset(folder, dataset, "# Card\n")
        assert not (folder / "scenes.coco.json").exists()
        for name in dataset.keys() - {"scenes"}:
            with contextlib.redirect_stdout(io.StringIO()):
                coco = COCO(folder / f"{name}.coco.json")
            for example in dataset[name]:
                assert masks_by_category(coco, example.query.id) == expected_masks(example)


def masks_by_category(coco: COCO, example_id: str) -> list[tuple[str, bytes, float, list[float]]]:
    (image,) = (
        image for image in coco.loadImgs(coco.getImgIds()) if image["file_name"] == f"{example_id}.png"
    )
    found = []
    for record in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
        (category,) = coco.loadCats(record["category_id"])
        assert (record["category_id"] <= 90) == (CATEGORY_IDS.get(category["name"]) == category["id"])
        found.append((category["name"], coco.annToMask(record).tobytes(), record["area"], record["bbox"]))
    return sorted(found)


def expected_masks(example: Example) -> list[tuple[str, bytes, float, list[float]]]:
    expected = []
    for noun, rle in zip(example.query.nouns, example.masks, strict=True):
        if rle is None or area(rle) == 0:
            continue
        mask = decode(rle)
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        box = [left, top, columns.max() - left + 1, rows.max() - top + 1]
        name = noun.coco_class or noun.lemma
        expected.append((name, mask.astype(np.uint8).tobytes(), mask.sum(), [float(edge) for edge in box]))
    return sorted(expected)
