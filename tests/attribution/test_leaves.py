"""Attention probabilities that gradients reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daam_bench.attribution.leaves import attention_leaves
from daam_bench.attribution.selection import make_selection
from daam_bench.attribution.trace import Tracer
from daam_bench.diffusion.noise import NoisedImages
from daam_bench.types.errors import InputError
from tests.diffusion.test_noise import IMAGES, PROMPTS, build, photos


@pytest.mark.parametrize("family", IMAGES)
def test_probabilities_are_those_that_the_tracer_sums_and_have_gradients(family: str) -> None:
    pipeline = build(family)
    with (
        Tracer(pipeline, make_selection(), planned=False) as tracer,
        attention_leaves(pipeline) as leaves,
    ):
        noised = NoisedImages(pipeline, PROMPTS, photos(family))
        predicted = noised.predict(noised.noisy(300, 0), 300)
        tracer.finish()
    with torch.no_grad():
        plain = noised.predict(noised.noisy(300, 0), 300)
    torch.testing.assert_close(predicted, plain, rtol=1e-3, atol=1e-4)
    assert [leaf.layer.name for leaf in leaves] == list(tracer.layers)
    gradients = torch.autograd.grad(
        predicted.square().sum(), [leaf.probabilities for leaf in leaves], allow_unused=True
    )
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    (generation,) = tracer._generations
    for leaf in leaves:
        for row, columns in enumerate(leaf.text_columns(leaf.probabilities)):
            found = tracer.layer_maps()[row][leaf.layer.name].reshape(len(generation.kept), -1).T
            own = [place for place in generation.kept if place < columns.shape[-1]]
            expected = columns.sum(dim=0)[:, own].detach().numpy()
            np.testing.assert_allclose(found[:, : len(own)], expected, rtol=1e-3, atol=1e-5)
    assert not any(layer.module._forward_hooks for layer in (leaf.layer for leaf in leaves))


def test_a_gradient_is_the_change_that_a_probability_makes() -> None:
    """By finite differences through the last traced layer."""
    pipeline = build("sd")
    noised = NoisedImages(pipeline, PROMPTS[:1], photos("sd", 1))
    noisy = noised.noisy(300, 0)
    with attention_leaves(pipeline, layers=3) as leaves:
        score = noised.predict(noisy, 300).square().sum()
    (leaf,) = leaves
    (gradient,) = torch.autograd.grad(score, [leaf.probabilities])
    value = torch.zeros_like(gradient)
    value[0, 1, 5, 2] = 1
    original = torch.Tensor.softmax
    nudge = 0.05

    def nudged(scores: torch.Tensor, dim: int) -> torch.Tensor:
        return original(scores, dim=dim) + nudge * value

    torch.Tensor.softmax = nudged  # type: ignore[method-assign]
    try:
        with attention_leaves(pipeline, layers=3):
            up = noised.predict(noisy, 300).square().sum()
            nudge = -nudge
            down = noised.predict(noisy, 300).square().sum()
    finally:
        torch.Tensor.softmax = original  # type: ignore[method-assign]
    assert float((up - down).detach()) / 0.1 == pytest.approx(float(gradient[0, 1, 5, 2]), rel=0.05, abs=1e-3)


def test_a_map_of_gradients_by_word() -> None:
    pipeline = build("sd")
    with Tracer(pipeline, make_selection(), planned=False) as tracer:
        noised = NoisedImages(pipeline, PROMPTS, photos("sd"))
        noised.predict(noised.noisy(300, 0), 300)
        tracer.finish()
    maps = tracer.heat_maps()[0]
    values = np.zeros((16, 3, 5), np.float32)
    values[2], values[5] = 1, 2
    by_word = maps.with_values(values)
    assert by_word["cat"].values.max() == 1
    assert by_word["dog"].values.min() == 2
    assert by_word["cat"].shape == (3, 5)
    with pytest.raises(InputError, match="positions up to"):
        maps.with_values(values[:3])


def test_layers_that_are_not_there() -> None:
    with pytest.raises(InputError, match="no layer"), attention_leaves(build("sd"), layers="up_blocks.9"):
        pass
