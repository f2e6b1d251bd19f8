"""Options of rivals that change their formula, against slow references as in test_rival_formulas.py."""

import numpy as np
import pytest
import torch
from skimage.segmentation import felzenszwalb

from daam_bench import trace
from daam_bench.attribution.given_images import trace_images
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.generate import reproduce
from daam_bench.diffusion.noise import NoisedImages
from daam_bench.segmenters.registry import get_segmenter
from tests.segmenters.recorded_attention import bilinear, recorded, sizes
from tests.segmenters.test_rival_formulas import (
    LATENTS,
    TOKENS,
    bicubic,
    cross_by_size,
    daam_reference,
    finest_self,
    layers,
    maps_of,
    stretched,
)


def from_zero_at_the_images_size(values, image):
    """Stretch a map of the latents to begin at 0, at the image's size."""
    resized = bicubic(values, (image.height, image.width))
    return resized - resized.min()


def test_minmax_of_a_mean_over_heads(attention, query, tiny_model):
    found = maps_of("daam-mean", query, tiny_model, normalize="minmax")
    for tokens, values in zip(TOKENS, found, strict=True):
        expected = from_zero_at_the_images_size(daam_reference(attention, tokens, np.mean), query.image)
        np.testing.assert_allclose(values, expected, rtol=1e-2, atol=1e-3 * expected.max())


def test_minmax_of_all_heads_is_daams(query, tiny_model):
    found = maps_of("head-selection", query, tiny_model, share=1.0, normalize="minmax")
    daam = maps_of("daam", query, tiny_model, normalize="minmax")
    np.testing.assert_allclose(found, daam, rtol=1e-3, atol=1e-4)


def test_minmax_of_superpixels_begins_at_0(query, tiny_model):
    plain = maps_of("daam-superpixels", query, tiny_model, segments=20)
    found = maps_of("daam-superpixels", query, tiny_model, segments=20, normalize="minmax")
    for values, before in zip(found, plain, strict=True):
        np.testing.assert_allclose(values, before - before.min(), rtol=1e-5, atol=1e-6)


def test_felzenszwalbs_regions(query, tiny_model, pipeline):
    daam = trace_images(pipeline, [query.prompt], [query.image], timesteps=(300,))[0]["cat"]
    values = daam.resize(query.image.size).values
    regions = felzenszwalb(np.asarray(query.image), scale=5.0)
    (found, _) = maps_of("daam-superpixels", query, tiny_model, superpixels="felzenszwalb", scale=5.0)
    assert len(np.unique(regions)) > 1
    for region in np.unique(regions):
        np.testing.assert_allclose(found[regions == region], values[regions == region].mean(), rtol=1e-4)


def test_other_weights_and_time_steps_of_diffsegmenter(query, tiny_model, pipeline):
    """Attention is a sum over time steps, and one resolution may count alone."""
    both = recorded(pipeline, query, (200, 600))
    method = get_segmenter(
        "diffsegmenter", device="cpu", default_model=str(tiny_model), timesteps=(200, 600), weights={"2": 3.0}
    )
    half = {name: value / 2 for name, value in both.items()}
    for tokens, found in zip(TOKENS, method.segment([query])[0], strict=True):
        start = stretched(bilinear(cross_by_size(both, tokens)[4, 6], LATENTS))
        expected = stretched((finest_self(half) @ start.reshape(-1)).reshape(LATENTS))
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-2, atol=2e-3)


def test_iseg_without_iterations_is_its_start(attention, query, tiny_model):
    found = maps_of("iseg", query, tiny_model, iterations=0, weights={"1": 0.5, "4": 0.5})
    for tokens, values in zip(TOKENS, found, strict=True):
        by_size = cross_by_size(attention, tokens)
        start = by_size[LATENTS] / by_size[LATENTS].sum()
        start = start + bilinear(by_size[2, 3] / by_size[2, 3].sum(), LATENTS)
        np.testing.assert_allclose(values, stretched(start), rtol=1e-2, atol=2e-3)


def test_recipes_on_a_whole_generation(generated_dataset, pipeline):
    """With source="generation" the attention is that of all steps of the image's own generation."""
    given = load_split(generated_dataset, "coco_gen").queries()[:1]
    with trace(pipeline, layers=slice(None), attention=("cross", "self"), resolutions=(1, 2, 4)) as tracer:
        reproduce(pipeline, given, given[0].generation)
    matrix = tracer.self_attention()[0][LATENTS]
    matrix = matrix / matrix.sum(axis=1, keepdims=True)
    kept = tracer._generations[0].kept
    for name, options in {"diffsegmenter": {}, "iseg": {"iterations": 0}}.items():
        method = get_segmenter(name, device="cpu", source="generation", weights={"1": 1.0}, **options)
        for tokens, found in zip(TOKENS, method.segment(given)[0], strict=True):
            maps = [
                value[kept.index(tokens[0])] / pipeline.unet.get_submodule(layer).heads
                for layer, value in tracer.layer_maps()[0].items()
                if value.shape[1:] == LATENTS
            ]
            start = stretched(np.mean(maps, axis=0))
            if name == "diffsegmenter":
                start = stretched((matrix @ start.reshape(-1)).reshape(LATENTS))
            np.testing.assert_allclose(np.asarray(found), start, rtol=1e-2, atol=2e-3)


def test_ovams_softmax_is_over_its_own_prompt(query, tiny_model, pipeline):
    """With the image's own prompt as the template, its shares are the model's own attention."""
    attention = recorded(pipeline, query, (300,))
    found = maps_of("ovam", query, tiny_model, template="a {} and a pizza", scores="softmax")[0]
    expected = np.zeros(LATENTS)
    for value in layers(attention, "attn2", ("down", "up")).values():
        by_head = value[:, :, TOKENS[0]].mean(axis=2)
        expected += bicubic(by_head.sum(axis=0).reshape(sizes(LATENTS)[value.shape[1]]), LATENTS)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3 * expected.max())


def test_jvp_is_a_mean_over_points_noises_and_time_steps(query, tiny_model):
    def jvp(**options):
        return get_segmenter("jvp", device="cpu", default_model=str(tiny_model), **options).segment([query])[
            0
        ]

    found = jvp(timesteps=(200, 600), points=(0.25, 1.0), noises=2, seed=3)
    parts = [
        jvp(timesteps=(timestep,), points=(point,), seed=seed)
        for timestep in (200, 600)
        for point in (0.25, 1.0)
        for seed in (3, 4)
    ]
    for noun, heat_map in enumerate(found):
        single = [np.asarray(part[noun]) for part in parts]
        expected = np.mean([one / one.mean() for one in single], axis=0)
        np.testing.assert_allclose(np.asarray(heat_map), expected, rtol=1e-3, atol=1e-4)


def test_the_gradient_is_a_sum_over_noises_and_time_steps(query, tiny_model):
    def gradient(**options):
        method = get_segmenter("gradient", device="cpu", default_model=str(tiny_model), **options)
        return [np.asarray(heat_map) for heat_map in method.segment([query])[0]]

    found = gradient(timesteps=(200, 600), noises=2, seed=3)
    parts = [gradient(timesteps=(timestep,), seed=seed) for timestep in (200, 600) for seed in (3, 4)]
    np.testing.assert_allclose(found, np.sum(parts, axis=0), rtol=1e-3, atol=1e-3 * np.max(found))


@pytest.mark.parametrize("anchors", [2, 3])
def test_diffsegs_anchors_stand_on_a_grid(anchors):
    """With thresholds that merge nothing, a place belongs to the anchor whose map is largest there."""
    from daam_bench.segmenters.diffseg import segment_places

    attention = np.random.default_rng(2).dirichlet(np.ones(30), size=30).astype(np.float32)
    found = segment_places(attention, (5, 6), thresholds=[1e-3], anchors=anchors, refine=False)
    rows, columns = {2: ((0, 4), (0, 5)), 3: ((0, 2, 4), (0, 2, 5))}[anchors]
    maps = [attention[row * 6 + column] for row in rows for column in columns]
    np.testing.assert_array_equal(found, np.argmax(maps, axis=0))


def test_seeds_noise_the_image_anew(query, tiny_model, pipeline):
    noised = NoisedImages(pipeline, [query.prompt], [query.image])
    assert not torch.equal(noised.noisy(300, 0), noised.noisy(300, 1))
    for name in ("daam", "diffsegmenter", "iseg"):
        one, other = (maps_of(name, query, tiny_model, seed=seed)[0] for seed in (0, 1))
        assert not np.allclose(one, other, atol=1e-3)
