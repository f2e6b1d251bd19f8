"""What the package ships: the pipeline and the dataset, read by other people's tools alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset
from diffusers import PNDMScheduler, StableDiffusionPipeline
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from daam_bench import load_split
from daam_bench.datasets.card import add_configs, with_annotation
from daam_bench.datasets.write import content_digest
from daam_bench.emoji import PIPELINE
from daam_bench.emoji.world_nouns import BACKGROUNDS, NOUNS
from daam_bench.types.masks import decode
from tools.emoji import DEBIAN_FONT
from tools.emoji.checking.decisions import mask_kinds, masks_of, read_checks
from tools.emoji.checking.regions import BY
from tools.emoji.dataset import dataset_card, development_scenes

pytestmark = pytest.mark.slow

DATASET = Path(__file__).parents[2] / "annotations" / "emoji"
COUNTS = {"coco_gen": 150, "unreal_gen": 150, "scenes": 1000, "dev": 200}
SPLITS = tuple(COUNTS)


@pytest.fixture(scope="module")
def pipeline():
    loaded = StableDiffusionPipeline.from_pretrained(PIPELINE, torch_dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def splits():
    return {name: load_split("emoji", name) for name in SPLITS}


def test_the_pipeline_is_stable_diffusion_in_miniature(pipeline):
    down, up = pipeline.unet.config.down_block_types, pipeline.unet.config.up_block_types
    assert list(down) == ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]
    assert list(up) == ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]
    assert isinstance(pipeline.scheduler, PNDMScheduler)


def test_the_pipeline_loads_and_generates_without_any_option():
    pipeline = StableDiffusionPipeline.from_pretrained(PIPELINE)
    assert {model.dtype for model in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}
    assert pipeline("a boat on the sea", num_inference_steps=1).images[0].size == (64, 64)


def test_the_pipeline_is_small_and_safe():
    files = [path for path in PIPELINE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30e6
    assert {path.suffix for path in files} <= {".json", ".jsonl", ".safetensors", ".txt", ".md"}
    assert "SIL Open Font License" in (PIPELINE / "README.md").read_text()
    assert json.loads((PIPELINE / "training.json").read_text())["samples"] > 0


def test_the_dataset_loads_with_datasets_alone():
    dataset = load_dataset(str(DATASET))
    assert {name: len(split) for name, split in dataset.items()} == COUNTS
    example = dataset["unreal_gen"][0]
    assert example["image"].size == (64, 64)
    assert example["generation"]["steps"] == 50
    assert example["source"]["swapped_from"]


def test_the_card_is_the_one_that_the_dataset_is_built_with(splits):
    plain = dataset_card(sum(map(len, splits.values())))
    card = add_configs(with_annotation(plain, splits), list(splits), content_digest(DATASET))
    assert (DATASET / "README.md").read_text() == card


@pytest.mark.parametrize("split", ["coco_gen", "unreal_gen"])
def test_pycocotools_reads_the_same_masks(split, splits):
    coco = COCO(str(DATASET / f"{split}.coco.json"))
    pairs = sum(mask is not None for example in splits[split] for mask in example.masks)
    assert len(coco.anns) == pairs
    areas = sorted(int(coco_mask.area(annotation["segmentation"])) for annotation in coco.anns.values())
    ours = [decode(mask).sum() for example in splits[split] for mask in example.masks if mask is not None]
    assert areas == sorted(ours)


@pytest.mark.parametrize("split", SPLITS)
def test_examples_are_consistent(split, splits):
    for example in splits[split]:
        query = example.query
        for noun in query.nouns:
            assert query.prompt[noun.start : noun.end] == noun.text
            assert noun.lemma in NOUNS
            assert noun.lemma not in BACKGROUNDS
        assert all(query.prompt[t.start : t.end] == t.text for t in example.tokens)
        assert all(mask is None or mask.size == (64, 64) for mask in example.masks)
        assert example.annotation is not None


FINGERPRINTS = {
    "coco_gen": "47cdc24c9b071d919cfce31bbfdccd701e93387b52e95a51dda1995c180c8f4c",
    "unreal_gen": "fc91aca28fbdd586cdcc15133b61a263b2e13464ca97868c3d74094d472ecf77",
    "scenes": "abf4ec06126b37a3d42ba0e066f9b8a6ea9240fa158c16d63fdddbf5039f0066",
    "dev": "db99861d79b6069694ff3f7736d66013a6c2d713911b3052925aeed2bf9ba49e",
}
"""Of version 1.0: what is told of the masks' history may change, no image, noun or mask may."""


@pytest.mark.parametrize("split", SPLITS)
def test_the_version_s_images_nouns_and_masks_are_the_same(split, splits):
    assert splits[split].fingerprint == FINGERPRINTS[split]


@pytest.mark.parametrize("split", ["coco_gen", "unreal_gen"])
def test_every_mask_of_a_generated_image_is_what_its_check_decided(split, splits):
    checks = {check.id: check for check in read_checks(DATASET / "checks.jsonl")}
    for example in splits[split]:
        check = checks[example.query.id]
        assert not example.annotation.is_proposal
        assert (example.annotation.by, example.annotation.date) == (check.by, check.date)
        assert example.annotation.masks == mask_kinds(check)
        assert example.annotation.proposal == BY
        for mask, decided, noun in zip(example.masks, masks_of(check, example), check.nouns, strict=True):
            assert (mask is None) == (noun.decision == "not drawn")
            assert mask is None or np.array_equal(decode(mask), decided)


@pytest.mark.skipif(not DEBIAN_FONT.is_file(), reason="the emoji font is not installed")
def test_dev_is_composed_again_from_its_seed(splits):
    for ours, again in zip(splits["dev"], development_scenes(DEBIAN_FONT, 64), strict=True):
        assert (ours.id, ours.prompt, ours.query.nouns) == (again.id, again.prompt, again.query.nouns)
        assert np.array_equal(ours.image, again.image)
        assert ours.masks == again.masks


def test_dev_shares_no_image_with_another_split(splits):
    images = {name: {example.image.tobytes() for example in split} for name, split in splits.items()}
    assert len(images["dev"]) == 200
    assert not images["dev"] & (images["scenes"] | images["coco_gen"] | images["unreal_gen"])


def test_a_second_annotation_from_nothing_agrees(splits):
    examples = {example.query.id: example for split in splits.values() for example in split}
    second = read_checks(DATASET / "second_annotation.jsonl")
    assert len(second) == 40
    overlaps, same_presence = [], []
    for check in second:
        example = examples[check.id]
        assert {noun.decision for noun in check.nouns} <= {"annotated", "not drawn"}
        for first, mask in zip(example.masks, masks_of(check, example), strict=True):
            same_presence.append((first is None) == (not mask.any()))
            if first is not None and mask.any():
                overlaps.append((decode(first) & mask).sum() / (decode(first) | mask).sum())
    assert np.mean(overlaps) >= 0.915
    assert all(same_presence)


def test_unreal_gen_swaps_the_nouns_of_coco_gen(splits):
    lemmas = {
        name: [[noun.lemma for noun in example.query.nouns] for example in splits[name]]
        for name in ("coco_gen", "unreal_gen")
    }
    flat = {name: sorted(lemma for example in nouns for lemma in example) for name, nouns in lemmas.items()}
    assert flat["coco_gen"] == flat["unreal_gen"]
    for real, unreal in zip(lemmas["coco_gen"], lemmas["unreal_gen"], strict=True):
        assert all(a != b for a, b in zip(real, unreal, strict=True))


def test_every_noun_of_unreal_gen_stands_on_an_unusual_background_as_the_card_says(splits):
    named = {}
    for name in ("coco_gen", "unreal_gen"):
        named[name] = [
            (noun, {token.text for token in example.tokens} & set(BACKGROUNDS))
            for example in splits[name]
            for noun in example.query.nouns
        ]
    usual = {
        name: [bool(places & set(NOUNS[noun.lemma].usual)) for noun, places in pairs if places]
        for name, pairs in named.items()
    }
    assert (len(usual["coco_gen"]), sum(usual["coco_gen"])) == (221, 221)
    assert (len(usual["unreal_gen"]), sum(usual["unreal_gen"])) == (221, 0)
    with_background = [
        example
        for example in splits["unreal_gen"]
        if {token.text for token in example.tokens} & set(BACKGROUNDS)
    ]
    assert len(with_background) == 126
    assert "126 name a background, and the swap puts each of their 221 nouns" in (
        DATASET / "README.md"
    ).read_text().replace("\n", " ")


def test_seeds_count_up_in_order(splits):
    for name in ("coco_gen", "unreal_gen"):
        assert [example.query.seed for example in splits[name]] == list(range(150))
    for name in ("scenes", "dev"):
        assert all(example.query.generation is None for example in splits[name])


def test_the_pipeline_reproduces_the_shipped_images(pipeline, splits):
    examples = splits["coco_gen"].examples[:2]
    images = pipeline(
        [example.query.prompt for example in examples],
        num_inference_steps=50,
        guidance_scale=examples[0].query.generation.guidance_scale,
        generator=[torch.Generator().manual_seed(example.query.seed) for example in examples],
    ).images
    for image, example in zip(images, examples, strict=True):
        drift = np.abs(np.asarray(image, dtype=float) - np.asarray(example.query.image, dtype=float)).mean()
        assert drift < 4
