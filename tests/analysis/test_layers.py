"""DAAM taken apart into layers and steps, with tiny random pipelines."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch

from daam_bench.analysis.layer_parts import generated_parts, short_names
from daam_bench.analysis.layer_traces import prepare, start_token_share
from daam_bench.analysis.layers import LayerScores, draw_layers, format_layers, measure_layers
from daam_bench.attribution.architectures import traced_layers
from daam_bench.attribution.given_images import trace_images
from daam_bench.attribution.trace import trace
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.noise import TIMESTEPS
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.scoring.score import score
from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.segment import segment
from daam_bench.types import Generation, Prediction
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

WHOLE_PROMPT = "a cat and a dog and a pizza on the grass and the hat"
"""As long as the text encoders take, so that every position is a token of the prompt."""


@pytest.fixture(scope="module")
def generated(generated_dataset):
    return load_split(generated_dataset, "coco_gen")


@pytest.fixture(scope="module")
def given(tiny_dataset, tiny_model):
    """Images that no model generated, of a dataset with a model."""
    return replace(load_split(tiny_dataset, "coco_gen"), model=str(tiny_model))


@pytest.fixture(scope="module")
def measured(generated, given, tmp_path_factory):
    both = [
        measure_layers(
            [split], tmp_path_factory.mktemp("layers"), bins=2, batch_size=3, device="cpu", progress=False
        )
        for split in (generated, given)
    ]
    return LayerScores(both[0].scores + both[1].scores, both[0].drifted + both[1].drifted)


@pytest.fixture(scope="module")
def by_part(measured):
    """The scores by part, of the generated and of the given images, whose splits share a name."""
    places = [index for index, one in enumerate(measured.scores) if one.part.kind == "all"]
    cut = places[1]
    return tuple(
        {one.part.name: one for one in half} for half in (measured.scores[:cut], measured.scores[cut:])
    )


def test_all_parts_together_score_what_the_segmenter_does(generated, given, by_part, tiny_model, tmp_path):
    for split, parts in zip((generated, given), by_part, strict=True):
        method = Daam(default_model=str(tiny_model), device="cpu")
        predictions = segment(
            method, split, tmp_path / split.name, batch_size=3, progress=False, restart=True
        )
        usual = score(split, predictions)["0.4"]
        assert parts["down+up"].miou_inf == usual.miou_inf > 0
        assert parts["down+up"].ci95_inf == usual.ci95_inf


def test_the_parts_are_every_layer_and_every_step(by_part, tiny_model):
    layers = set(traced_layers(load_pipeline(str(tiny_model), device="cpu")))
    assert any(name.startswith("mid_block") for name in layers)
    generated, given = by_part
    assert generated.keys() == {"down+up", *layers, "0-0", "1-1"}
    assert given.keys() == {"down+up", *layers, *map(str, TIMESTEPS)}


def test_a_part_of_given_images_scores_as_if_it_had_been_traced_alone(given, by_part, tiny_model):
    pipeline = load_pipeline(str(tiny_model), device="cpu")
    queries = given.queries()
    layer = next(name for name in by_part[1] if name.startswith("up_blocks.2"))
    for name, selection in {layer: {"layers": [layer]}, "300": {"timesteps": (300,)}}.items():
        traced = trace_images(
            pipeline, [query.prompt for query in queries], [query.image for query in queries], **selection
        )
        predictions = [
            Prediction(
                query.id, index, 0.4, encode(maps.word(noun.start, noun.end).resize((32, 32)).threshold(0.4))
            )
            for query, maps in zip(queries, traced, strict=True)
            for index, noun in enumerate(query.nouns)
        ]
        assert by_part[1][name].miou_inf == pytest.approx(score(given, predictions)["0.4"].miou_inf, abs=1e-3)
    assert by_part[1][layer].miou_inf != by_part[1]["down+up"].miou_inf


def test_each_part_says_how_large_its_maps_are(by_part):
    sizes = {one.part.label: one.resolution for one in by_part[0].values()}
    assert (sizes["all (down, up)"], sizes["down 0"], sizes["down 1"], sizes["mid"]) == (
        (8, 12),
        (8, 12),
        (4, 6),
        (2, 3),
    )


def test_images_that_come_out_different_are_counted(generated, measured, tmp_path):
    first = generated.examples[0]
    other = replace(first, query=replace(first.query, seed=12345))
    changed = replace(generated, examples=(other, *generated.examples[1:2]))
    assert measured.drifted == 0
    assert measure_layers([changed], tmp_path, bins=1, device="cpu", progress=False).drifted == 1


def test_an_interrupted_run_resumes_with_the_same_batches(generated, tmp_path):
    options = {"bins": 1, "batch_size": 2, "device": "cpu", "progress": False}
    whole = measure_layers([generated], tmp_path / "whole", **options)
    path = tmp_path / "torn" / "coco_gen" / "parts.jsonl"
    path.parent.mkdir(parents=True)
    content = (tmp_path / "whole" / "coco_gen" / "parts.jsonl").read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert measure_layers([generated], tmp_path / "torn", **options) == whole
    assert path.read_bytes() == content


@pytest.mark.parametrize("scheduler", ["PNDMScheduler", "HeunDiscreteScheduler", "DDIMScheduler"])
@pytest.mark.parametrize("make", [tiny_sd, tiny_sdxl])
def test_the_bins_of_steps_add_up_to_all_of_them(make, scheduler):
    pipeline = make()
    heads = {name: layer.heads for name, layer in traced_layers(pipeline).items()}
    generation = Generation("tiny", None, scheduler, 5, 5.0, 16, 16, "float32")
    whole, *parts = prepare(pipeline, generation, 2)
    bins = [part for part in parts if part.kind == "steps"]
    with ExitStack() as traces:
        tracers = [traces.enter_context(trace(pipeline, **part.selection)) for part in (whole, *bins)]
        generate(pipeline, [WHOLE_PROMPT], [0], generation)
    everything, *halves = (tracer.layer_maps()[0] for tracer in tracers)
    assert len(halves) == 2
    for layer, maps in everything.items():
        np.testing.assert_allclose(sum(half[layer] for half in halves), maps, rtol=1e-5, atol=1e-6)
    for part, maps in zip((whole, *bins), (everything, *halves), strict=True):
        assert sum(part.steps for part in bins) == pytest.approx(whole.steps) == 5
        tokens = len(next(iter(maps.values())))
        shares = [
            start_token_share({layer: values[token:] for layer, values in maps.items()}, heads, part.steps)
            for token in range(tokens)
        ]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert 0 < shares[0] < 1


def test_the_start_tokens_share_counts_tokens_that_no_word_has(by_part):
    """A prompt shorter than the text encoder's limit leaves attention for the padding."""
    assert all(0 < one.start_token_share < 0.9 for half in by_part for one in half.values())


def test_given_images_do_not_depend_on_what_was_generated_before(generated, given, by_part, tmp_path):
    first = generated.examples[0]
    heun = replace(first.query, generation=replace(first.query.generation, scheduler="HeunDiscreteScheduler"))
    before = replace(generated, name="unreal_gen", examples=(replace(first, query=heun),))
    options = {"bins": 2, "batch_size": 3, "device": "cpu", "progress": False}
    after = measure_layers([before, given], tmp_path, **options).scores
    shares = {one.part.name: one.start_token_share for one in after[-len(by_part[1]) :]}
    assert shares == pytest.approx({name: one.start_token_share for name, one in by_part[1].items()})


def test_layers_have_short_names_in_the_order_of_the_blocks():
    unet = {name: layer.block for name, layer in traced_layers(tiny_sdxl()).items()}
    assert list(short_names(unet).values()) == [
        "down 0", "down 1.0.0", "down 1.0.1", "mid", "up 1.0.0", "up 1.0.1", "up 1.1.0", "up 1.1.1",
        "up 2.0", "up 2.1",
    ]  # fmt: skip
    assert set(short_names(unet)) == set(unet)


@pytest.mark.parametrize("bins", [0, 6])
def test_bins_without_a_step_are_refused(bins):
    with pytest.raises(InputError, match="--bins must lie between 1 and the 5 inference steps"):
        generated_parts({}, ("down", "up"), steps=5, calls=5, bins=bins)


def test_splits_that_cannot_be_measured_are_refused(generated, given, tmp_path):
    def measure(split):
        measure_layers([split], tmp_path, bins=1, device="cpu", progress=False)

    with pytest.raises(InputError, match="names none to trace them with"):
        measure(replace(given, model=None))
    first, *others = generated.examples
    longer = replace(first.query.generation, steps=3)
    mixed = replace(first, query=replace(first.query, generation=longer))
    with pytest.raises(InputError, match="generated in several ways"):
        measure(replace(generated, examples=(mixed, *others)))
    with pytest.raises(InputError, match="has a mask"):
        measure(replace(generated, examples=(replace(first, masks=(None, None)),)))


def test_the_figure_and_the_table_name_every_part(measured):
    named = {one.part.label for one in measured.scores}
    shown = {
        label.get_text() for axes in draw_layers(measured.scores).axes for label in axes.get_yticklabels()
    }
    assert shown == named
    assert all(label in format_layers(measured.scores) for label in named)


def test_measuring_leaves_the_random_numbers_alone(generated, tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = replace(generated, examples=generated.examples[:1])
    measure_layers([first], tmp_path, bins=1, device="cpu", progress=False)
    assert torch.equal(torch.rand(1), expected)
