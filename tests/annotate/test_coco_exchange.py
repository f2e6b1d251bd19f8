"""COCO JSON to annotation tools and back."""

import copy
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from PIL import Image, ImageChops
from pycocotools.coco import COCO

from daam_bench.annotate.export_files import coco_record, export_coco, label_ids
from daam_bench.annotate.findings import put_in
from daam_bench.annotate.from_coco import find_in_coco
from daam_bench.datasets.write import category_ids, coco_json
from daam_bench.types import Annotation
from daam_bench.types.examples import CATEGORY_IDS
from tests.annotate.datasets import IMPORTED, as_splits, bare, depicted_masks, imported
from tests.datasets.strategies import splits
from tests.tiny_dataset import generated_example


def exported(examples, name="coco_gen") -> dict:
    (split,) = as_splits({name: examples})
    return coco_record(split, label_ids([split]))


def one_image(*nouns: str) -> tuple[dict, dict]:
    """A dataset of one image of two nouns, and what is exported of it."""
    dataset = {"coco_gen": [generated_example("photo", *nouns)]}
    return dataset, exported(dataset["coco_gen"])


@settings(max_examples=40)
@given(splits())
def test_masks_come_back_whatever_the_nouns(dataset):
    every = as_splits(dataset)
    ids = label_ids(every)
    again = bare(dataset)
    for split in every:
        content = json.loads(json.dumps(coco_record(split, ids)))
        findings = find_in_coco(content, dataset, complete=True)
        assert findings.problems == []
        again = put_in(again, findings.found, IMPORTED)
    assert depicted_masks(again) == depicted_masks(dataset)


@settings(max_examples=40)
@given(splits())
def test_masks_come_back_without_attributes_and_info(dataset):
    """As from tools that keep neither."""
    for name, examples in dataset.items():
        content = exported(examples, name)
        del content["info"]
        for annotation in content["annotations"]:
            del annotation["attributes"]
        findings = find_in_coco(content, {name: examples}, complete=True)
        assert depicted_masks(imported({name: examples}, findings)) == depicted_masks({name: examples})


@settings(max_examples=8)
@given(splits())
def test_the_folder_holds_every_image_and_pycocotools_reads_it(dataset):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "exported"
        export_coco(as_splits(dataset), folder)
        for name, examples in dataset.items():
            coco = COCO(folder / "annotations" / f"instances_{name}.json")
            for image, example in zip(coco.dataset["images"], examples, strict=True):
                with Image.open(folder / "images" / name / image["file_name"]) as stored:
                    assert ImageChops.difference(stored, example.query.image).getbbox() is None
        labels = json.loads((folder / "cvat_labels.json").read_text())
        assert [label["name"] for label in labels] == [
            category["name"] for category in coco.dataset["categories"]
        ]


def test_a_class_of_coco_keeps_its_id_and_other_labels_follow():
    dataset = {"coco_gen": [generated_example("a", "tree", "dog"), generated_example("b", "moon", "dog")]}
    ids = label_ids(as_splits(dataset))
    assert ids == {"dog": CATEGORY_IDS["dog"], "moon": 1001, "tree": 1002}


def test_an_image_without_annotations_is_not_annotated_unless_the_file_is_complete():
    dataset, content = one_image("cat", "dog")
    content["annotations"] = []
    assert find_in_coco(content, dataset).found == {}
    (masks,) = find_in_coco(content, dataset, complete=True).found.values()
    assert masks == {0: None, 1: None}


def test_a_noun_without_annotation_is_not_depicted_if_the_image_has_another():
    dataset, content = one_image("cat", "dog")
    content["annotations"].pop()
    (masks,) = find_in_coco(content, dataset).found.values()
    assert masks[1] is None
    assert masks[0] == dataset["coco_gen"][0].masks[0]


def test_a_bad_mask_is_named_by_image_and_noun_and_the_rest_is_kept():
    dataset, content = one_image("cat", "dog")
    content["annotations"][1]["segmentation"]["size"] = [64, 64]
    findings = find_in_coco(content, dataset)
    (problem,) = findings.problems
    assert problem.startswith("coco_gen, image 'photo', noun 1 'dog': the size of its mask is [64, 64]")
    assert next(iter(find_in_coco(content, dataset).found.values())).keys() == {0}
    example = put_in(dataset, findings.found, IMPORTED)["coco_gen"][0]
    assert example.masks == dataset["coco_gen"][0].masks
    assert example.annotation == IMPORTED


def test_one_bad_piece_spoils_its_noun():
    dataset, content = one_image("cat", "dog")
    content["annotations"].append(content["annotations"][0] | {"segmentation": None})
    findings = find_in_coco(content, dataset)
    assert len(findings.problems) == 1
    assert next(iter(findings.found.values())).keys() == {1}


def test_an_unchecked_proposal_does_not_pass_as_annotated():
    dataset, content = one_image("cat", "dog")
    content["annotations"][1]["segmentation"] = []
    proposed = [
        replace(example, annotation=Annotation("a method", "proposal: at tau 0.4", "2024-01-01"))
        for example in dataset["coco_gen"]
    ]
    findings = find_in_coco(content, {"coco_gen": proposed})
    (example,) = put_in({"coco_gen": proposed}, findings.found, IMPORTED)["coco_gen"]
    assert example.masks == dataset["coco_gen"][0].masks
    assert example.annotation.masks == ("accepted", "proposed")
    assert example.annotation.proposal == "a method"


def test_the_dataset_s_own_coco_json_is_imported_where_classes_tell_nouns_apart():
    dataset = {"coco_gen": [generated_example("one", "cat", "dog"), generated_example("two", "tree", "boat")]}
    content = coco_json(dataset["coco_gen"], category_ids(dataset["coco_gen"]), "")
    assert depicted_masks(imported(dataset, find_in_coco(content, dataset))) == depicted_masks(dataset)


def test_the_labels_of_label_studio_are_known_in_its_coco_export():
    dataset, content = one_image("cat", "cat")
    content["categories"] = [{"id": index, "name": f"{index}: cat"} for index in range(2)]
    for index, annotation in enumerate(content["annotations"]):
        annotation["category_id"] = index
        del annotation["attributes"]
    assert depicted_masks(imported(dataset, find_in_coco(content, dataset))) == depicted_masks(dataset)


class TestTwoNounsOfOneClass:
    def content(self) -> tuple[dict, dict]:
        dataset, _ = one_image("cat", "cat")
        return dataset, coco_json(dataset["coco_gen"], category_ids(dataset["coco_gen"]), "")

    def test_are_named_where_nothing_tells_them_apart(self):
        dataset, content = self.content()
        findings = find_in_coco(content, dataset)
        assert findings.found == {}
        assert findings.problems[0] == (
            "coco_gen, image 'photo', 'cat': nouns 0 and 1 are called so; "
            'give it the attribute "noun", the index'
        )

    @pytest.mark.parametrize("kind", [int, str])
    def test_are_told_apart_by_the_attribute(self, kind):
        dataset, content = self.content()
        for index, annotation in enumerate(content["annotations"]):
            annotation["attributes"] = {"noun": kind(index)}
        assert depicted_masks(imported(dataset, find_in_coco(content, dataset))) == depicted_masks(dataset)

    @pytest.mark.parametrize("said", [7, -1, True, None, 0.0, "x", [0], {"noun": 0}])
    def test_are_not_told_apart_by_a_wrong_attribute(self, said):
        dataset, content = self.content()
        content["annotations"][0]["attributes"] = {"noun": said}
        assert find_in_coco(content, dataset).found == {}


class TestImages:
    def problem(self, dataset, content) -> str:
        findings = find_in_coco(content, dataset)
        assert findings.found == {}
        return findings.problems[0]

    @pytest.mark.parametrize("path", ["coco_gen/photo.png", "a\\b\\photo.png", "/x/photo.jpg", "photo"])
    def test_are_found_in_any_folder_and_as_any_kind(self, path):
        dataset, content = one_image("cat", "dog")
        content["images"][0]["file_name"] = path
        assert len(find_in_coco(content, dataset).found) == 1

    def test_of_two_splits_need_the_folder_or_the_option(self):
        dataset, content = one_image("cat", "dog")
        del content["info"]
        both = dataset | {"unreal_gen": dataset["coco_gen"]}
        assert "say of which with --split" in self.problem(both, content)
        content["images"][0]["file_name"] = "images/unreal_gen/photo.png"
        ((split, _),) = find_in_coco(content, both).found
        assert split == "unreal_gen"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"file_name": "../../etc/passwd"}, "image '../../etc/passwd': the dataset has no such image"),
            ({"file_name": ""}, "no such image"),
            ({"file_name": None}, "no such image"),
            ({"file_name": "\x00"}, "no such image"),
            ({"width": 64}, r"its size is [32, 64], but the image's [height, width] is [32, 32]"),
            ({"width": float("inf")}, "its size is"),
            ({"width": None}, "its size is"),
            ({"id": None}, "twice"),
            ({"id": []}, "twice"),
        ],
    )
    def test_that_are_not_ours_are_named(self, changes, reason):
        dataset, content = one_image("cat", "dog")
        content["images"][0] |= changes
        assert reason in self.problem(dataset, content)

    def test_that_stand_twice_count_once(self):
        dataset, content = one_image("cat", "dog")
        content["images"].append(copy.copy(content["images"][0]) | {"id": 77})
        findings = find_in_coco(content, dataset)
        assert len(findings.found) == 1
        assert "twice" in findings.problems[0]


def test_an_annotation_of_nothing_is_named():
    dataset, content = one_image("cat", "dog")
    content["annotations"][0]["image_id"] = 99
    content["annotations"][1]["category_id"] = 99
    assert find_in_coco(content, dataset).problems == [
        "image 99, 'cat': an annotation of no image of the file",
        "coco_gen, image 'photo', None: no noun of its prompt 'a cat and a dog'",
    ]
