import json

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="the detectors need the extra daam-bench[mmdet]")
pytest.importorskip("mmcv.ops", reason="mmcv is installed without its compiled operators")

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.emoji import PIPELINE
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.segmenters.mmdet.detector_files import shipped_config
from daam_bench.types.errors import InputError
from tools.emoji import training
from tools.emoji.__main__ import main
from tools.emoji.dataset import dataset_card
from tools.emoji.detectors import NAMES, learning
from tools.emoji.detectors.learning import share_features, train_detector
from tools.emoji.detectors.models import (
    CLASSES,
    annotate,
    build_model,
    distorted,
    held_out,
    load_config,
    load_detector,
    sample_scene,
    save_weights,
    training_batch,
)
from tools.emoji.detectors.quality import Detections, average_precision, detect, miou_80, score_nouns
from tools.emoji.scenes import Layout, ObjectGroup, compose

pytestmark = pytest.mark.slow


def rng(seed=0):
    return np.random.default_rng(seed)


def folder(name):
    return shipped_config(name).parent


@pytest.fixture(scope="module")
def scenes(glyphs):
    random = rng()
    return [sample_scene(glyphs, random) for _ in range(200)]


@pytest.fixture(scope="module")
def vae():
    return AutoencoderKL.from_pretrained(PIPELINE / "vae", torch_dtype=torch.float32).eval()


def test_every_object_has_a_mask_of_its_own(glyphs):
    scene = compose(Layout((ObjectGroup("apple", 3),), "snow"), glyphs, 64, rng(1))
    masks = annotate(scene).masks
    assert len(masks) == 3
    assert masks.sum(axis=0).max() == 1
    assert np.array_equal(masks.any(axis=0), scene.masks[0])
    for mask in masks:
        red, _, blue = scene.image[mask].mean(axis=0)
        assert red > 1.5 * blue


def test_only_coco_nouns_are_annotated(glyphs):
    scene = compose(
        Layout((ObjectGroup("rocket"), ObjectGroup("cat"), ObjectGroup("moon")), "room"), glyphs, 64, rng()
    )
    annotated = annotate(scene)
    assert [CLASSES[label] for label in annotated.labels] == ["cat"]
    assert np.array_equal(annotated.masks[0], scene.masks[1])
    assert all(NOUNS[name].coco_class == name for name in CLASSES)


def test_training_scenes_keep_to_usual_backgrounds_and_show_every_class(scenes):
    nouns = [group.noun for scene in scenes for group in scene.layout.groups]
    assert all(
        scene.layout.background in NOUNS[group.noun].usual
        for scene in scenes
        for group in scene.layout.groups
    )
    assert set(CLASSES) <= set(nouns)
    assert set(nouns) - set(CLASSES), "other nouns are in the images, unannotated"
    assert all(len(annotate(scene).labels) for scene in scenes)


def test_a_batch_has_boxes_that_bound_its_masks(scenes, vae):
    batch = training_batch([annotate(scene) for scene in scenes[:4]], vae, 128)
    for pixels, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        assert pixels.shape == (3, 128, 128)
        for box, mask in zip(sample.gt_instances.bboxes, sample.gt_instances.masks.masks, strict=True):
            left, top, right, bottom = box.int().tolist()
            assert mask.sum() == mask[top:bottom, left:right].sum() > 0
            assert mask[top].any()
            assert mask[:, right - 1].any()


def test_contrast_and_saturation_change_in_about_half_of_the_images():
    torch.manual_seed(0)
    pixels = torch.rand(200, 3, 8, 8) * 2 - 1
    after = distorted(pixels)
    changed = (after != pixels).flatten(1).any(dim=1)
    assert 70 < changed.sum() < 130
    assert torch.equal(after[~changed], pixels[~changed])
    assert after.abs().max() <= 1


def perfect(annotated, score=0.9):
    return Detections(annotated.masks, annotated.labels, np.full(len(annotated.labels), score, np.float32))


def test_perfect_instances_score_one_on_coco_nouns_and_nothing_on_others(scenes):
    annotated = [annotate(scene) for scene in scenes]
    pairs = score_nouns(scenes, [perfect(scene) for scene in annotated])
    assert miou_80(pairs) > 0.99
    assert {pair.found for pair in pairs if pair.noun not in CLASSES} == {False}
    assert miou_80(score_nouns(scenes, [perfect(scene, 0.4) for scene in annotated])) == 0
    assert average_precision(annotated, [perfect(scene) for scene in annotated])["ap"] == 1
    assert average_precision(annotated[:1], [perfect(annotated[0])])["ap50"] == 1


def test_average_precision_falls_with_every_wrong_label(scenes):
    annotated = [annotate(scene) for scene in scenes]
    wrong = [
        Detections(scene.masks, (scene.labels + (index % 2)) % len(CLASSES), perfect(scene).scores)
        for index, scene in enumerate(annotated)
    ]
    assert 0.2 < average_precision(annotated, wrong)["ap"] < 0.8
    nothing = Detections(np.zeros((0, 64, 64), bool), np.zeros(0, int), np.zeros(0, np.float32))
    assert average_precision(annotated, [nothing] * len(annotated))["ap"] == 0


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A detector whose training is short: two images a step, two validation scenes."""
    monkeypatch.setattr(learning, "VALIDATION_SCENES", 2)
    path = tmp_path / "small"
    path.mkdir()
    config = f"_base_ = [{str(folder('mask_rcnn') / 'config.py')!r}]\ntraining = dict(batch_size=2)\n"
    (path / "config.py").write_text(config)
    return path


def options(small, font, out):
    return {"name": small, "out": out, "font": font, "pipeline": PIPELINE, "steps": 2}


def test_an_interrupted_training_ends_as_an_uninterrupted_one(small, font, tmp_path, monkeypatch):
    train_detector(**options(small, font, tmp_path / "whole"))

    def save_and_stop(state, path):
        save(state, path)
        raise KeyboardInterrupt

    save = training.save_checkpoint
    with monkeypatch.context() as patched:
        patched.setattr(learning, "SAVE_SECONDS", -1)
        patched.setattr(training, "save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train_detector(**options(small, font, tmp_path / "parts"))
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    train_detector(**options(small, font, tmp_path / "parts"))

    whole, parts = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    history = (tmp_path / "parts" / "history.jsonl").read_text().splitlines()
    assert json.loads(history[-1])["samples"] == 4


def test_a_detector_starts_from_another_ones_features(small, font, tmp_path):
    train_detector(**options(small, font, tmp_path / "first"))
    config = load_config(small)
    model = build_model(config)
    share_features(model, tmp_path / "first" / "model.safetensors")
    trained = load_file(tmp_path / "first" / "model.safetensors")
    assert torch.allclose(model.backbone.conv1.weight, trained["backbone.conv1.weight"].float(), atol=1e-3)
    assert not torch.allclose(
        model.rpn_head.rpn_conv.weight, trained["rpn_head.rpn_conv.weight"].float(), atol=1e-3
    )


def test_weights_come_back_in_float32(tmp_path):
    config = load_config(folder("mask_rcnn"))
    first, second = build_model(config), build_model(config)
    save_weights(first, tmp_path / "model.safetensors")
    second.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert other.dtype == torch.float32
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_detector_is_small_and_sees(name, glyphs):
    weights = folder(name) / "model.safetensors"
    assert weights.stat().st_size <= 6_000_000
    model = load_detector(folder(name))
    assert sum(parameter.numel() for parameter in model.parameters()) <= 3_000_000
    scenes = held_out(20, glyphs, usual=True, seed=2_468)
    side = load_config(folder(name)).test_scale[0]
    first, second = (detect(model, [scene.image for scene in scenes], side) for _ in range(2))
    assert miou_80(score_nouns(scenes, first)) > 0.6
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.masks, other.masks)
        assert np.array_equal(one.scores, other.scores)


def test_a_folder_without_a_detector_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"no config\.py"):
        load_detector(tmp_path)
    (tmp_path / "config.py").write_text("classes = ('cat',)\n")
    with pytest.raises(InputError, match="classes"):
        load_config(tmp_path)


def test_the_commands_train_a_detector_and_evaluate_it(font, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(learning, "VALIDATION_SCENES", 2)
    out, figures = tmp_path / "run", tmp_path / "figures.json"
    assert main(["train-detector", "--name", "mask_rcnn", "--steps", "1", "--out", str(out)]) == 0
    record = json.loads((out / "training.json").read_text())
    assert (record["detector"], record["steps"]) == ("mask_rcnn", 1)

    splits = {name: load_split("emoji", name).examples[:2] for name in ("scenes", "coco_gen", "unreal_gen")}
    write_dataset(tmp_path / "dataset", splits, dataset_card(6))
    options = ["--checkpoint", str(out / "model.safetensors"), "--dataset", str(tmp_path / "dataset")]
    command = ["evaluate-detector", "--name", "mask_rcnn", "--scenes", "2", *options]
    assert main([*command, "--output", str(figures)]) == 0
    assert json.loads(figures.read_text()).keys() >= set(splits)
    assert "unreal_gen" in capsys.readouterr().out


def test_the_command_line_names_missing_weights(tmp_path, capsys):
    command = ["evaluate-detector", "--name", "mask_rcnn", "--checkpoint", str(tmp_path / "none")]
    assert main(command) == 2
    assert "train-detector" in capsys.readouterr().err
