"""Label Studio's tasks and back."""

import json
from dataclasses import replace
from io import BytesIO
from urllib.request import urlopen
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from PIL import Image

from daam_bench.annotate.export_files import LABELING_CONFIG, tasks
from daam_bench.annotate.findings import put_in
from daam_bench.annotate.from_label_studio import find_in_label_studio
from daam_bench.types import Annotation, Example
from daam_bench.types.examples import PROPOSED
from tests.annotate.datasets import IMPORTED, as_splits, bare, depicted_masks
from tests.datasets.strategies import splits
from tests.tiny_dataset import generated_example


def exported(dataset) -> list[dict]:
    content = [task for split in as_splits(dataset) for task in tasks(split)]
    return json.loads(json.dumps(content))


@pytest.fixture
def dataset() -> dict[str, list[Example]]:
    return {"coco_gen": [generated_example("photo", "cat", "dog")]}


@pytest.fixture
def content(dataset) -> list[dict]:
    return exported(dataset)


def results(content) -> list[dict]:
    return content[0]["annotations"][0]["result"]


@settings(max_examples=40)
@given(splits())
def test_masks_of_annotated_examples_come_back_whatever_the_nouns(dataset):
    findings = find_in_label_studio(exported(dataset), dataset)
    assert findings.problems == []
    again = depicted_masks(put_in(bare(dataset), findings.found, IMPORTED))
    for name, examples in dataset.items():
        for masks, example, expected in zip(
            again[name], examples, depicted_masks(dataset)[name], strict=True
        ):
            annotation = example.annotation  # what nobody has looked at is exported as a prediction
            open_still = annotation is None or PROPOSED in (annotation.masks or ()) or annotation.is_proposal
            assert masks == ((None,) * len(masks) if open_still else expected)


def test_a_task_shows_its_image_prompt_and_nouns(dataset, content):
    data = content[0]["data"]
    assert data["prompt"] == "a cat and a dog"
    assert data["nouns"] == [{"value": "0: cat"}, {"value": "1: dog"}]
    with urlopen(data["image"]) as stream, Image.open(BytesIO(stream.read())) as shown:
        assert shown.size == dataset["coco_gen"][0].query.image.size
    fields = {
        value[1:]
        for element in ElementTree.fromstring(LABELING_CONFIG).iter()
        if (value := element.get("value", "")).startswith("$")
    }
    assert fields == {"prompt", "nouns", "image"}


def test_what_is_not_annotated_has_no_result_and_is_not_found(dataset):
    content = exported(bare(dataset))
    assert content[0].keys() == {"data"}
    findings = find_in_label_studio(content, dataset)
    assert (findings.found, findings.problems) == ({}, [])


def test_proposals_are_predictions_and_count_only_once_submitted(dataset):
    proposal = Annotation("a method", "proposal: at tau 0.4", "2024-01-01")
    proposed = {"coco_gen": [replace(example, annotation=proposal) for example in dataset["coco_gen"]]}
    content = exported(proposed)
    assert "annotations" not in content[0]
    assert find_in_label_studio(content, proposed).found == {}
    content[0]["annotations"] = content[0].pop("predictions")
    assert len(find_in_label_studio(content, proposed).found) == 1


def test_strokes_of_a_noun_are_united_and_one_may_carry_two_labels(dataset, content):
    results(content)[0]["value"]["brushlabels"] = ["1: dog", "0: cat"]
    findings = find_in_label_studio(content, dataset)
    masks = next(iter(findings.found.values()))
    truth = dataset["coco_gen"][0].masks
    assert findings.problems == []
    assert masks[0] == truth[0]
    assert masks[1] not in truth


def test_the_latest_annotation_counts_that_was_not_skipped(dataset, content):
    (first,) = content[0]["annotations"]
    only_cat = {"result": [first["result"][0]]}
    content[0]["annotations"] = [
        first | {"updated_at": "2024-05-02T00:00:00Z", "id": 1},
        first | only_cat | {"updated_at": "2024-05-03T00:00:00Z", "id": 2},
        first | {"result": [], "updated_at": "2024-05-04T00:00:00Z", "id": 3, "was_cancelled": True},
    ]
    (masks,) = find_in_label_studio(content, dataset).found.values()
    assert masks.keys() == {0}


def test_a_noun_neither_painted_nor_ticked_is_named(dataset, content):
    results(content).pop()
    findings = find_in_label_studio(content, dataset)
    assert next(iter(findings.found.values())).keys() == {0}
    assert findings.problems == [
        "coco_gen, image 'photo', noun 1 'dog': neither painted nor ticked as not depicted; do one of them"
    ]


def test_a_noun_painted_and_ticked_is_named(dataset, content):
    results(content).append({"type": "choices", "value": {"choices": ["0: cat"]}})
    findings = find_in_label_studio(content, dataset)
    assert next(iter(findings.found.values())).keys() == {1}
    assert "noun 0 'cat': it is painted, and ticked" in findings.problems[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"original_width": 64}, "noun 0 'cat': it was painted on an image of [32, 64]"),
        ({"original_width": "32"}, "on an image of a list"),
        ({"image_rotation": 90}, "rotated"),
        ({"type": "polygonlabels"}, "a result of type 'polygonlabels'"),
        ({"type": ["brushlabels"]}, "a result of type a list"),
        ({"value": {"brushlabels": ["0: cat"]}}, "no list of bytes"),
        ({"value": {"brushlabels": ["0: cat"], "rle": [255] * 8}}, "4294967295 values"),
        ({"value": {"brushlabels": ["cat"], "rle": []}}, "image 'photo', 'cat': no noun of its prompt"),
        ({"value": {"brushlabels": [[]], "rle": []}}, "no noun of its prompt"),
        ({"value": None}, "no noun of its prompt"),
    ],
)
def test_a_bad_stroke_is_named_and_the_rest_is_kept(dataset, content, changes, reason):
    results(content)[0] |= changes
    findings = find_in_label_studio(content, dataset)
    assert reason in " ".join(findings.problems)
    assert next(iter(findings.found.values())) == {1: dataset["coco_gen"][0].masks[1]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "../photo"}, "coco_gen, image '../photo': not in the dataset"),
        ({"split": "scenes"}, "not in the dataset"),
        ({"split": None}, 'no "split" and "id"'),
        ({"id": ["photo"]}, 'no "split" and "id"'),
        ({"prompt": "a dog and a cat"}, "its prompt is 'a dog and a cat'"),
    ],
)
def test_a_task_of_another_dataset_is_named(dataset, content, changes, reason):
    content[0]["data"] |= changes
    findings = find_in_label_studio(content, dataset)
    assert findings.found == {}
    assert reason in findings.problems[0]


def test_a_task_that_stands_twice_counts_once(dataset, content):
    findings = find_in_label_studio(content * 2, dataset)
    assert len(findings.found) == 1
    assert "twice in the file" in findings.problems[0]
