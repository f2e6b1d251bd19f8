"""What references of rivals are compared on: an image, its pipeline, and all attention of one call."""

from dataclasses import replace

import pytest

from daam_bench.datasets.load import load_split
from daam_bench.diffusion.pipelines import load_pipeline
from tests.segmenters.recorded_attention import recorded


@pytest.fixture(scope="module")
def query(generated_dataset):
    """An image to be noised, with two nouns of one token each."""
    first = load_split(generated_dataset, "coco_gen").queries()[0]
    return replace(first, seed=None, generation=None)


@pytest.fixture(scope="module")
def pipeline(tiny_model):
    return load_pipeline(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def attention(pipeline, query):
    """Layer -> probabilities (heads, places, keys) at one time step."""
    return recorded(pipeline, query, (300,))
