"""Each rival's formula against a slow reference, written from recorded probabilities in plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from skimage.segmentation import slic
from torch.nn import functional

from daam_bench.attribution.given_images import trace_images
from daam_bench.diffusion.noise import NoisedImages
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.segmenters.diffseg import aggregate, segment_places
from daam_bench.segmenters.iseg import reduce_entropy
from daam_bench.segmenters.refinement import enlarge
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION
from tests.segmenters.recorded_attention import bilinear, recorded, recording, sizes
from tests.tiny_diffusion_transformers import ALL

LATENTS = (8, 12)
TOKENS = ([2], [5])
"""Positions of the nouns' tokens in "a cat and a pizza": the start token is 0."""


def maps_of(name, query, tiny_model, **options):
    method = get_segmenter(name, device="cpu", default_model=str(tiny_model), timesteps=(300,), **options)
    return [np.asarray(heat_map) for heat_map in method.segment([query])[0]]


def layers(attention, kind, parts=("down", "mid", "up")):
    return {n: v for n, v in attention.items() if n.endswith(kind) and n.startswith(parts)}


def bicubic(values, size):
    tensor = torch.from_numpy(values)[None, None]
    return functional.interpolate(tensor, size=size, mode="bicubic")[0, 0].clamp(min=0).numpy()


def finest_self(attention):
    found = [value.mean(0) for value in layers(attention, "attn1").values() if value.shape[1] == 96]
    return sum(found) / len(found)


def stretched(values):
    return (values - values.min()) / (values.max() - values.min())


def cross_by_size(attention, tokens):
    """Map size -> mean over heads and layers of the mean over a noun's tokens."""
    found = {}
    for value in layers(attention, "attn2").values():
        size = sizes(LATENTS)[value.shape[1]]
        found.setdefault(size, []).append(value[:, :, tokens].mean(axis=(0, 2)).reshape(size))
    return {size: sum(maps) / len(maps) for size, maps in found.items()}


def daam_reference(attention, tokens, over_heads=np.sum):
    total = np.zeros(LATENTS)
    for value in layers(attention, "attn2", ("down", "up")).values():
        size = sizes(LATENTS)[value.shape[1]]
        by_head = value[:, :, tokens].mean(axis=2)
        if over_heads is np.mean:
            total += bicubic(by_head.mean(axis=0).reshape(size), LATENTS)
        else:
            total += sum(bicubic(head.reshape(size), LATENTS) for head in by_head)
    return total


def test_daam_mean(attention, query, tiny_model):
    for tokens, found in zip(TOKENS, maps_of("daam-mean", query, tiny_model), strict=True):
        np.testing.assert_allclose(found, daam_reference(attention, tokens, np.mean), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_daam_self(power, attention, query, tiny_model):
    matrix = finest_self(attention)
    for tokens, found in zip(TOKENS, maps_of("daam-self", query, tiny_model, power=power), strict=True):
        values = daam_reference(attention, tokens)
        for _ in range(power):
            flat = values.reshape(-1)
            values = np.array([sum(row[k] * flat[k] for k in range(96)) for row in matrix]).reshape(LATENTS)
        np.testing.assert_allclose(found, stretched(values), rtol=1e-2, atol=2e-3)


def test_daam_self_unstretched(attention, query, tiny_model):
    found = maps_of("daam-self", query, tiny_model, normalize="max")[0]
    product = (finest_self(attention) @ daam_reference(attention, TOKENS[0]).reshape(-1)).reshape(LATENTS)
    np.testing.assert_allclose(found, product, rtol=1e-3, atol=1e-5)


def test_head_selection(attention, query, tiny_model):
    words = [[1], [2], [3], [4], [5]]
    heads = []
    for value in layers(attention, "attn2", ("down", "up")).values():
        size = sizes(LATENTS)[value.shape[1]]
        heads += [(head, size) for head in value]
    for tokens, found in zip(TOKENS, maps_of("head-selection", query, tiny_model, share=0.3), strict=True):
        share = [head[:, tokens].mean() / sum(head[:, one].mean() for one in words) for head, _ in heads]
        chosen = sorted(range(len(heads)), key=lambda index: -share[index])[: int(np.ceil(0.3 * len(heads)))]
        expected = sum(
            bicubic(heads[index][0][:, tokens].mean(axis=1).reshape(heads[index][1]), LATENTS)
            for index in chosen
        )
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_named_heads(attention, query, tiny_model):
    name = next(n for n in attention if n.startswith("up_blocks.2") and n.endswith("attn2"))
    method = get_segmenter(
        "head-selection",
        device="cpu",
        default_model=str(tiny_model),
        timesteps=(300,),
        heads=[[name, 1]],
        tuned_on="dev",
    )
    found = np.asarray(method.segment([query])[0][0])
    np.testing.assert_allclose(found, attention[name][1][:, 2].reshape(LATENTS), rtol=1e-3, atol=1e-5)
    assert (method.track, method.tuned_on) == ("tuned on masks", "dev")
    assert method.parameters["heads"] == [[name, 1]]


def test_diffsegmenter(attention, query, tiny_model):
    weights = {LATENTS: 0.1, (4, 6): 0.1, (2, 3): 0.5}
    for tokens, found in zip(TOKENS, maps_of("diffsegmenter", query, tiny_model), strict=True):
        total = np.zeros(LATENTS)
        for size, values in cross_by_size(attention, tokens).items():
            total += weights[size] / 0.7 * stretched(bilinear(values, LATENTS))
        expected = stretched((finest_self(attention) @ total.reshape(-1)).reshape(LATENTS))
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=2e-3)


def test_iseg(attention, query, tiny_model):
    matrix = finest_self(attention)
    for column in range(96):
        matrix[:, column] /= matrix[:, column].max()
    for row in range(96):
        for column in range(96):
            value = matrix[row, column]
            matrix[row, column] = max(value + 0.015 * np.log10(np.e * value), 0) if value else 0
        matrix[row] /= matrix[row].sum()
    found = maps_of("iseg", query, tiny_model, iterations=3)
    for tokens, refined in zip(TOKENS, found, strict=True):
        by_size = cross_by_size(attention, tokens)
        total = 0.3 * bilinear(by_size[4, 6] / by_size[4, 6].sum(), LATENTS)
        total = total + 0.7 * bilinear(by_size[2, 3] / by_size[2, 3].sum(), LATENTS)
        values = (total - total.min()).reshape(-1)
        values = values / values.sum()
        for _ in range(3):
            values = matrix @ values
            values = values - values.min()
            values = values / values.sum()
        np.testing.assert_allclose(refined, stretched(values).reshape(LATENTS), rtol=2e-2, atol=5e-3)


def test_entropy_falls():
    attention = np.random.default_rng(0).dirichlet(np.full(20, 0.3), size=20).astype(np.float32)

    def entropy(rows):
        return -(rows * np.log(np.maximum(rows, 1e-12))).sum(axis=1).mean()

    plain = attention / attention.max(axis=0)
    plain /= plain.sum(axis=1, keepdims=True)
    assert entropy(reduce_entropy(attention, 0.2)) < entropy(reduce_entropy(attention, 0.02)) < entropy(plain)


def test_diffsegs_attention_at_the_finest_resolution():
    generator = np.random.default_rng(0)
    by_size = {
        size: generator.dirichlet(np.ones(size[0] * size[1]), size=size[0] * size[1]).astype(np.float32)
        for size in ((8, 12), (4, 6))
    }
    found, size = aggregate(by_size)
    assert size == (8, 12)
    for y, x in ((0, 0), (3, 7), (7, 11)):
        total = 8 * by_size[8, 12][y * 12 + x].reshape(8, 12).astype(float)
        coarse = bilinear(by_size[4, 6][(y // 2) * 6 + x // 2].reshape(4, 6), (8, 12))
        total = (total + 4 * coarse / coarse.sum()) / 12
        np.testing.assert_allclose(found[y * 12 + x].reshape(8, 12), total, rtol=1e-4, atol=1e-6)


def test_diffsegs_segments():
    generator = np.random.default_rng(1)
    prototypes = generator.dirichlet(np.ones(48) * 0.3, size=3)
    owner = generator.integers(0, 3, size=48)
    mixed = 0.9 * prototypes[owner] + 0.1 * generator.dirichlet(np.ones(48), size=48)
    attention = mixed.astype(np.float32)
    thresholds = (0.3, 0.4)

    def divergence(one, other):
        return (rel_entr(one, other).sum() + rel_entr(other, one).sum()) / 2

    rows, columns = np.linspace(0, 5, 4).round().astype(int), np.linspace(0, 7, 4).round().astype(int)
    merged = []
    for row in rows:
        for column in columns:
            anchor = mixed[row * 8 + column]
            merged.append(np.mean([m for m in mixed if divergence(anchor, m) < thresholds[0]], axis=0))
    taken, last = set(), []
    for index, one in enumerate(merged):
        if index in taken:
            continue
        close = [k for k, other in enumerate(merged) if divergence(one, other) < thresholds[1]]
        taken |= {index, *close}
        last.append(np.mean([merged[k] for k in close], axis=0))
    expected = np.argmax(last, axis=0)
    found = segment_places(attention, (6, 8), thresholds=thresholds, anchors=4, refine=False)
    np.testing.assert_array_equal(found, expected)
    assert len(set(expected.tolist())) > 1


@pytest.mark.parametrize("refine", [False, True])
def test_diffseg_names_segments_by_cross_attention(refine, attention, query, tiny_model):
    options = {"thresholds": [0.01], "refine": refine}
    found = maps_of("diffseg", query, tiny_model, **options)
    by_size = {}
    for value in layers(attention, "attn1").values():
        by_size.setdefault(sizes(LATENTS)[value.shape[1]], []).append(value.mean(0))
    merged, _ = aggregate({size: np.mean(v, axis=0).astype(np.float32) for size, v in by_size.items()})
    segments = segment_places(merged, LATENTS, thresholds=[0.01], anchors=16, refine=refine)
    for tokens, values in zip(TOKENS, found, strict=True):
        cross = sum(bilinear(one, LATENTS) for one in cross_by_size(attention, tokens).values())
        cross /= np.sqrt((cross**2).sum())
        for segment in np.unique(segments):
            inside = (segments == segment).reshape(LATENTS)
            np.testing.assert_allclose(values[inside], cross[inside].mean(), rtol=1e-3)
    hard = maps_of("diffseg", query, tiny_model, naming="argmax", **options)
    np.testing.assert_array_equal(hard[0] + hard[1], np.ones(LATENTS))
    np.testing.assert_array_equal(hard[0] == 1, found[0] >= found[1])


def test_enlarging_is_bilinear():
    values = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    found = enlarge(values, (9, 10))
    np.testing.assert_allclose(found[1], bilinear(values[1], (9, 10)), rtol=1e-5, atol=1e-6)


def test_superpixels(query, tiny_model, pipeline):
    daam = trace_images(pipeline, [query.prompt], [query.image], timesteps=(300,))[0]["cat"]
    values = daam.resize(query.image.size).values
    regions = slic(np.asarray(query.image), n_segments=20, compactness=10.0, start_label=0)
    (found, _) = maps_of("daam-superpixels", query, tiny_model, segments=20)
    assert len(np.unique(regions)) > 3
    for region in np.unique(regions):
        np.testing.assert_allclose(found[regions == region], values[regions == region].mean(), rtol=1e-4)
    (other, _) = maps_of("daam-superpixels", query, tiny_model, superpixels="felzenszwalb", scale=5.0)
    assert not np.array_equal(found, other)


def predict(pipeline, image, prompt, timestep, seed):
    """Noise an image and denoise it once, by hand."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents = pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor
        noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(seed))
        kept = pipeline.scheduler.alphas_cumprod[timestep]
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        text = pipeline.encode_prompt(prompt, "cpu", 1, False)[0]
        return pipeline.unet(noisy, timestep, encoder_hidden_states=text).sample[0]


def test_drop_word(query, tiny_model, pipeline):
    options = {"timesteps": (200, 600), "noises": 2, "seed": 5, "replacement": "dog"}
    method = get_segmenter("drop-word", device="cpu", default_model=str(tiny_model), **options)
    for noun, found in zip(query.nouns, method.segment([query])[0], strict=True):
        without = query.prompt[: noun.start] + "dog" + query.prompt[noun.end :]
        changes = []
        for timestep in (200, 600):
            for seed in (5, 6):
                one, other = (
                    predict(pipeline, query.image, p, timestep, seed) for p in (query.prompt, without)
                )
                change = (one - other).abs().mean(0)
                changes.append(change / change.mean())
        np.testing.assert_allclose(found, torch.stack(changes).mean(0), rtol=1e-3, atol=1e-4)


def test_a_word_that_changes_nothing_has_no_map(query, tiny_model):
    method = get_segmenter("drop-word", device="cpu", default_model=str(tiny_model), replacement="cat")
    assert [heat_map is None for heat_map in method.segment([query])[0]] == [True, False]


def test_jvp_is_the_limit_of_small_changes(query, tiny_model, pipeline):
    method = get_segmenter(
        "jvp", device="cpu", default_model=str(tiny_model), timesteps=(400,), points=(0.5,)
    )
    noised = NoisedImages(pipeline, [query.prompt], [query.image])
    prompt = noised.arguments["encoder_hidden_states"]
    empty = NoisedImages(pipeline, [""], [query.image]).arguments["encoder_hidden_states"]
    noisy, middle = noised.noisy(400, 0), (prompt + empty) / 2
    for tokens, found in zip(TOKENS, method.segment([query])[0], strict=True):
        step = torch.zeros_like(prompt)
        step[:, tokens] = (prompt - empty)[:, tokens]
        with torch.no_grad():
            above = noised.predict(noisy, 400, encoder_hidden_states=middle + 0.01 * step)
            below = noised.predict(noisy, 400, encoder_hidden_states=middle - 0.01 * step)
        change = ((above - below) / 0.02)[0].abs().mean(0)
        np.testing.assert_allclose(found, change / change.mean(), rtol=2e-2, atol=2e-2)


class Leaf:
    """Attention in plain steps, whose probabilities keep their gradient."""

    def __init__(self, name, changes):
        self.name, self.changes = name, changes

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            layer(states).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for layer, states in ((attn.to_q, hidden_states), (attn.to_k, text), (attn.to_v, text))
        )
        probabilities = (query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(-1)
        if not probabilities.requires_grad:
            probabilities.requires_grad_()
        probabilities.retain_grad()
        self.changes[self.name] = probabilities
        out = (probabilities @ value).transpose(1, 2).flatten(2)
        return attn.to_out[0](out)


@pytest.mark.parametrize("score", ["contrast", "target"])
def test_gradient(score, query, tiny_model, pipeline):
    method = get_segmenter(
        "gradient", device="cpu", default_model=str(tiny_model), timesteps=(400,), score=score
    )
    found = method.segment([query])[0]
    noised = NoisedImages(pipeline, [query.prompt], [query.image])
    noisy = noised.noisy(400, 0)
    with torch.no_grad():
        nothing = NoisedImages(pipeline, [""], [query.image]).predict(noisy, 400)
    changes, before = {}, pipeline.unet.attn_processors
    crossing = {n: Leaf(n, changes) if "attn2" in n else v for n, v in before.items()}
    pipeline.unet.set_attn_processor(crossing)
    try:
        predicted = noised.predict(noisy, 400)
        value = ((predicted - nothing) ** 2).sum() if score == "contrast" else 0
        value = value + ((predicted * noised.target(400, 0)).sum() if score == "target" else 0)
        value.backward()
    finally:
        pipeline.unet.set_attn_processor(before)
    for tokens, heat_map in zip(TOKENS, found, strict=True):
        total = np.zeros(LATENTS)
        for name, leaf in changes.items():
            if name.startswith(("down", "up")):
                weighted = (leaf.detach() * leaf.grad).clamp(min=0)[0].mean(0)[:, tokens].mean(1)
                total += bicubic(weighted.double().numpy().reshape(sizes(LATENTS)[len(weighted)]), LATENTS)
        np.testing.assert_allclose(np.asarray(heat_map), total, rtol=2e-2, atol=total.max() * 1e-3)


def test_ovam_takes_each_noun_from_its_own_prompt(query, tiny_model, pipeline):
    found = maps_of("ovam", query, tiny_model, template="a red {}")
    prompt = [pipeline.encode_prompt(f"a red {noun.lemma}", "cpu", 1, False)[0] for noun in query.nouns]
    noised = NoisedImages(pipeline, [query.prompt], [query.image])
    queries = {}
    crossing = {n: m for n, m in pipeline.unet.named_modules() if n.endswith("attn2") and "mid" not in n}
    hooks = [
        module.to_q.register_forward_hook(lambda _, args, out, name=name: queries.setdefault(name, out[0]))
        for name, module in crossing.items()
    ]
    with torch.no_grad():
        noised.predict(noised.noisy(300, 0), 300)
    for hook in hooks:
        hook.remove()
    for text, values in zip(prompt, found, strict=True):
        total = np.zeros(LATENTS)
        for name, module in crossing.items():
            with torch.no_grad():
                keys = module.to_k(text)[0].chunk(module.heads, -1)
            by_head = zip(queries[name].chunk(module.heads, -1), keys, strict=True)
            scores = sum((query @ key.T) * query.shape[-1] ** -0.5 for query, key in by_head)
            own = scores[:, 3].double().numpy().reshape(sizes(LATENTS)[len(scores)])
            upscaled = functional.interpolate(torch.from_numpy(own)[None, None], size=LATENTS, mode="bicubic")
            total += upscaled[0, 0].numpy()
        np.testing.assert_allclose(values, total - total.min(), rtol=1e-2, atol=1e-3 * np.ptp(total))


@pytest.fixture(scope="module", params=["sd3", "flux"])
def joint(request, tmp_path_factory, query):
    """A tiny transformer on a disk, loaded, and an image that it did not generate."""
    folder = tmp_path_factory.mktemp(request.param) / "model"
    ALL[request.param]().save_pretrained(folder)
    given = replace(query, image=query.image.resize((32, 64)))
    return folder, load_pipeline(str(folder), device="cpu"), given


def test_seg4diff_is_one_layers_attention(joint):
    folder, pipeline, given = joint
    method = get_segmenter("seg4diff", device="cpu", default_model=str(folder), layer=1, streams=None)
    (maps,) = trace_images(pipeline, [given.prompt], [given.image], timesteps=(515,), layers=1)
    for noun, found in zip(given.nouns, method.segment([given])[0], strict=True):
        np.testing.assert_array_equal(found, maps[noun.text])


def test_concept_attention_is_a_softmax_of_products_of_outputs(joint):
    from daam_bench.attribution.architectures import traced_layers
    from daam_bench.attribution.trace import trace
    from daam_bench.diffusion.noise import denoise_given_images

    folder, pipeline, given = joint
    method = get_segmenter(
        "concept-attention", device="cpu", default_model=str(folder), timesteps=(300, 700), first=0.5
    )
    found = method.segment([given])[0]
    double = [name for name, layer in traced_layers(pipeline).items() if layer.block == "double"]
    chosen, seen = double[len(double) // 2 :], []
    text = "cat pizza background"
    with trace(pipeline, attribution_prompts=text, outputs=seen.append) as tracer:
        denoise_given_images(pipeline, [given.prompt], [given.image], timesteps=(300, 700))
        tracer.finish()
    words = tracer.attribution_maps()[0]
    scores = np.zeros((3, 16 * 8))
    kept = [one for one in seen if one.layer in chosen]
    for one in kept:
        for concept, word in enumerate(text.split()):
            start = text.index(word)
            weights = words.token_weights(start, start + len(word))
            for token, weight in enumerate(weights):
                if weight:
                    scores[concept] += weight * (one.image[0] @ one.attribution[0, token]).numpy()
    scores /= len(kept)
    shares = np.exp(scores) / np.exp(scores).sum(axis=0)
    assert len(kept) == 2 * len(chosen)
    for concept, heat_map in enumerate(found):
        np.testing.assert_allclose(np.asarray(heat_map).reshape(-1), shares[concept], rtol=1e-3, atol=1e-5)


def test_anchor_diff_spreads_the_best_place_over_the_graph(joint):
    from daam_bench.attribution.trace import trace
    from daam_bench.diffusion.noise import denoise_given_images

    folder, pipeline, given = joint
    method = get_segmenter(
        "anchor-diff", device="cpu", default_model=str(folder), timesteps=(300, 700), first=0, spreads=2
    )
    found = method.segment([given])[0]
    seen, text = [], "cat pizza"
    settings = {"attention": ("cross", "self"), "resolutions": EVERY_RESOLUTION, "blocks": "double"}
    with trace(pipeline, attribution_prompts=text, outputs=seen.append, **settings) as tracer:
        denoise_given_images(pipeline, [given.prompt], [given.image], timesteps=(300, 700))
        tracer.finish()
    (attention,) = tracer.self_attention()[0].values()
    attention /= attention.sum(axis=-1, keepdims=True)
    places = len(attention)
    cosines, attended = np.zeros((places, places)), 0
    for one in seen:
        image = one.image[0].double().numpy()
        lengths = np.sqrt((image**2).sum(axis=1))
        cosines += image @ image.T / np.outer(lengths, lengths) / len(seen)
        attended = attended + one.to_image[0].numpy()
    words = tracer.attribution_maps()[0]
    for word, heat_map in zip(text.split(), found, strict=True):
        start = text.index(word)
        weights = words.token_weights(start, start + len(word))
        anchor = max(range(places), key=lambda place, weights=weights: sum(weights * attended[:, place]))
        values = {anchor: 1.0}
        for _ in range(2):
            spread = {}
            for place in range(places):
                ties = {
                    other: max(0.0, cosines[place, other]) ** 4
                    for other in range(places)
                    if attention[place, other] >= 1 / places or other == place
                }
                received = sum(tie * values.get(other, 0) for other, tie in ties.items())
                spread[place] = received / sum(ties.values())
            values = {place: value / max(spread.values()) for place, value in spread.items()}
        expected = np.array([values[place] for place in range(places)])
        np.testing.assert_allclose(np.asarray(heat_map).reshape(-1), expected, rtol=1e-3, atol=1e-4)


def test_the_recorder_leaves_nothing_behind(pipeline, query, attention):
    with recording(pipeline.unet):
        pass
    assert recorded(pipeline, query, (300,)).keys() == attention.keys()
    assert all(abs(value.sum(-1) - 1).max() < 1e-9 for value in attention.values())
