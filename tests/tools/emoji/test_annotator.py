import numpy as np
import pytest
from PIL import Image

from daam_bench.emoji import ANNOTATOR, PIPELINE
from daam_bench.emoji.annotator import CLASSES, Annotator, Finding
from daam_bench.types.errors import InputError
from tools.emoji.evaluate import PromptResult, contact_sheet, summarize
from tools.emoji.scenes import Layout, ObjectGroup, compose
from tools.emoji.train_annotator import class_map, held_out_quality, train_annotator


@pytest.fixture(scope="module")
def annotator():
    return Annotator(ANNOTATOR)


def composed(glyphs, *nouns):
    layout = Layout(tuple(ObjectGroup(noun) for noun in nouns), "grass")
    return compose(layout, glyphs, 64, np.random.default_rng(3))


def test_the_shipped_annotator_finds_what_is_shown(annotator, font):
    quality = held_out_quality(annotator, font=font, image_size=64, scenes=60)
    assert quality["recall"] > 0.9
    assert quality["false_alarms"] < 0.1
    assert quality["iou"] > 0.7


def test_a_noun_that_is_not_shown_is_not_found(annotator, glyphs):
    scene = composed(glyphs, "rocket", "pizza")
    found = annotator.find([Image.fromarray(scene.image)], [["rocket", "pizza", "bed"]])[0]
    assert [finding.depicted for finding in found] == [True, True, False]
    assert (found[0].mask & scene.masks[0]).sum() > 0.6 * scene.masks[0].sum()


def test_an_empty_background_shows_nothing(annotator):
    found = annotator.find([Image.new("RGB", (64, 64), (110, 180, 245))], [["cat", "moon"]])[0]
    assert not any(finding.depicted for finding in found)


def test_a_scene_becomes_a_map_of_classes(glyphs):
    scene = composed(glyphs, "cat", "tree")
    classes = class_map(scene)
    assert set(np.unique(classes)) == {0, CLASSES["cat"], CLASSES["tree"]}
    assert np.array_equal(classes == CLASSES["tree"], scene.masks[1])


def test_training_writes_an_annotator_that_loads(font, tmp_path):
    train_annotator(
        vae_folder=PIPELINE / "vae", font=font, image_size=64, out=tmp_path, samples=16, batch_size=4
    )
    probabilities = Annotator(tmp_path).probabilities([Image.new("RGB", (64, 64))])
    assert probabilities.shape == (1, len(CLASSES) + 1, 64, 64)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)


def test_a_missing_annotator_says_how_to_train_one(tmp_path):
    with pytest.raises(InputError, match="train-annotator"):
        Annotator(tmp_path)


def test_a_plural_is_complete_only_in_its_number(tmp_path):
    mask = np.zeros((64, 64), dtype=bool)
    mask[5:20, 5:20] = True
    results = [
        PromptResult(kind, "two cats", Image.new("RGB", (64, 64)), [Finding("cat", True, mask)], expected)
        for kind, expected in (("plural", 2), ("plural", 1), ("one noun", 1), ("two nouns", 1))
    ]
    results.append(
        PromptResult("three nouns", "a cat", Image.new("RGB", (64, 64)), [Finding("cat", False, mask)], 1)
    )
    summary = summarize(results)
    assert summary["plural"] == {
        "images": 2,
        "noun_recall": (1, 1, 1),
        "complete": (0.5, 0.5, 0.5),  # of one prompt, so there is nothing to resample
    }
    assert summary["three nouns"]["noun_recall"] == (0, 0, 0)
    contact_sheet(results, tmp_path / "sheet.png", columns=2)
    assert Image.open(tmp_path / "sheet.png").width == 2 * (64 * 3 + 8)


def test_several_images_of_a_prompt_count_together():
    """The interval is over prompts, whose images resemble each other."""
    found, missing = ([Finding("cat", there, np.zeros((64, 64), bool))] for there in (True, False))
    image = Image.new("RGB", (64, 64))
    results = [
        PromptResult("one noun", prompt, image, findings, 1)
        for prompt, findings in (("a cat", found), ("the cat", missing))
        for _ in range(5)
    ]
    summary = summarize(results)
    assert list(summary) == ["one noun"]
    assert summary["one noun"] == {
        "images": 10,
        "noun_recall": (0.5, 0, 1),
        "complete": (0.5, 0, 1),
    }
