"""The maps equal those of castorini/daam 0.2.0, recorded on a tiny pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from daam_bench import trace

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
HEADS = 2

pytestmark = pytest.mark.skipif(
    not (REFERENCE / "castorini_daam.npz").exists(),
    reason=f"needs castorini/daam's recorded maps in {REFERENCE}",
)


@pytest.fixture(scope="module")
def recorded() -> Any:
    return np.load(REFERENCE / "castorini_daam.npz")


@pytest.fixture(scope="module")
def tracers(recorded: Any) -> dict[str, Any]:
    """Traces of all heads and of each head, from one generation."""
    pipeline = StableDiffusionPipeline.from_pretrained(REFERENCE / "tiny-sd", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    with trace(pipeline) as whole, trace(pipeline, heads=(0,)) as head0, trace(pipeline, heads=(1,)) as head1:
        latents = pipeline(
            str(recorded["prompt"]),
            num_inference_steps=int(recorded["steps"]),
            guidance_scale=float(recorded["guidance"]),
            latents=torch.from_numpy(recorded["init_latents"]),
            output_type="latent",
        ).images
    np.testing.assert_allclose(latents, recorded["latents"], atol=1e-3)
    return {"whole": whole, "0": head0, "1": head1}


def word_map(maps: Any, word: str, layers: int) -> Any:
    """Their word map: the mean over all the word's occurrences, layers and heads."""
    occurrences = sum(found.text == word for found in maps.words()) or 1
    found = [np.asarray(maps.find(word, occurrence)) for occurrence in range(occurrences)]
    return np.mean(found, axis=0) / (layers * HEADS)


@pytest.mark.parametrize("word", ["dog", "monkeys", "sitting", "grass", "red hat", "a", "photo", "hat"])
def test_word_maps(tracers: dict[str, Any], recorded: Any, word: str) -> None:
    maps, layers = tracers["whole"].heat_maps()[0], len(tracers["whole"].layers)
    expected = recorded[f"word__{word.replace(' ', '_')}"]
    np.testing.assert_allclose(word_map(maps, word, layers), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "tracer", "heads"), [("global", "whole", HEADS), ("global_head1", "1", 1)])
def test_token_maps(tracers: dict[str, Any], recorded: Any, name: str, tracer: str, heads: int) -> None:
    maps = tracers[tracer].heat_maps()[0]
    for position, expected in enumerate(recorded[name]):
        values = np.asarray(maps.token(position)) / (len(tracers[tracer].layers) * heads)
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_raw_sums_of_single_layers_and_heads(tracers: dict[str, Any], recorded: Any) -> None:
    ours = sorted(tracers["whole"].layers, key=lambda name: name.startswith("down"))
    raw = [key for key in recorded.files if key.startswith("raw__")]
    assert len(raw) == 4
    for key in raw:
        _, layer, head = key.removeprefix("raw__").split("__")
        sums = tracers[head].layer_maps()[0][ours[int(layer)]]
        np.testing.assert_allclose(sums, recorded[key], atol=1e-3)


def test_minmax_mask(tracers: dict[str, Any], recorded: Any) -> None:
    mask = tracers["whole"].heat_maps()[0]["dog"].resize((512, 512)).threshold(0.4, normalize="minmax")
    assert np.array_equal(mask, recorded["expand_thr0.4__dog"] > 0)
