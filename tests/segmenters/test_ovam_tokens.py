"""OVAM's optimised tokens against a plain optimisation written apart, on a tiny random pipeline."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from daam_bench.attribution.given_images import trace_images
from daam_bench.attribution.query_sums import QuerySums
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.noise import NoisedImages
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.segmenters.ovam_tokens import annotated_examples, optimize_tokens
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types.errors import InputError
from tests.segmenters.recorded_attention import sizes
from tests.tiny_diffusion_transformers import ALL

LATENTS = (8, 12)
SCHEDULE = {"steps": 6, "rate": 50.0, "step_size": 2, "gamma": 0.5}


@pytest.fixture(scope="module")
def example(generated_dataset):
    """The only annotated image that shows a pizza."""
    return load_split(generated_dataset, "unreal_gen")[0]


def method(dataset, model, **options):
    return get_segmenter(
        "ovam-tokens",
        **{
            "device": "cpu",
            "default_model": str(model),
            "annotated": str(dataset),
            "tuned_on": "unreal_gen",
            "timesteps": (300,),
            **SCHEDULE,
            **options,
        },
    )


def plain_ovam(model):
    return get_segmenter("ovam", device="cpu", default_model=str(model), timesteps=(300,))


def maps_of(method, query):
    return [np.asarray(heat_map) for heat_map in method.segment([query])[0]]


def queries_by_hand(pipeline, query):
    """Layer -> queries (places, heads * channels) of an image noised to 300, by hooks on to_q."""
    noised, found = NoisedImages(pipeline, [query.prompt], [query.image]), {}
    hooks = [
        module.to_q.register_forward_hook(lambda _, args, out, name=name: found.setdefault(name, out[0]))
        for name, module in pipeline.unet.named_modules()
        if name.endswith("attn2") and "mid" not in name
    ]
    with torch.no_grad():
        noised.predict(noised.noisy(300, 0), 300)
    for hook in hooks:
        hook.remove()
    return found


def maps_by_hand(pipeline, queries, tokens):
    total = 0
    for name, query in queries.items():
        module = pipeline.unet.get_submodule(name)
        weight = module.to_k.weight.double()
        scores = 0
        for head in range(module.heads):
            width = query.shape[-1] // module.heads
            part = slice(head * width, (head + 1) * width)
            scores = scores + query[:, part].double() @ (tokens @ weight[part].T).T / width**0.5
        own = scores.T.reshape(1, -1, *sizes(LATENTS)[len(scores)])
        total = total + functional.interpolate(own, size=LATENTS, mode="bicubic")[0]
    return total


def plain_tokens(pipeline, lemma):
    """The start token's embedding and the noun's, the one before the end token."""
    text = f"An image of a {lemma}"
    with torch.no_grad():
        embeddings = pipeline.encode_prompt(text, "cpu", 1, False)[0][0].double()
    end = pipeline.tokenizer(text).input_ids.index(pipeline.tokenizer.eos_token_id)
    return embeddings[[0, end - 1]]


def test_tokens_and_maps_by_hand(pipeline, query, example, generated_dataset, tiny_model):
    queries = queries_by_hand(pipeline, example.query)
    mask = torch.from_numpy(example.nouns[1].mask)
    tokens, rate, losses, kept = plain_tokens(pipeline, "pizza"), 50.0, [], []
    for step in range(6):
        tokens = tokens.detach().requires_grad_()
        maps = functional.interpolate(
            maps_by_hand(pipeline, queries, tokens)[None], size=mask.shape, mode="bilinear"
        )[0]
        maps = (maps - maps.min()) / (maps.max() - maps.min())
        background, noun = maps.exp() / maps.exp().sum(0)
        loss = -torch.where(mask, noun.log(), background.log()).mean()
        (gradient,) = torch.autograd.grad(loss, tokens)
        losses.append(loss.item())
        kept.append(tokens.detach())
        tokens = tokens - rate * gradient
        rate *= 0.5 if step % 2 else 1
    assert min(losses) < losses[0]
    best = kept[int(np.argmin(losses))]
    expected = maps_by_hand(pipeline, queries_by_hand(pipeline, query), best)[1].detach().numpy()
    found = maps_of(method(generated_dataset, tiny_model), query)[1]
    np.testing.assert_allclose(found, expected - expected.min(), rtol=1e-2, atol=2e-3 * np.ptp(expected))
    plain = maps_of(
        get_segmenter("ovam", device="cpu", default_model=str(tiny_model), timesteps=(300,)), query
    )
    assert np.abs(found - plain[1]).max() > 0.05 * np.ptp(plain[1])


def test_layers_that_are_offloaded_one_by_one_give_the_same_scores(pipeline, example, tiny_model):
    """Between calls their weights are on no device at all."""
    from accelerate import cpu_offload

    offloaded = load_pipeline(str(tiny_model), device="cpu")
    cpu_offload(offloaded.unet, torch.device("cpu"))
    tokens, found = plain_tokens(pipeline, "pizza").float(), []
    for one in (pipeline, offloaded):
        sums = QuerySums(one)
        trace_images(one, [example.prompt], [example.image], timesteps=(300,), queries=sums.add)
        found.append(sums.maps(0, tokens, LATENTS))
    torch.testing.assert_close(*found)


def test_a_text_without_a_start_token_is_refused(example, generated_dataset, tmp_path):
    ALL["pixart"]().save_pretrained(tmp_path)
    image = example.query.image.resize((32, 64))
    given = replace(example.query, image=image, generation=None, seed=None)
    with pytest.raises(InputError, match="needs a start token, which the text of PixArt"):
        method(generated_dataset, tmp_path).segment([given])


def test_the_loss_goes_down(pipeline, example):
    sums = QuerySums(pipeline)
    trace_images(pipeline, [example.prompt], [example.image], timesteps=(100, 300), queries=sums.add)
    start = plain_tokens(pipeline, "pizza").float()
    annotated = [(sums, LATENTS, example.nouns[1].mask)]
    tokens, losses = optimize_tokens(start, annotated, steps=60, rate=50.0, step_size=20, gamma=0.7)
    assert losses[-1] < losses[20] < losses[0]
    assert tokens.shape == start.shape
    assert not any(parameter.grad is not None for parameter in pipeline.unet.parameters())


def test_without_a_step_it_is_ovam(query, generated_dataset, tiny_model):
    found = maps_of(method(generated_dataset, tiny_model, steps=1), query)
    np.testing.assert_allclose(found, maps_of(plain_ovam(tiny_model), query), rtol=1e-3, atol=1e-4)


def test_nouns_differ_seeds_pick_images_and_the_same_seed_repeats(query, generated_dataset, tiny_model):
    one = maps_of(method(generated_dataset, tiny_model), query)
    assert not np.allclose(one[0], one[1], atol=1e-2)
    np.testing.assert_array_equal(one, maps_of(method(generated_dataset, tiny_model), query))
    split = load_split(generated_dataset, "unreal_gen")
    picked = {annotated_examples(split, "cat", 1, seed)[0].id for seed in range(10)}
    assert picked == {"unreal_gen-0", "unreal_gen-3"}
    assert len(annotated_examples(split, "cat", 5, 0)) == 2
    both = maps_of(method(generated_dataset, tiny_model, images=2), query)
    assert not np.allclose(both[0], one[0], atol=1e-2)


def test_images_with_few_nouns_go_first(generated_dataset):
    split = load_split(generated_dataset, "unreal_gen")
    query, masks = split[3].query, split[3].masks
    fewer = replace(split[3], query=replace(query, nouns=query.nouns[:1]), masks=masks[:1])
    split = replace(split, examples=(*split.examples[:3], fewer, split[4]))
    assert {annotated_examples(split, "cat", 1, seed)[0].id for seed in range(10)} == {"unreal_gen-3"}


def test_each_token_is_optimised_once(query, generated_dataset, tiny_model, monkeypatch):
    from daam_bench.segmenters import ovam_tokens

    calls = []
    fit = ovam_tokens.optimize_tokens
    monkeypatch.setattr(ovam_tokens, "optimize_tokens", lambda *a, **k: (calls.append(1), fit(*a, **k))[1])
    one = method(generated_dataset, tiny_model)
    one.segment([query])
    one.segment([query, query])
    assert len(calls) == 2


def test_a_noun_without_masks_keeps_its_plain_token(generated_dataset, tiny_dataset, tiny_model, caplog):
    boat = replace(load_split(generated_dataset, "coco_gen").queries()[2], seed=None, generation=None)
    one = method(tiny_dataset, tiny_model, tuned_on="coco_gen")
    with caplog.at_level(logging.WARNING):
        found = maps_of(one, boat)
        maps_of(one, boat)
    plain = maps_of(
        get_segmenter("ovam", device="cpu", default_model=str(tiny_model), timesteps=(300,)), boat
    )
    np.testing.assert_allclose(found[1], plain[1], rtol=1e-3, atol=1e-4)
    assert not np.allclose(found[0], plain[0], atol=1e-2)
    assert [record.message for record in caplog.records if "token stays" in record.message] == [
        f"no image of split coco_gen of {tiny_dataset} shows 'moon'; its token stays as it is"
    ]


def test_it_says_that_masks_were_seen(generated_dataset, tiny_model):
    one = method(generated_dataset, tiny_model)
    assert (one.track, one.tuned_on) == ("tuned on masks", "unreal_gen")
    assert {name: one.parameters[name] for name in SCHEDULE} == SCHEDULE
    assert get_segmenter("ovam-tokens", device="cpu").tuned_on == "dev"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"template": "an image"}, "template must have a place"),
        ({"images": 0}, "images must be a whole number"),
        ({"steps": 0.5}, "steps must be a whole number"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"gamma": 1.5}, "gamma in"),
        ({"tuned_on": "nowhere"}, "no split 'nowhere'"),
    ],
)
def test_refusals_in_one_line(options, expected, query, generated_dataset, tiny_model):
    with pytest.raises(InputError, match=expected) as caught:
        method(generated_dataset, tiny_model, **options).segment([query])
    assert "\n" not in str(caught.value)


def test_joint_attention_is_refused(query, tmp_path):
    ALL["sd3"]().save_pretrained(tmp_path / "model")
    given = replace(query, image=query.image.resize((32, 64)))
    with pytest.raises(InputError, match=r"plain cross-attention.*StableDiffusion3Pipeline has another"):
        get_segmenter("ovam-tokens", device="cpu", default_model=str(tmp_path / "model")).segment([given])
    pipeline = load_pipeline(str(tmp_path / "model"), device="cpu")
    with pytest.raises(InputError, match="queries are handed on of cross-attention"):
        trace_images(pipeline, [given.prompt], [given.image], queries=print)
