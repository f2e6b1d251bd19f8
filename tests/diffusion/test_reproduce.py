"""Reproducing a dataset's images, and their drift."""

from dataclasses import replace

import pytest
from PIL import Image

from daam_bench.datasets.load import load_split
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.diffusion.reproduce import DRIFT_TOLERANCE, mean_difference, reproduce, settings_of
from daam_bench.types.errors import InputError


@pytest.fixture(scope="module")
def queries(generated_dataset):
    return load_split(generated_dataset, "coco_gen").queries()


@pytest.fixture(scope="module")
def pipeline(tiny_model):
    return load_pipeline(str(tiny_model), device="cpu")


def test_the_same_seed_gives_the_same_image_and_another_seed_another(queries, pipeline):
    first, second = queries[:2]
    drift = reproduce(pipeline, [first, replace(second, seed=12345)], first.generation)
    assert drift.keys() == {first.id, second.id}
    assert drift[first.id] < 0.05
    assert drift[second.id] > DRIFT_TOLERANCE


def test_an_image_without_its_seed_is_refused(queries, pipeline):
    lost = replace(queries[0], seed=None)
    with pytest.raises(InputError, match=r"'coco_gen-0' records how it was generated but no seed"):
        reproduce(pipeline, [lost], lost.generation)


def test_queries_share_a_batch_if_they_share_a_generation_or_a_size(queries):
    first, second = queries[:2]
    longer = replace(first, generation=replace(first.generation, steps=3))
    assert settings_of(first) == settings_of(second) != settings_of(longer)
    given = replace(first, seed=None, generation=None)
    larger = replace(given, image=Image.new("RGB", (48, 32)))
    assert settings_of(given) != settings_of(first)
    assert settings_of(given) != settings_of(larger)


def test_the_difference_of_two_images():
    black, white = Image.new("RGB", (2, 2)), Image.new("RGB", (2, 2), "white")
    assert mean_difference(black, black) == 0
    assert mean_difference(black, white) == 255
    assert mean_difference(black, Image.new("RGB", (2, 3))) == 255
