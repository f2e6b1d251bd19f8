"""Masks and heat maps of another program, read from a folder."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters.precomputed import Precomputed
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, decode, encode

SPLITS = ("coco_gen", "unreal_gen")


@pytest.fixture(scope="module")
def splits(tiny_dataset) -> dict:
    return {name: load_split(tiny_dataset, name) for name in SPLITS}


def truth(example, noun):
    mask = example.masks[noun]
    return (
        np.zeros((example.query.image.height, example.query.image.width), bool)
        if mask is None
        else decode(mask)
    )


def save_png(path: Path, mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(path)


@pytest.mark.parametrize("score", [2.0, -0.1, float("nan"), "0.5", True])
def test_a_least_score_outside_0_to_1(tmp_path, score):
    with pytest.raises(InputError, match=r"score must be a number in \[0, 1\]"):
        Precomputed(str(tmp_path), score=score)


def save_npy(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def save_truth(folder: Path, splits: dict, save, suffix: str) -> Path:
    for name, split in splits.items():
        for example in split:
            for noun in range(len(example.masks)):
                save(folder / name / example.query.id / f"{noun}{suffix}", truth(example, noun))
    return folder


def run(folder: Path, dataset: Path, output: Path, *options: str) -> int:
    given = ["--method", "precomputed", "--from", str(folder), "--dataset", str(dataset)]
    return main(["run", *given, "--output", str(output), *options])


def segment(folder: Path, split, **options):
    method = Precomputed(str(folder), **options)
    method.begin_split(split.name, split.queries())
    return method.segment(split.queries())


def error(folder: Path, split) -> str:
    with pytest.raises(InputError) as caught:
        segment(folder, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_png_masks_of_the_truth_score_one(splits, tiny_dataset, tmp_path, capsys):
    save_truth(tmp_path / "masks", splits, save_png, ".png")
    assert run(tmp_path / "masks", tiny_dataset, tmp_path / "out", "--option", "name=oracle") == 0
    report = read_report(tmp_path / "out" / "report.json")
    assert report.method == "oracle"
    assert report.parameters["source"] == "masks"
    assert {report.splits[name]["none"].miou_inf for name in SPLITS} == {1.0}


def test_npy_of_booleans_are_masks(splits, tmp_path):
    save_truth(tmp_path, splits, save_npy, ".npy")
    found = segment(tmp_path, splits["coco_gen"])
    assert np.array_equal(found[0][1], truth(splits["coco_gen"][0], 1))


def test_npy_of_floats_are_heat_maps_of_any_size(splits, tiny_dataset, tmp_path):
    def save_small(path, mask):
        save_npy(path, mask.reshape(8, 4, 8, 4).mean(axis=(1, 3)))

    save_truth(tmp_path / "maps", splits, save_small, ".npy")
    assert run(tmp_path / "maps", tiny_dataset, tmp_path / "out", "--tau", "0.3,0.5") == 0
    scores = read_report(tmp_path / "out" / "report.json").splits["coco_gen"]
    assert list(scores) == ["0.3", "0.5"]
    assert scores["0.5"].miou_inf > 0.6
    assert scores["0.5"].average_precision > 0.9


def test_coco_results_of_the_truth_score_one(splits, tiny_dataset, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    for name, split in splits.items():
        results = [
            {
                "image_id": example.query.id,
                "noun": noun,
                "segmentation": as_record(encode(truth(example, noun))),
            }
            for example in split
            for noun in range(len(example.masks))
        ]
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(results))
    assert run(tmp_path / "results", tiny_dataset, tmp_path / "out") == 0
    report = read_report(tmp_path / "out" / "report.json")
    assert {report.splits[name]["none"].miou_inf for name in SPLITS} == {1.0}


def test_the_datasets_own_coco_json_is_the_truth_in_cocos_classes(splits, tiny_dataset, tmp_path):
    for name in SPLITS:
        (tmp_path / f"{name}.json").write_bytes((tiny_dataset / f"{name}.coco.json").read_bytes())
    found = segment(tmp_path, splits["coco_gen"])
    for example, masks in zip(splits["coco_gen"], found, strict=True):
        for noun, mask in enumerate(masks):
            if example.query.nouns[noun].coco_class is None:
                assert mask is None
            else:
                assert np.array_equal(mask, truth(example, noun))


def test_a_file_may_be_named_by_its_noun(splits, tmp_path):
    save_png(tmp_path / "coco_gen" / "coco-0" / "pizza.png", truth(splits["coco_gen"][0], 1))
    found = segment(tmp_path, splits["coco_gen"])
    assert found[0][0] is None
    assert np.array_equal(found[0][1], truth(splits["coco_gen"][0], 1))


def test_the_same_id_in_both_splits_has_a_mask_in_each(splits, tiny_dataset, tmp_path):
    for name, value in zip(SPLITS, (0, 1), strict=True):
        for example in splits["coco_gen"]:
            save_png(tmp_path / name / example.query.id / "0.png", np.full((32, 32), value))
    method = Precomputed(str(tmp_path))
    shares = []
    for name in SPLITS:
        method.begin_split(name, splits["coco_gen"].queries())
        shares.append(method.segment(splits["coco_gen"].queries())[0][0].mean())
    assert shares == [0, 1]


def test_missing_masks_and_stray_ones_are_counted(splits, tmp_path, caplog):
    save_png(tmp_path / "coco_gen" / "coco-0" / "0.png", np.zeros((32, 32)))
    save_png(tmp_path / "coco_gen" / "coco-0" / "7.png", np.zeros((32, 32)))
    save_png(tmp_path / "coco_gen" / "coco-77" / "0.png", np.zeros((32, 32)))
    with caplog.at_level(logging.WARNING):
        segment(tmp_path, splits["coco_gen"])
    assert "coco_gen: 9 of 10 nouns have no mask" in caplog.text
    assert "2 masks in" in caplog.text


def test_results_of_one_noun_are_united_and_weak_ones_left_out(splits, tmp_path):
    def result(columns, score):
        mask = np.zeros((32, 32), bool)
        mask[:, columns] = True
        return {"image_id": 1, "category_id": 17, "score": score, "segmentation": as_record(encode(mask))}

    results = [result(0, 0.9), result(3, 0.6), result(5, 0.2)]
    (tmp_path / "coco_gen.json").write_text(json.dumps(results))
    columns = segment(tmp_path, splits["coco_gen"])[0][0].any(axis=0)
    assert np.flatnonzero(columns).tolist() == [0, 3]
    columns = segment(tmp_path, splits["coco_gen"], score=0.1)[0][0].any(axis=0)
    assert np.flatnonzero(columns).tolist() == [0, 3, 5]


def test_uncompressed_runs_are_read(splits, tmp_path):
    mask = truth(splits["coco_gen"][0], 0)
    edges = np.flatnonzero(np.diff(mask.flatten(order="F"), prepend=False, append=False))
    counts = np.diff(edges, prepend=0, append=mask.size).tolist()
    record = {"image_id": "coco-0", "noun": "cat", "segmentation": {"size": [32, 32], "counts": counts}}
    (tmp_path / "coco_gen.json").write_text(json.dumps([record]))
    assert np.array_equal(segment(tmp_path, splits["coco_gen"])[0][0], mask)


def test_changed_masks_are_other_parameters(tmp_path):
    save_png(tmp_path / "coco_gen" / "coco-0" / "0.png", np.zeros((32, 32)))
    before = Precomputed(str(tmp_path)).parameters["sha256"]
    save_png(tmp_path / "coco_gen" / "coco-0" / "0.png", np.ones((32, 32)))
    assert Precomputed(str(tmp_path)).parameters["sha256"] != before


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (
            "0.png",
            np.zeros((4, 5), np.uint8),
            "0.png: a mask of (height, width) (4, 5) for an image of (32, 32)",
        ),
        ("0.png", np.arange(1024, dtype=np.uint8).reshape(32, 32), "0.png: more than one value besides 0"),
        ("0.png", np.zeros((32, 32, 3), np.uint8), "0.png: an image of mode RGB"),
        ("0.npy", np.zeros((4, 5), bool), "0.npy: a mask of (height, width) (4, 5)"),
        ("0.npy", np.full((4, 5), -1.0), "0.npy: a heat map must hold finite values >= 0"),
        ("0.npy", np.full((4, 5), np.nan), "0.npy: a heat map must hold finite values >= 0"),
        ("0.npy", np.zeros((4, 5), np.uint8), "0.npy: a heat map must be a floating-point array"),
        ("0.npy", np.zeros((1, 5000)), "0.npy: a heat map of 1 x 5000 for an image of 32 x 32; "),
        ("0.npy", np.array([{"a": 1}]), "0.npy can't be read as .npy"),
    ],
)
def test_a_wrong_file_is_named(splits, tmp_path, name, values, expected):
    path = tmp_path / "coco_gen" / "coco-0" / name
    path.parent.mkdir(parents=True)
    if name.endswith(".png"):
        Image.fromarray(values).save(path)
    else:
        np.save(path, values, allow_pickle=True)
    assert expected in error(tmp_path, splits["coco_gen"])


@pytest.mark.parametrize("name", ["0.png", "0.npy"])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n broken", b"\x93NUMPY\x01\x00v\x00{", b"GIF89a"])
def test_a_broken_file_is_named(splits, tmp_path, name, content):
    path = tmp_path / "coco_gen" / "coco-0" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert f"{path} can't be read" in error(tmp_path, splits["coco_gen"])


def test_two_files_of_one_noun(splits, tmp_path):
    save_png(tmp_path / "coco_gen" / "coco-0" / "0.png", np.zeros((32, 32)))
    save_npy(tmp_path / "coco_gen" / "coco-0" / "cat.npy", np.zeros((32, 32), bool))
    assert "cat.npy and 0.png are of the same noun" in error(tmp_path, splits["coco_gen"])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({}, '"image_id" or "file_name" must name the image'),
        ({"image_id": "coco-0", "segmentation": {}}, 'needs "noun"'),
        ({"image_id": "coco-0", "noun": 2}, "noun 2 of example 'coco-0', which has 2"),
        ({"image_id": "coco-0", "noun": 0}, '"segmentation" must be RLE'),
        ({"image_id": "coco-0", "noun": 0, "segmentation": [[1, 2, 3]]}, "no polygons"),
        ({"image_id": 1, "noun": 0, "segmentation": {"size": [4, 5], "counts": "0"}}, "[4, 5] for an image"),
        ({"image_id": 1, "noun": 0, "segmentation": {"size": [32, 32], "counts": "0"}}, "do not add up"),
        ({"image_id": 1, "noun": 0, "segmentation": {"size": [32, 32], "counts": [1]}}, "do not add up"),
        ({"image_id": 1, "noun": 0, "segmentation": {"size": [32, 32], "counts": [-1]}}, "whole numbers"),
        ({"image_id": 1, "noun": 0, "score": "high"}, '"score" must be a number'),
        (7, "result 0: not an object"),
    ],
)
def test_a_wrong_result_is_named(splits, tmp_path, result, expected):
    (tmp_path / "coco_gen.json").write_text(json.dumps([result]))
    message = error(tmp_path, splits["coco_gen"])
    assert expected in message
    assert "coco_gen.json, result 0" in message


@pytest.mark.parametrize("content", ["{", "3", '{"annotations": 3}', "[" * 100_000])
def test_what_is_no_results_file(splits, tmp_path, content):
    (tmp_path / "coco_gen.json").write_text(content)
    assert "coco_gen.json is no" in error(tmp_path, splits["coco_gen"])


def test_a_folder_without_the_split(splits, tmp_path):
    assert "holds neither of coco_gen/ and coco_gen.json" in error(tmp_path, splits["coco_gen"])


def test_no_folder(tiny_dataset, tmp_path, capsys):
    assert run(tmp_path / "nowhere", tiny_dataset, tmp_path / "out") == 2
    assert "give the one with the masks: --from DIR" in capsys.readouterr().err


def test_masks_and_heat_maps_do_not_mix(splits, tiny_dataset, tmp_path, capsys):
    save_truth(tmp_path / "masks", splits, save_png, ".png")
    (tmp_path / "masks" / "coco_gen" / "coco-0" / "0.png").unlink()
    save_npy(tmp_path / "masks" / "coco_gen" / "coco-0" / "0.npy", np.ones((8, 8)))
    assert run(tmp_path / "masks", tiny_dataset, tmp_path / "out") == 2
    assert "gives both hard masks and heat maps" in capsys.readouterr().err


def test_it_must_know_the_split(splits, tmp_path):
    with pytest.raises(InputError, match="call begin_split first"):
        Precomputed(str(tmp_path)).segment(splits["coco_gen"].queries())
