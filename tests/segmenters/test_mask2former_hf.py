"""Mask2Former through transformers, on a tiny random checkpoint in the published format."""

import numpy as np
import pytest
import torch
from PIL import Image

from daam_bench.run import main
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from tests.segmenters.tiny_transformers import write_clipseg, write_mask2former

NAMES = ("cat", "aeroplane", "pizza")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_mask2former(tmp_path_factory.mktemp("mask2former"), NAMES))


def query(nouns=("cat", "airplane", "moon", "bus"), seed=0, size=(48, 40)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    found = tuple(Noun(word, word, 0, 1, None if word == "moon" else word) for word in nouns)
    return Query(f"q{seed}", " ".join(nouns), Image.fromarray(pixels), found, None, None)


def make(model, **options):
    return get_segmenter("mask2former-hf", model=model, device="cpu", **options)


def instances(model, image):
    """Labels, scores and masks of shape (instances, height, width), from the network's outputs."""
    from transformers import AutoImageProcessor, Mask2FormerForUniversalSegmentation

    network = Mask2FormerForUniversalSegmentation.from_pretrained(model).eval()
    with torch.no_grad():
        outputs = network(**AutoImageProcessor.from_pretrained(model)(images=image, return_tensors="pt"))
    probabilities = outputs.class_queries_logits[0].softmax(-1)[:, :-1]
    interpolate = torch.nn.functional.interpolate
    logits = interpolate(outputs.masks_queries_logits, size=(384, 384), mode="bilinear")[0]
    scores, places = probabilities.flatten().topk(len(probabilities))
    masks = logits[places // len(NAMES)] > 0
    inside = logits[places // len(NAMES)].sigmoid() * masks
    scores = scores * inside.sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
    masks = interpolate(masks[None].float(), size=(image.height, image.width))[0] > 0
    return (places % len(NAMES)).numpy(), scores.numpy(), masks.numpy()


def test_a_mask_is_the_union_of_the_instances_of_its_class_at_or_above_the_score(model):
    asked = query()
    labels, scores, masks = instances(model, asked.image)
    sizes = []
    for score in (0.0, float(np.sort(scores)[len(scores) // 2]) - 1e-3):
        cat, airplane, moon, bus = make(model, score=score).segment([asked])[0]
        for label, mask in ((0, cat), (1, airplane)):
            union = masks[(labels == label) & (scores >= score)].any(axis=0)
            assert (mask is None) == (not union.any())
            assert mask is None or mask.shape == union.shape == (40, 48)
            assert mask is None or (mask != union).mean() < 0.01
        assert moon is None
        assert bus is None
        sizes.append(sum(int(mask.sum()) for mask in (cat, airplane) if mask is not None))
    assert sizes[0] > sizes[1] > 0


def test_nothing_at_or_above_the_score_is_no_prediction(model):
    assert make(model, score=1.0).segment([query()])[0][0] is None


def test_a_result_does_not_depend_on_its_batch(model):
    queries = [query(), query(("pizza",), seed=1, size=(33, 60)), query(seed=2)]
    together = make(model, score=0.0).segment(queries)
    for asked, masks in zip(queries, together, strict=True):
        alone = make(model, score=0.0, batch_size=1).segment([asked])[0]
        for left, right in zip(masks, alone, strict=True):
            assert (left is None) == (right is None)
            assert left is None or (left != right).mean() < 0.01


def test_the_command_line_runs_it(model, tiny_dataset, tmp_path):
    argv = ["--method", "mask2former-hf", "--model", model, "--score", "0.1"]
    assert main([*argv, "--dataset", str(tiny_dataset), "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert report.parameters == {"model": model, "revision": None, "score": 0.1, "classes": None}
    assert list(report.splits["coco_gen"]) == ["none"]


def test_classes_that_are_none_of_coco_s_are_told(tmp_path):
    folder = str(write_mask2former(tmp_path, ("cat", "sky")))
    with pytest.raises(InputError, match=r"1 of the 2 classes of the model .* none of COCO's 80 \(sky\)"):
        make(folder)
    cat, *_ = make(folder, classes={"sky": None}, score=0.0).segment([query()])[0]
    assert cat.any()


def test_another_kind_of_model_is_told(tmp_path):
    with pytest.raises(InputError, match="is a clipseg, no mask2former"):
        make(str(write_clipseg(tmp_path)))


def test_an_absent_model_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no model .* the hub can't be reached") as caught:
        make("nobody/no-such-model-here")
    assert "\n" not in str(caught.value)
