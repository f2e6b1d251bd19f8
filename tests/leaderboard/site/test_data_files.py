"""The scripts that hand the viewer its data, chunk by chunk."""

import base64
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.files.predictions import (
    HeatMapsWriter,
    NounHeatMap,
    PredictionsWriter,
    read_heat_maps,
    read_predictions,
)
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.site import data_files
from daam_bench.leaderboard.site.data_files import (
    ViewedMethod,
    write_ground_truth,
    write_images,
    write_method,
)
from daam_bench.types import Prediction, PredictionsHeader
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tests.leaderboard.site.test_pages import received


@pytest.fixture
def split(tiny_splits):
    return tiny_splits[0]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of two examples: five of them are in three."""
    monkeypatch.setattr(data_files, "CHUNK", 2)


def viewed(entry: Entry, *taus: str) -> ViewedMethod:
    """An entry as the viewer shows it, at some of its taus."""
    return ViewedMethod(entry.slug, entry.submission.name, entry.folder, taus)


def chunks(folder: Path) -> list:
    """The values of the chunks in a folder, in their order."""
    paths = sorted(folder.iterdir(), key=lambda path: int(path.stem))
    assert [path.name for path in paths] == [f"{number}.js" for number in range(len(paths))]
    return [received(path) for path in paths]


def test_the_ground_truth_of_every_example_is_in_its_chunk(split, tmp_path):
    write_ground_truth(tmp_path, split)
    found = chunks(tmp_path / split.name / "truth")
    assert [len(chunk) for chunk in found] == [2, 2, 1]
    assert list(chain(*found)) == [
        [None if mask is None else mask.counts for mask in example.masks] for example in split
    ]


def test_the_examples_say_what_the_viewer_shows(split, tmp_path):
    write_ground_truth(tmp_path, split)
    write_images(tmp_path / "images", split)
    examples = received(tmp_path / split.name / "examples.js")
    assert [entry["id"] for entry in examples] == [example.id for example in split]
    for index, (entry, example) in enumerate(zip(examples, split, strict=True)):
        assert entry["image"].startswith(f"{index:04d}.")
        assert entry["size"] == [example.image.height, example.image.width]
        assert entry["nouns"] == [[noun.text, noun.coco_class] for noun in example.nouns]
        with Image.open(tmp_path / "images" / entry["image"]) as image:
            assert image.size == example.image.size


def test_the_masks_and_maps_of_a_method_are_in_the_chunks_of_their_examples(split, entries, tmp_path):
    soft = entries[0]
    write_method(tmp_path, split, viewed(soft, "0.3", "0.4"))
    found = chunks(tmp_path / split.name / "methods" / "gradient")
    numbers = {example.id: number for number, example in enumerate(split)}
    for entry in read_predictions(soft.predictions(split.name))[1]:
        chunk, place = divmod(numbers[entry.id], 2)
        assert found[chunk]["masks"][str(entry.tau)][place][entry.noun] == entry.mask.counts
    for entry in read_heat_maps(soft.heat_maps(split.name))[1]:
        chunk, place = divmod(numbers[entry.id], 2)
        record = found[chunk]["maps"][place][entry.noun]
        assert record["size"] == list(entry.values.shape)
        values = np.frombuffer(base64.b64decode(record["values"]), "<f4").reshape(entry.values.shape)
        assert np.array_equal(values, entry.values)


def test_a_tau_that_is_not_shown_is_left_out_and_so_are_maps_of_hard_masks(split, entries, tmp_path):
    write_method(tmp_path, split, viewed(entries[0], "0.4"))
    assert {*chain(*(chunk["masks"] for chunk in chunks(tmp_path / split.name / "methods/gradient")))} == {
        "0.4"
    }
    write_method(tmp_path, split, viewed(entries[1], "none"))
    assert all(chunk["maps"] is None for chunk in chunks(tmp_path / split.name / "methods/random-half"))


@pytest.mark.parametrize("pair", [("coco-9", 0), ("coco-0", 2)])
def test_a_heat_map_of_an_unknown_noun_is_an_error(split, entries, tmp_path, pair):
    folder = tmp_path / "entry"
    (folder / split.name).mkdir(parents=True)
    written = entries[0].predictions(split.name)
    (folder / split.name / "predictions.jsonl").write_bytes(written.read_bytes())
    header = PredictionsHeader("m", {}, split.dataset, split.name, split.fingerprint)
    with HeatMapsWriter(folder / split.name / "heat_maps.jsonl", header) as writer:
        writer.append([NounHeatMap(*pair, np.ones((2, 2), np.float32))])
    with pytest.raises(InputError, match=f"coco_gen has no noun {pair[1]} of id '{pair[0]}'"):
        write_method(tmp_path / "site", split, viewed(replace(entries[0], folder=folder), "0.3"))


@pytest.mark.parametrize(
    ("id_and_noun", "shape", "expected"),
    [
        (("coco-9", 0), None, "coco_gen has no noun 0 of id 'coco-9'"),
        (("coco-0", 2), None, "coco_gen has no noun 2 of id 'coco-0'"),
        (("coco-0", 0), (3, 5), "the mask of id 'coco-0' is not of its image's size"),
    ],
)
def test_a_mask_that_does_not_fit_the_split_is_an_error(
    split, entries, tmp_path, id_and_noun, shape, expected
):
    header = PredictionsHeader("m", {}, split.dataset, split.name, split.fingerprint)
    mask = encode(np.ones(shape, np.bool_)) if shape else None
    path = tmp_path / "run" / split.name / "predictions.jsonl"
    path.parent.mkdir(parents=True)
    with PredictionsWriter(path, header, taus=(0.3,)) as writer:
        writer.append([Prediction(*id_and_noun, 0.3, mask)])
    with pytest.raises(InputError, match=expected):
        write_method(tmp_path / "site", split, viewed(replace(entries[0], folder=tmp_path / "run"), "0.3"))
