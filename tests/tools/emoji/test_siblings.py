"""Datasets of sibling generators, and images that are stored as WebP."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daam_bench import load_split
from daam_bench.datasets import load as loading
from daam_bench.datasets.load import load_whole, locate
from daam_bench.datasets.write import write_dataset
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.emoji import ANNOTATOR, PIPELINE, SIBLINGS, generators
from daam_bench.emoji.generators import generator_folder
from daam_bench.scoring.report import count_proposals
from daam_bench.types.errors import InputError
from tests.tiny_dataset import make_dataset
from tools.emoji import evaluate
from tools.emoji.__main__ import main


@pytest.mark.parametrize("name", SIBLINGS)
def test_a_sibling_that_is_not_built_says_how_to_build_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_PACKAGE", tmp_path / "daam_bench")
    with pytest.raises(
        InputError, match=f"the dataset '{name}' is not at .*tools.emoji sibling --name {name}"
    ) as caught:
        locate(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["annotations", "daam_bench/annotations"])
def test_a_sibling_is_found_by_name_where_it_is(place, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_PACKAGE", tmp_path / "daam_bench")
    folder = make_dataset(tmp_path / place / "emoji-sd3")
    assert locate("emoji-sd3") == folder
    assert load_split("emoji-sd3", "coco_gen").dataset == "emoji-sd3"


@pytest.mark.parametrize("split", ["coco_gen", "unreal_gen"])
@pytest.mark.parametrize("name", SIBLINGS)
def test_a_sibling_has_the_prompts_of_the_shipped_dataset_and_unchecked_masks(name, split):
    ours, shipped = load_split(name, split), load_split("emoji", split)
    assert [(one.prompt, one.query.nouns, one.query.seed) for one in ours] == [
        (one.prompt, one.query.nouns, one.query.seed) for one in shipped
    ]
    assert ours.model == name
    assert count_proposals(ours).images == len(ours) == 150
    assert not any(np.array_equal(one.image, other.image) for one, other in zip(ours, shipped, strict=True))


@pytest.mark.parametrize("name", SIBLINGS)
def test_the_scenes_of_a_sibling_are_the_shipped_ones(name):
    ours, shipped = load_split(name, "scenes"), load_split("emoji", "scenes")
    assert ours.fingerprint == shipped.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("name", SIBLINGS)
def test_the_images_of_a_sibling_come_from_its_weights(name):
    split = load_split(name, "coco_gen")[:2]
    pipeline = load_pipeline(name)
    generation = split[0].query.generation
    again = generate(
        pipeline, [one.prompt for one in split], [one.query.seed for one in split], generation, batch_size=2
    )
    for one, made in zip(split, again, strict=True):
        assert np.abs(np.asarray(one.image, int) - np.asarray(made.image, int)).mean() < 1


def test_generators_have_their_folders_by_name():
    assert generator_folder("emoji") == PIPELINE
    assert generator_folder("someone/else") is None


def test_a_sibling_that_is_not_trained_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(generators, "_PLACES", (tmp_path / "package", tmp_path / "weights"))
    with pytest.raises(InputError, match=r"'emoji-sd3' is not at .*weights"):
        load_pipeline("emoji-sd3")
    (tmp_path / "weights" / "emoji-sd3").mkdir(parents=True)
    (tmp_path / "weights" / "emoji-sd3" / "model_index.json").write_text("{}")
    assert generator_folder("emoji-sd3") == tmp_path / "weights" / "emoji-sd3"


def test_a_pipeline_that_is_not_there_is_one_line(tmp_path, capsys):
    options = [
        "--name",
        "emoji-seed2",
        "--pipeline",
        str(tmp_path / "none"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["sibling", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_sibling_has_the_prompts_and_scenes_of_the_shipped_dataset_and_proposed_masks(tmp_path, capsys):
    options = ["--name", "emoji-seed2", "--pipeline", str(PIPELINE), "--limit", "1"]
    assert main(["sibling", *options, "--output", str(tmp_path / "out")]) == 0
    assert "coco_gen: 1 examples" in capsys.readouterr().out
    for name in ("coco_gen", "unreal_gen"):
        ours, shipped = load_split(tmp_path / "out", name), load_split("emoji", name)
        assert (ours[0].prompt, ours[0].query.nouns, ours[0].query.seed) == (
            shipped[0].prompt,
            shipped[0].query.nouns,
            shipped[0].query.seed,
        )
        assert ours.model == "emoji-seed2"
        assert count_proposals(ours).images == 1
    scenes = load_split(tmp_path / "out", "scenes")
    assert np.array_equal(scenes[0].image, load_split("emoji", "scenes")[0].image)
    assert count_proposals(scenes) is None
    card = (tmp_path / "out" / "README.md").read_text()
    assert "nobody has looked at" in card


def test_webp_images_are_stored_losslessly_and_come_to_the_same_again(tmp_path):
    whole = load_whole(make_dataset(tmp_path / "data"))
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = tmp_path / "noise.webp"
    Image.fromarray(noise).save(path, lossless=True)
    with Image.open(path) as image:
        image.load()
    example = whole.splits["coco_gen"][0]
    size = (example.query.image.height, example.query.image.width)
    if size != (32, 32):
        image = image.resize(size[::-1])
        image.format = "WEBP"
    changed = replace(example, query=replace(example.query, image=image))
    write_dataset(tmp_path / "one", {"coco_gen": [changed]}, whole.card)
    first = load_split(tmp_path / "one", "coco_gen")
    assert first[0].image.format == "WEBP"
    assert np.array_equal(first[0].image, image)
    write_dataset(tmp_path / "two", {"coco_gen": first.examples}, whole.card)
    assert load_split(tmp_path / "two", "coco_gen").fingerprint == first.fingerprint


@pytest.mark.parametrize(("name", "steps"), [("emoji", 50), ("emoji-sd3", 28)])
def test_a_generator_is_evaluated_as_its_images_are_made(name, steps, monkeypatch, tmp_path):
    class AskedError(Exception):
        """Carries how images were to be generated."""

    def ask(pipeline, prompts, seeds, generation, **options):
        assert len(prompts) == len(seeds) == 120
        raise AskedError(generation)

    monkeypatch.setattr(evaluate, "generate", ask)
    options = {"pipeline": None, "annotator": ANNOTATOR, "output": tmp_path}
    with pytest.raises(AskedError) as asked:
        evaluate.evaluate_pipeline(name=name, guidance=2.5, steps=None, **options)
    (generation,) = asked.value.args
    assert (generation.model, generation.steps, generation.guidance_scale) == (name, steps, 2.5)
    assert ("max_sequence_length" in (generation.arguments or "")) == (name == "emoji-sd3")
