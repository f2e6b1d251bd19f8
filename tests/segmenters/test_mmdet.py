"""Detectors of MMDetection, tiny and with random weights, against MMDetection's own inference."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.run import main
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters.registry import get_segmenter, make_segmenter
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CLASSES

pytestmark = pytest.mark.slow

pytest.importorskip("mmcv.ops", reason="needs MMDetection: `make mmdet` installs it", exc_type=ImportError)

ROUNDING = 0.01
"""Share of pixels that may differ where only the order of a sum does: random weights leave some undecided."""

NAMES = ("mask_rcnn", "queryinst", "mask2former")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Name -> (config, weights) of a tiny detector."""
    from mmengine.logging import MMLogger

    from tests.segmenters.tiny_detectors import write_detector

    MMLogger.get_instance("mmengine", log_level="ERROR")
    folder = tmp_path_factory.mktemp("detectors")
    return {name: write_detector(name, folder / name) for name in NAMES}


def make(tiny, name, **options):
    config, checkpoint = tiny[name]
    return get_segmenter(name, config=str(config), checkpoint=str(checkpoint), device="cpu", **options)


def query(size=(56, 40), nouns=("cat", "pizza", "moon", "bus"), seed=0):
    """A query with a noisy image of size (width, height); a "moon" is no COCO class."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., 0] //= 4
    found = tuple(Noun(word, word, 0, 1, None if word == "moon" else word) for word in nouns)
    return Query(f"q{seed}", " ".join(nouns), Image.fromarray(pixels), found, None, None)


def raw_instances(tiny, name, path):
    """What MMDetection itself finds in an image file."""
    from mmdet.apis import inference_detector, init_detector

    from daam_bench.segmenters.mmdet.detector import pasting_anywhere

    config, checkpoint = tiny[name]
    with pasting_anywhere():
        sample = inference_detector(init_detector(config, str(checkpoint), device="cpu"), str(path))
    return sample.pred_instances


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_mask_is_the_union_of_the_instances_of_its_class_at_or_above_the_score(tiny, name, tmp_path):
    asked = query()
    asked.image.save(tmp_path / "image.png")
    raw = raw_instances(tiny, name, tmp_path / "image.png")
    counted = {}
    for score in (0.0, float(raw.scores.sort().values[len(raw) // 2])):
        cat, pizza, moon, bus = make(tiny, name, score=score).segment([asked])[0]
        kept = raw.scores.double() >= score
        for label, mask in ((0, cat), (1, pizza)):
            union = raw.masks[kept & (raw.labels == label)].any(dim=0).numpy()
            empty = np.zeros_like(union)  # None: nothing was found
            assert ((empty if mask is None else mask) != union).mean() < ROUNDING
        assert moon is None
        assert bus is None
        found = [mask for mask in (cat, pizza) if mask is not None]
        assert all(mask.shape == (40, 56) and mask.dtype == np.bool_ for mask in found)
        counted[score] = sum(int(mask.sum()) for mask in found)
    assert min(counted.values()) < max(counted.values())


@pytest.mark.parametrize("name", NAMES)
def test_channels_are_handed_over_in_the_order_the_model_was_trained_with(tiny, name):
    asked = query()
    swapped = replace(asked, image=Image.fromarray(np.asarray(asked.image)[..., ::-1].copy()))
    method = make(tiny, name, score=0.0)
    seen = []
    method._detector._model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.segment([asked])
    method.segment([swapped])
    mean = np.array([123.675, 116.28, 103.53])
    std = np.array([58.395, 57.12, 57.375])
    red, blue = (float(inputs[0, 0, 2:40, 2:60].mean()) * std[0] + mean[0] for inputs in seen)
    pixels = np.asarray(asked.image)
    assert red == pytest.approx(pixels[..., 0].mean(), abs=3)
    assert blue == pytest.approx(pixels[..., 2].mean(), abs=3)


@pytest.mark.parametrize("name", NAMES)
def test_a_result_does_not_depend_on_its_batch(tiny, name):
    queries = [query(seed=0), query((30, 30), seed=1), query(seed=2), query((56, 40), ("dog",), seed=3)]
    method = make(tiny, name, score=0.0)
    together = method.segment(queries)
    by_two = make(tiny, name, score=0.0, batch_size=2, threads=1).segment(queries)
    for place, asked in enumerate(queries):
        alone = method.segment([asked])[0]
        for index, mask in enumerate(alone):
            if mask is None:
                assert together[place][index] is None
                continue
            assert mask.shape == (asked.image.height, asked.image.width)
            assert (mask != together[place][index]).mean() < ROUNDING
            assert (mask != by_two[place][index]).mean() < ROUNDING


def test_a_box_outside_the_image_is_an_empty_mask(tiny, tmp_path):
    import torch
    from mmdet.apis import inference_detector, init_detector

    config, checkpoint = tiny["queryinst"]
    state = torch.load(checkpoint)
    last = "roi_head.bbox_head.1.fc_reg.bias"
    state[last] = torch.tensor([8.0, 0.0, 0.0, 0.0])
    torch.save(state, tmp_path / "outside.pth")
    model = init_detector(config, str(tmp_path / "outside.pth"), device="cpu")
    asked = query()
    with pytest.raises(RuntimeError):
        inference_detector(model, np.asarray(asked.image))
    method = make({"queryinst": (config, tmp_path / "outside.pth")}, "queryinst", score=0.0)
    cat, pizza, *_ = method.segment([asked])[0]
    assert not cat.any()
    assert not pizza.any()


def test_mmdet_s_own_pasting_is_back_after_the_block():
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    from daam_bench.segmenters.mmdet.detector import pasting_anywhere

    before = fcn_mask_head._do_paste_mask
    with suppress(ZeroDivisionError), pasting_anywhere():
        assert fcn_mask_head._do_paste_mask is not before
        raise ZeroDivisionError
    assert fcn_mask_head._do_paste_mask is before


def test_the_command_line_runs_any_config(tiny, tiny_dataset, tmp_path, capsys):
    config, checkpoint = tiny["mask2former"]
    argv = ["--method", "mmdet", "--config", str(config), "--checkpoint", str(checkpoint), "--score", "0.1"]
    argv += ["--option", "threads=1", "--device", "cpu", "--dataset", str(tiny_dataset)]
    assert main([*argv, "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert report.method == "mmdet"
    assert report.parameters["checkpoint"] == "model.pth"
    assert report.parameters["score"] == 0.1
    assert len(report.parameters["sha256"]) == 64
    assert list(report.splits["coco_gen"]) == ["none"]
    assert report.environment.device == "cpu"


def test_classes_that_are_none_of_coco_s_are_mapped_or_left_out(tiny, tmp_path):
    config, checkpoint = tiny["mask_rcnn"]
    renamed = tmp_path / "config.py"
    renamed.write_text(config.read_text().replace("'dog'", "'doggy'"))
    options = {"config": str(renamed), "checkpoint": str(checkpoint), "score": 0.0, "device": "cpu"}
    asked = query(nouns=("dog", "cat"))
    with pytest.raises(
        InputError, match=r"1 of the 3 classes of the detector .* COCO's 80 .doggy.; map them"
    ):
        get_segmenter("mmdet", **options).segment([asked])
    dog, _ = get_segmenter("mmdet", **options, classes={}).segment([asked])[0]
    assert dog is None
    dog, _ = get_segmenter("mmdet", **options, classes={"doggy": "dog"}).segment([asked])[0]
    np.testing.assert_array_equal(dog, make(tiny, "mask_rcnn", score=0.0).segment([asked])[0][0])


def message(**options) -> str:
    with pytest.raises(InputError) as caught:
        get_segmenter("mmdet", device="cpu", **options).segment([query()])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_another_config_are_told(tiny):
    config, _ = tiny["mask_rcnn"]
    _, other = tiny["mask2former"]
    assert "parameters are missing" in message(config=str(config), checkpoint=str(other))


def test_a_config_whose_classes_are_not_its_model_s_is_told(tiny, tmp_path):
    config, checkpoint = tiny["mask_rcnn"]
    (tmp_path / "config.py").write_text(config.read_text().replace("'dog',", ""))
    expected = "2 classes are named for the config"
    assert expected in message(config=str(tmp_path / "config.py"), checkpoint=str(checkpoint))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = dict(", "can't be read: SyntaxError"),
        ("classes = 3", "has no `model`"),
        (
            "model = dict(type='Mask2Farmer')\nmetainfo = dict(classes=['cat'])\ntest_scale = (8, 8)",
            "no model",
        ),
        ("model = dict(type='MaskRCNN')\nmetainfo = dict(classes=['cat'])", "neither `test_dataloader` nor"),
        ("model = dict(type='MaskRCNN')\ntest_scale = (8, 8)", "name the classes; add `metainfo`"),
    ],
)
def test_what_is_wrong_with_a_config_is_told(text, expected, tiny, tmp_path):
    (tmp_path / "config.py").write_text(text)
    _, checkpoint = tiny["mask_rcnn"]
    assert expected in message(config=str(tmp_path / "config.py"), checkpoint=str(checkpoint))


def test_a_mistyped_config_meets_a_guess():
    config = "mask_rcnn/mask-rcnn_r50_fpn_1x_cocos.py"
    assert "did you mean 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'?" in message(config=config)
    assert "no such file, and none of MMDetection's" in message(config="/nowhere/config.py")
    assert "name it with --config" in message()


@pytest.mark.parametrize("name", NAMES)
def test_official_weights_that_are_not_there_are_named_with_their_address_and_place(
    name, monkeypatch, tmp_path
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        make_segmenter(name, {"device": "cpu"}, {"default_model": "someone/stable-diffusion"})
    text = str(caught.value)
    assert f"not at {tmp_path / 'hub' / 'checkpoints'}" in text
    assert "--checkpoint https://download.openmmlab.com/mmdetection/" in text
    assert text.endswith(".pth")
    assert not any(tmp_path.rglob("*.pth"))


def test_weights_beside_a_config_need_no_option(tiny, tmp_path):
    import torch
    from safetensors.torch import save_file

    config, checkpoint = tiny["mask_rcnn"]
    (tmp_path / "config.py").write_text(config.read_text())
    state = {key: value.contiguous() for key, value in torch.load(checkpoint).items()}
    save_file(state, tmp_path / "model.safetensors")
    method = get_segmenter("mmdet", config=str(tmp_path / "config.py"), score=0.0, device="cpu")
    expected = make(tiny, "mask_rcnn", score=0.0).segment([query()])[0]
    np.testing.assert_array_equal(method.segment([query()])[0][0], expected[0])


def test_a_config_may_name_a_scale_instead_of_a_pipeline(tiny, tmp_path):
    config, checkpoint = tiny["mask_rcnn"]
    from mmengine.config import Config

    short = Config({"model": Config.fromfile(config).model, "test_scale": (64, 64)})
    short.metainfo = {"classes": ("cat", "pizza", "dog")}
    short.dump(tmp_path / "config.py")
    method = get_segmenter(
        "mmdet", config=str(tmp_path / "config.py"), checkpoint=str(checkpoint), score=0.0, device="cpu"
    )
    expected = make(tiny, "mask_rcnn", score=0.0).segment([query()])[0]
    np.testing.assert_array_equal(method.segment([query()])[0][0], expected[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_detector_segments_the_shipped_scenes(name, tmp_path):
    from daam_bench.segmenters.mmdet.detector_files import WEIGHTS, shipped_config

    if not shipped_config(name).with_name(WEIGHTS).is_file():
        pytest.skip("its weights are not shipped yet")
    argv = ["--method", name, "--split", "scenes", "--limit", "8", "--output", str(tmp_path)]
    assert main([*argv, "--device", "cpu"]) == 0
    report = read_report(tmp_path / "report.json")
    assert report.parameters["config"] == f"emoji/{name}"
    assert report.splits["scenes"]["none"].miou_80 > 0.5
    assert report.splits["scenes"]["none"].coverage < 1  # not every noun is a COCO class


def test_backbones_are_not_downloaded():
    from daam_bench.segmenters.mmdet.detector import _without_pretrained

    model = {
        "pretrained": "torchvision://resnet50",
        "backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": "https://example.org/x.pth"}},
        "heads": [{"init_cfg": {"type": "Normal"}}],
    }
    assert _without_pretrained(model) == {
        "backbone": {"init_cfg": None},
        "heads": [{"init_cfg": {"type": "Normal"}}],
    }


@pytest.mark.parametrize(
    "config",
    [
        "mask_rcnn/mask-rcnn_r101_fpn_ms-poly-3x_coco.py",
        "queryinst/queryinst_r101_fpn_300-proposals_crop-ms-480-800-3x_coco",
        "mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py",
    ],
)
def test_the_official_configs_have_published_weights_and_coco_s_classes(config):
    from daam_bench.segmenters.mmdet.detector import read_config
    from daam_bench.segmenters.mmdet.detector_files import find_config, published_weights

    path = find_config(config)
    assert read_config(path).classes == CLASSES
    assert path.is_file()
    assert path.name.split("_")[0].replace("-", "") in Path(published_weights(path)).name.replace("_", "")
