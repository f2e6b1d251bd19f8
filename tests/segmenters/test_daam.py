"""DAAM as a method, on a dataset that a tiny random pipeline generated."""

import json
import logging
import shutil
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch

from daam_bench.attribution.trace import trace
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.defaults import usual_generation
from daam_bench.diffusion.pipelines import load_pipeline, pick_device
from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.daam_mean import DaamMean
from daam_bench.segmenters.head_selection import HeadSelection
from daam_bench.segmenters.segment import count_drifted, segment
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from tests.tiny_dataset import make_generated_dataset
from tests.tiny_diffusion_transformers import ALL


@pytest.fixture(scope="module")
def split(generated_dataset):
    return load_split(generated_dataset, "coco_gen")


def test_the_maps_are_those_of_a_trace(split, tiny_model):
    query = split.queries()[0]
    (maps,) = Daam(device="cpu").segment([query])
    pipeline = load_pipeline(str(tiny_model), device="cpu")
    pipeline.scheduler = scheduler_of(query, pipeline)
    with trace(pipeline) as tracer:
        pipeline(
            query.prompt,
            num_inference_steps=2,
            guidance_scale=5.0,
            height=16,
            width=24,
            generator=torch.Generator("cpu").manual_seed(query.seed),
        )
    traced = tracer.heat_maps()[0]
    for noun, heat_map in zip(query.nouns, maps, strict=True):
        np.testing.assert_array_equal(heat_map, traced.word(noun.start, noun.end))


def scheduler_of(query: Query, pipeline: diffusers.DiffusionPipeline) -> diffusers.SchedulerMixin:
    return getattr(diffusers, query.generation.scheduler).from_config(pipeline.scheduler.config)


def test_the_images_are_reproduced(split):
    method = Daam(device="cpu")
    method.segment(split.queries())
    assert method.drift.keys() == {query.id for query in split.queries()}
    assert max(method.drift.values()) < 0.05


def test_maps_hardly_depend_on_the_batch(split):
    together = Daam(device="cpu").segment(split.queries())
    alone = [maps for query in split.queries() for maps in Daam(device="cpu", batch_size=1).segment([query])]
    np.testing.assert_allclose(np.asarray(together), np.asarray(alone), rtol=1e-3, atol=1e-4)


def test_queries_of_different_settings_in_one_batch(split):
    one, two, three = split.queries()[:3]
    two = replace(two, generation=replace(two.generation, height=24, width=16, steps=3))
    maps = Daam(device="cpu").segment([one, two, three])
    assert [row[0].shape for row in maps] == [(8, 12), (12, 8), (8, 12)]
    np.testing.assert_allclose(maps[2][0], Daam(device="cpu").segment([three])[0][0], rtol=1e-3, atol=1e-4)


def test_images_that_come_out_different_are_counted(split, tmp_path):
    first = split.examples[0]
    other = replace(first, query=replace(first.query, seed=12345))
    changed = replace(split, examples=(other, *split.examples[1:]))
    method = Daam(device="cpu")
    segment(method, changed, tmp_path, batch_size=2, progress=False)
    assert count_drifted(tmp_path, method.tolerance) == 1
    segment(method, changed, tmp_path, batch_size=2, progress=False)
    assert count_drifted(tmp_path, method.tolerance) == 1


def test_images_that_no_model_generated_are_noised_and_traced(split, tiny_model):
    query = split.queries()[0]
    photograph = replace(query, seed=None, generation=None)
    method = Daam(device="cpu", default_model=str(tiny_model), timesteps=(100, 500))
    (maps,) = method.segment([photograph])
    assert maps[0].shape == (8, 12)
    assert method.drift == {}
    assert not np.array_equal(maps[0], Daam(device="cpu").segment([query])[0][0])


def test_an_image_that_no_model_generated_needs_one(split):
    with pytest.raises(InputError, match="no model generated the image of example 'coco_gen-0'"):
        Daam(device="cpu").segment([replace(split.queries()[0], seed=None, generation=None)])


def test_a_recorded_model_that_cannot_be_loaded(split, tmp_path):
    query = split.queries()[0]
    lost = replace(query, generation=replace(query.generation, model=str(tmp_path / "lost")))
    with pytest.raises(
        InputError, match=r"no model .*lost': no such folder; .*with the option model"
    ) as caught:
        Daam(device="cpu").segment([lost])
    assert "\n" not in str(caught.value)


def test_another_copy_of_the_model_can_be_named(split, tiny_model, tmp_path):
    query = split.queries()[0]
    lost = replace(query, generation=replace(query.generation, model=str(tmp_path / "lost")))
    named = Daam(device="cpu", model=str(tiny_model))
    np.testing.assert_array_equal(named.segment([lost])[0][0], Daam(device="cpu").segment([query])[0][0])
    assert named.parameters["model"] == str(tiny_model)


def test_a_scheduler_that_is_unknown(split):
    query = split.queries()[0]
    with pytest.raises(InputError, match="has no scheduler 'NoScheduler'"):
        Daam(device="cpu").segment(
            [replace(query, generation=replace(query.generation, scheduler="NoScheduler"))]
        )


def test_a_noun_past_the_tokenizers_limit_has_no_map(split, caplog):
    query = split.queries()[0]
    prompt = query.prompt + " on the grass and the grass and the grass and the hat"
    late = Noun("hat", "hat", len(prompt) - 3, len(prompt), None)
    with caplog.at_level(logging.WARNING):
        (maps,) = Daam(device="cpu").segment([replace(query, prompt=prompt, nouns=(*query.nouns, late))])
    assert [heat_map is None for heat_map in maps] == [False, False, True]
    assert "cut off 'hat'" in caplog.text


def test_minmax_stretches_each_map_at_the_images_size(split):
    query = split.queries()[0]
    plain = Daam(device="cpu").segment([query])[0][0]
    stretched = Daam(device="cpu", normalize="minmax").segment([query])[0][0]
    expected = plain.resize(query.image.size).threshold(0.2, normalize="minmax")
    np.testing.assert_array_equal(stretched.resize(query.image.size).threshold(0.2), expected)
    assert not np.array_equal(plain.resize(query.image.size).threshold(0.2), expected)


@pytest.mark.parametrize("method", [Daam, DaamMean, HeadSelection])
def test_minmax_begins_at_the_lowest_value_of_the_bicubic_map(method, split):
    """Bicubic values undershoot beside an edge; castorini's minimum is that of the map with its negatives."""
    values = np.zeros((8, 12), np.float32)
    values[:, 6:] = 1
    heat_map, image = HeatMap(values), TracedImage(split.queries()[0], None, 0)
    size = image.query.image.size
    assert heat_map.resize(size).signed.min() < 0
    stretched = method(device="cpu", normalize="minmax").normalized(heat_map, image)
    for tau in (0.01, 0.05, 0.1, 0.5):
        expected = heat_map.resize(size).threshold(tau, normalize="minmax")
        np.testing.assert_array_equal(stretched.threshold(tau), expected)


def test_the_middle_block_on_request(split):
    query = split.queries()[0]
    with_middle = Daam(device="cpu", blocks=("down", "mid", "up"))
    assert not np.array_equal(with_middle.segment([query])[0][0], Daam(device="cpu").segment([query])[0][0])


def test_parameters_tell_what_the_maps_depend_on():
    parameters = Daam(device="cpu", dtype="float32", timesteps=[1, 2]).parameters
    assert json.loads(json.dumps(parameters)) == parameters
    assert parameters["blocks"] is None
    assert parameters["timesteps"] == [1, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"device": "cuda:99"}, "device 'cuda:99' can't be used here"),
        ({"device": "toaster"}, "device 'toaster' can't be used here"),
        ({"normalize": "sum"}, "normalize must be"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
    ],
)
def test_bad_options(split, options, expected):
    with pytest.raises(InputError, match=expected):
        Daam(**{"device": "cpu", **options}).segment(split.queries()[:1])


def test_auto_picks_a_device_that_works():
    torch.empty(1, device=pick_device("auto"))


def test_a_safety_checker_is_left_out(tiny_model, tmp_path):
    copy = shutil.copytree(tiny_model, tmp_path / "checked")
    index = json.loads((copy / "model_index.json").read_text())
    checker = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index |= {"safety_checker": checker, "requires_safety_checker": True}
    (copy / "model_index.json").write_text(json.dumps(index))
    assert load_pipeline(str(copy), device="cpu").safety_checker is None


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_datasets_of_diffusion_transformers(family, tmp_path):
    """A dataset that a transformer generated is reproduced and traced like any other; so are given images."""
    ALL[family]().save_pretrained(tmp_path / "model")
    pipeline = load_pipeline(str(tmp_path / "model"), device="cpu")
    generation = usual_generation(pipeline, str(tmp_path / "model"), steps=2, height=64, width=32)
    folder = make_generated_dataset(tmp_path / "data", pipeline, generation)
    queries = load_split(folder, "coco_gen").queries()[:2]
    method = Daam(device="cpu", default_model=str(tmp_path / "model"))
    for maps, query in zip(method.segment(queries), queries, strict=True):
        assert [heat_map.shape for heat_map in maps] == [(16, 8)] * len(query.nouns)
        assert all(heat_map.values.max() > 0 for heat_map in maps)
    assert max(method.drift.values()) < 0.05
    given = [replace(query, generation=None, seed=None) for query in queries]
    assert all(heat_map.values.max() > 0 for maps in method.segment(given) for heat_map in maps)
