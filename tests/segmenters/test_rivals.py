"""What all methods on the generator have in common, on a dataset that a tiny random pipeline generated."""

import inspect
import json
import logging
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from daam_bench.datasets.load import load_split
from daam_bench.diffusion import pipelines
from daam_bench.diffusion.defaults import usual_generation
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.segmenters import traced_image
from daam_bench.segmenters.bundle import Bundle
from daam_bench.segmenters.cards import TRACKS, card_of
from daam_bench.segmenters.generator_method import AttentionMethod, GeneratorMethod
from daam_bench.segmenters.registry import OURS, find_method, get_segmenter
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from tests.tiny_dataset import make_generated_dataset
from tests.tiny_diffusion_transformers import ALL

OPTIONS = {
    "seg4diff": {"layer": 1, "streams": None},
    "diffseg": {"thresholds": [0.01]},
    "diffseg-dev": {"thresholds": [0.01]},
    "ovam-tokens": {"steps": 5},
}
"""What a method is given where its default is made for larger models."""

METHODS = [
    name
    for name in OURS
    if name != "mmdet"
    and isinstance(find_method(name), type(GeneratorMethod))
    and issubclass(find_method(name), GeneratorMethod)
]
JOINT = [name for name in METHODS if "joint attention" in (card_of(find_method(name)).needs or "")]
ON_UNETS = [name for name in METHODS if name not in JOINT]
ANY_LENGTH = ("ovam", "ovam-dev", "ovam-tokens", "drop-word")
"""Methods to which the place of a noun in the prompt is nothing."""

BY_IMAGE = [name for name in ON_UNETS if not issubclass(find_method(name), AttentionMethod)]


def make(name, **options):
    return get_segmenter(name, **{"device": "cpu", **OPTIONS.get(name, {}), **options})


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Let all methods of this module have the same pipelines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines, "load_pipeline", cache(pipelines.load_pipeline))
        yield


@pytest.fixture(scope="module")
def split(generated_dataset):
    return load_split(generated_dataset, "coco_gen")


@pytest.fixture(scope="module")
def maps(split):
    """Each method's maps of the first two images."""
    return {name: make(name).segment(split.queries()[:2]) for name in ON_UNETS}


def test_all_of_them_are_here():
    assert set(METHODS) >= {"daam", "daam-self", "iseg", "ovam", "drop-word", "jvp", "seg4diff"}
    assert JOINT == ["anchor-diff", "concept-attention", "seg4diff"]
    assert BY_IMAGE == ["drop-word", "gradient", "jvp"]


@pytest.mark.parametrize("name", ON_UNETS)
def test_one_map_for_each_noun_that_is_not_the_same_everywhere(name, maps, split):
    for query, found in zip(split.queries()[:2], maps[name], strict=True):
        assert len(found) == len(query.nouns)
        for heat_map in found:
            values = np.asarray(heat_map)
            assert values.shape in ((8, 12), (16, 24))
            assert values.max() > values.min()
        assert not np.array_equal(found[0], found[1])


@pytest.mark.parametrize("name", ON_UNETS)
def test_the_same_maps_again_and_hardly_others_alone(name, maps, split):
    again = make(name).segment(split.queries()[:2])
    np.testing.assert_array_equal(np.asarray(again), np.asarray(maps[name]))
    alone = [make(name).segment([query])[0] for query in split.queries()[:2]]
    np.testing.assert_allclose(np.asarray(alone), np.asarray(maps[name]), rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("name", ON_UNETS)
def test_images_that_no_model_generated(name, split, tiny_model):
    given = replace(split.queries()[0], seed=None, generation=None)
    (found,) = make(name, default_model=str(tiny_model)).segment([given])
    assert all(heat_map.values.max() > 0 for heat_map in found)
    with pytest.raises(InputError, match="name one with --model") as caught:
        make(name).segment([given])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_are_all_options_but_where_it_runs(name):
    method = make(name)
    assert json.loads(json.dumps(method.parameters)) == method.parameters
    options = set(inspect.signature(find_method(name)).parameters)
    assert set(method.parameters) == options - {"device", "batch_size", "offload", "variant"}
    assert make(name, variant="fp16").parameters == {**method.parameters, "variant": "fp16"}


@pytest.mark.parametrize("name", METHODS)
def test_each_says_its_track_cost_and_paper(name):
    card = card_of(find_method(name))
    assert card.track in TRACKS
    assert "arXiv" in card.paper
    assert card.calls


@pytest.mark.parametrize("name", [name for name in ON_UNETS if name not in ANY_LENGTH])
def test_a_noun_past_the_tokenizers_limit_has_no_map(name, split, caplog):
    query = split.queries()[0]
    prompt = query.prompt + " on the grass and the grass and the grass and the hat"
    late = Noun("hat", "hat", len(prompt) - 3, len(prompt), None)
    with caplog.at_level(logging.WARNING):
        (found,) = make(name).segment([replace(query, prompt=prompt, nouns=(*query.nouns, late))])
    assert [heat_map is None for heat_map in found] == [False, False, True]
    assert "cut off 'hat'" in caplog.text


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("daam-self", {"power": 0}, "power must be a whole number of at least 1"),
        ("head-selection", {"share": 0.0}, "share is the part of the heads"),
        ("head-selection", {"heads": ["up"]}, "heads are pairs"),
        ("head-selection", {"heads": [["nowhere", 0]]}, "has no head 0 of a traced layer 'nowhere'"),
        ("diffsegmenter", {"weights": {"1": -1}}, "weights says how much each resolution counts"),
        ("diffsegmenter", {"weights": {}}, "weights says how much each resolution counts"),
        ("diffsegmenter", {"weights": {"16": 1}}, "maps at 1/16 of the latents' size, and this denoiser has"),
        ("diffsegmenter", {"source": "photo"}, "source must be"),
        ("iseg", {"iterations": -1}, "iterations must be"),
        ("iseg", {"entropy": -0.1}, "entropy must be"),
        ("diffseg", {"naming": "mode"}, "naming must be"),
        ("diffseg", {"thresholds": []}, "thresholds must be"),
        ("diffseg", {"anchors": 1}, "anchors must be"),
        ("daam-superpixels", {"superpixels": "watershed"}, "superpixels must be"),
        ("daam-superpixels", {"segments": 0}, "segments must be"),
        ("ovam", {"template": "an image"}, "template must have a place"),
        ("ovam", {"scores": "log"}, "scores must be"),
        ("drop-word", {"noises": 0}, "noises must be"),
        ("jvp", {"points": [2.0]}, "points must be"),
        ("gradient", {"score": "loss"}, "score must be"),
        ("anchor-diff", {"gate": -1}, "gate must be at least 0"),
        ("anchor-diff", {"spreads": 0.5}, "spreads must be a whole number"),
        ("anchor-diff", {"first": 1}, "first is a share"),
        ("anchor-diff", {}, "needs joint attention in double blocks"),
        ("concept-attention", {"others": "sky"}, "others must be"),
        ("concept-attention", {"first": 1.0}, "first is a share"),
        ("concept-attention", {}, "needs joint attention in double blocks"),
        ("seg4diff", {}, "no stream|layers have places|there is no stream"),
        ("iseg", {"timesteps": [5000]}, "timesteps must lie in 0 to 999"),
        *(
            (name, {"timesteps": [200, wrong]}, "timesteps must lie in 0 to 999")
            for name in BY_IMAGE
            for wrong in (1000, -100)
        ),
    ],
)
def test_refusals_in_one_line(name, options, expected, split):
    with pytest.raises(InputError, match=expected) as caught:
        get_segmenter(name, device="cpu", **options).segment(split.queries()[:1])
    assert "\n" not in str(caught.value)


def test_a_bundle_says_what_its_methods_say_alone(split, maps):
    methods = [make(name) for name in ON_UNETS]
    together = Bundle(methods).segment(split.queries()[:2])
    for method, found in zip(methods, together, strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(maps[method.name]), err_msg=method.name)


def test_a_bundle_generates_each_image_once(split, monkeypatch):
    calls = []
    reproduce = traced_image.reproduce
    monkeypatch.setattr(
        traced_image, "reproduce", lambda *given: (calls.append(len(given[1])), reproduce(*given))[1]
    )
    methods = [make(name) for name in ("daam", "daam-self", "daam-mean", "head-selection")]
    methods.append(make("iseg", source="generation"))
    Bundle(methods).segment(split.queries())
    assert calls == [5]
    assert all(method.drift.keys() == {query.id for query in split.queries()} for method in methods)
    assert len({id(method.pipelines) for method in methods}) == 1


def test_all_methods_of_a_bundle_have_the_same_pipelines():
    methods = [make(name) for name in ("daam", *BY_IMAGE)]
    Bundle(methods)
    assert len({id(method.pipelines) for method in methods}) == 1


@pytest.mark.parametrize("name", BY_IMAGE)
def test_no_more_rows_at_once_than_the_batch_size(name, split, maps):
    query, rows = split.queries()[0], []
    method = make(name, batch_size=1)
    hook = method.pipeline_of(query).unet.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(args[0] if args else kwargs["sample"])), with_kwargs=True
    )
    (found,) = method.segment([query])
    hook.remove()
    assert set(rows) == {1}
    np.testing.assert_allclose(np.asarray(found), np.asarray(maps[name][0]), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "size", "expected"),
    [("zimage", (36, 44), "needs embeddings of one length"), ("hunyuan", (64, 128), "a prompt in one text")],
)
def test_texts_that_jvp_has_no_derivative_along(family, size, expected, tmp_path):
    ALL[family]().save_pretrained(tmp_path)
    image, nouns = Image.new("RGB", size, "white"), (Noun("cat", "cat", 2, 5, None),)
    with pytest.raises(InputError, match=f"jvp .*{expected}") as caught:
        make("jvp", default_model=str(tmp_path)).segment([Query("one", "a cat", image, nouns, None, None)])
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_iseg_where_a_longer_prompt_of_the_batch_has_words_and_this_one_masked_padding(tmp_path):
    ALL["pixart"]().save_pretrained(tmp_path)
    image, nouns = Image.new("RGB", (32, 64), "white"), (Noun("cat", "cat", 2, 5, None),)
    prompts = ("a cat", "a cat and a pizza on the grass")
    queries = [Query(prompt, prompt, image, nouns, None, None) for prompt in prompts]
    method = make("iseg", default_model=str(tmp_path), weights={"1": 1.0})
    together, alone = method.segment(queries), [method.segment([query])[0] for query in queries]
    np.testing.assert_allclose(np.asarray(together), np.asarray(alone), rtol=1e-2, atol=1e-3)


def test_methods_of_other_models_in_a_bundle_stay_apart(split, tiny_model):
    methods = [make("daam"), make("daam", model=str(tiny_model)), get_segmenter("whole")]
    first, second, whole = Bundle(methods).segment(split.queries()[:1])
    assert methods[0].pipelines is not methods[1].pipelines
    np.testing.assert_array_equal(first[0][0], second[0][0])
    assert whole[0][0].all()


def test_other_texts_in_joint_attention_hardly_depend_on_the_batch(tmp_path):
    ALL["sd3"]().save_pretrained(tmp_path)
    image = Image.new("RGB", (32, 64), "white")
    nouns = (Noun("cat", "cat", 2, 5, None), Noun("pizza", "pizza", 16, 21, None))
    both = Query("both", "a cat and a red pizza", image, nouns, None, None)
    for name in ("anchor-diff", "concept-attention", "ovam"):
        together, alone = (
            make(name, default_model=str(tmp_path), batch_size=size).segment(
                [both, replace(both, nouns=nouns[:1])]
            )
            for size in (2, 1)
        )
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-2, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_joint_attention(family, tmp_path):
    ALL[family]().save_pretrained(tmp_path / "model")
    pipeline = load_pipeline(str(tmp_path / "model"), device="cpu")
    generation = usual_generation(pipeline, str(tmp_path / "model"), steps=2, height=64, width=32)
    folder = make_generated_dataset(tmp_path / "data", pipeline, generation)
    queries = load_split(folder, "coco_gen").queries()[:2]
    for name in ("daam", "daam-self", "daam-mean", "daam-superpixels", "head-selection", "ovam", *JOINT):
        for query, found in zip(queries, make(name).segment(queries), strict=True):
            assert len(found) == len(query.nouns), name
            for heat_map in found:
                assert heat_map.values.max() > heat_map.values.min(), name
    with pytest.raises(InputError, match="iseg adds up maps at 1/2, 1/4 of the latents' size"):
        make("iseg").segment(queries)
    given = [replace(query, generation=None, seed=None) for query in queries]
    for name in ("drop-word", "gradient", "jvp", *JOINT):
        found = make(name, default_model=str(tmp_path / "model")).segment(given)
        assert all(heat_map.values.max() > 0 for maps in found for heat_map in maps), name
