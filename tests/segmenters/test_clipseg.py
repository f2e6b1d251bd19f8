"""CLIPSeg on a tiny random checkpoint in the published format."""

from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from daam_bench.run import main
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from tests.segmenters.tiny_transformers import SIDE, write_clipseg, write_mask2former


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_clipseg(tmp_path_factory.mktemp("clipseg")))


def query(nouns=("cats", "hat"), seed=0, size=(40, 24)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    found = tuple(Noun(word, word.removesuffix("s"), 0, 1, None) for word in nouns)
    return Query(f"q{seed}", " ".join(nouns), Image.fromarray(pixels), found, None, None)


def make(model, **options):
    return get_segmenter("clipseg", model=model, device="cpu", **options)


def test_a_noun_s_heat_map_is_the_sigmoid_of_the_logits_for_its_lemma(model):
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    asked = query()
    network = CLIPSegForImageSegmentation.from_pretrained(model).eval()
    processor = AutoProcessor.from_pretrained(model)
    for heat, text in zip(make(model).segment([asked])[0], ("cat", "hat"), strict=True):
        inputs = processor(text=[text], images=[asked.image], return_tensors="pt")
        with torch.no_grad():
            logits = network(**inputs).logits.reshape(SIDE, SIDE)
        np.testing.assert_allclose(np.asarray(heat), torch.sigmoid(logits).numpy(), atol=1e-4)


def test_words_and_templates_make_a_difference(model):
    cat, hat = (np.asarray(heat) for heat in make(model).segment([query()])[0])
    templated = np.asarray(make(model, template="the red {}").segment([query()])[0][0])
    assert np.abs(cat - hat).max() > 1e-3
    assert np.abs(cat - templated).max() > 1e-3
    assert cat.dtype == np.float32
    assert 0 <= cat.min() <= cat.max() <= 1


def test_a_result_does_not_depend_on_its_batch(model):
    queries = [query(), query((), seed=1), query(("teddy bears",), seed=2, size=(30, 30))]
    together = make(model).segment(queries)
    apart = make(model, batch_size=2).segment(queries)
    assert [len(row) for row in together] == [2, 0, 1]
    for left, right in zip(chain(*together), chain(*apart), strict=True):
        np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-5)


def test_the_command_line_runs_it_at_every_tau(model, tiny_dataset, tmp_path):
    argv = ["--method", "clipseg", "--model", model, "--tau", "0.4,0.6", "--dataset", str(tiny_dataset)]
    assert main([*argv, "--option", "template=a {}", "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert report.parameters == {"model": model, "revision": None, "template": "a {}"}
    assert list(report.splits["coco_gen"]) == ["0.4", "0.6"]
    assert report.splits["coco_gen"]["0.4"].coverage == 1


def test_an_absent_model_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no model .* the hub can't be reached") as caught:
        make("nobody/no-such-model-here")
    assert "\n" not in str(caught.value)


def test_another_kind_of_model_is_told(tmp_path):
    with pytest.raises(InputError, match="is a mask2former, no clipseg"):
        make(str(write_mask2former(tmp_path, ("cat",))))


def test_a_template_without_a_place_for_the_noun_is_told(model):
    with pytest.raises(InputError, match=r"template must have a place {} for the noun"):
        make(model, template="a photo")
