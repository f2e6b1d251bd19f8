"""How far the training of an emoji generator is: its error on scenes that no training has seen.

Latents x of new scenes are mixed with the same noise n for every pipeline, to (1 - s) x + s n at noise levels
s; the figure is the mean squared error of the predicted velocity n - x, lower is better. Part of it is noise
that no model can predict: the U-Net's figure says how much about. Pipelines of Stable Diffusion 3's kind and
velocity-predicting ones of Stable Diffusion 1's kind are compared alike.

    python benchmarks/velocity_error.py daam_bench/emoji/pipeline daam_bench/emoji/emoji-sd3
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from torch import Tensor
from transformers import CLIPTokenizer

from daam_bench.emoji import PIPELINE
from tools.emoji import DEBIAN_FONT
from tools.emoji.captions import caption
from tools.emoji.generator import encode, load_vae
from tools.emoji.scenes import Glyphs, compose, sample_layout
from tools.emoji.teacher import Teacher
from tools.emoji.tokenizing import MAX_LENGTH

LEVELS = (0.3, 0.5, 0.65, 0.8, 0.9)
"""Noise levels, as shares of noise in the mixture."""

_CPU = torch.device("cpu")

Velocity = Callable[[list[str], Tensor, Tensor], Tensor]
"""From captions, mixtures (batch, channels, height, width) and noise levels (batch,) to velocities."""


def main() -> None:
    """Measure what the options ask for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pipelines", type=Path, nargs="+", metavar="PIPELINE", help="folders")
    parser.add_argument("--scenes", type=int, default=96, help="new scenes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2**31, help="seed of scenes and noise")
    parser.add_argument("--font", type=Path, default=DEBIAN_FONT, help="NotoColorEmoji.ttf")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    glyphs = Glyphs(options.font)
    scenes = [compose(sample_layout(rng), glyphs, 64, rng) for _ in range(options.scenes)]
    captions = [caption(scene.layout, rng).text for scene in scenes]
    latents = encode(load_vae(PIPELINE / "vae"), np.stack([scene.image for scene in scenes]), _CPU)
    noise = torch.from_numpy(rng.standard_normal((len(LEVELS), *latents.shape), dtype=np.float32))
    print(f"squared error of the velocity, {options.scenes} scenes, noise levels", *LEVELS)
    for folder in options.pipelines:
        errors = errors_by_level(load_velocity(folder), captions, latents, noise)
        print(f"{np.mean(errors):.4f} ", *(f"{error:.4f}" for error in errors), f" {folder}", flush=True)


@torch.inference_mode()
def errors_by_level(
    velocity: Velocity, captions: list[str], latents: Tensor, noise: Tensor, batch: int = 24
) -> list[float]:
    """Return the mean squared error at each of `LEVELS`, with noise (levels, scenes, ...)."""
    errors = []
    for level, added in zip(LEVELS, noise, strict=True):
        mixed = (1 - level) * latents + level * added
        predicted = torch.cat(
            [
                velocity(captions[start : start + batch], part, torch.full((len(part),), level))
                for start, part in zip(range(0, len(mixed), batch), mixed.split(batch), strict=True)
            ]
        )
        errors.append(float(((predicted - (added - latents)) ** 2).mean()))
    return errors


def load_velocity(folder: Path) -> Velocity:
    """Load the denoiser of a pipeline of either kind, without guidance."""
    kind = json.loads((folder / "model_index.json").read_text())["_class_name"]
    return _sd3_velocity(folder) if kind == "StableDiffusion3Pipeline" else _unet_velocity(folder)


def _sd3_velocity(folder: Path) -> Velocity:
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder, torch_dtype=torch.float32)

    def velocity(captions: list[str], mixed: Tensor, levels: Tensor) -> Tensor:
        text, _, pooled, _ = pipeline.encode_prompt(
            captions,
            None,
            None,
            do_classifier_free_guidance=False,
            max_sequence_length=MAX_LENGTH,
        )
        predicted: Tensor = pipeline.transformer(
            mixed, encoder_hidden_states=text, pooled_projections=pooled, timestep=levels * 1000
        ).sample
        return predicted

    return velocity


def _unet_velocity(folder: Path) -> Velocity:
    teacher = Teacher(folder, _CPU)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")

    def velocity(captions: list[str], mixed: Tensor, levels: Tensor) -> Tensor:
        ids = tokenizer(captions, padding="max_length", return_tensors="pt").input_ids
        steps, _ = teacher.nearest(levels)
        return teacher.velocity(ids, mixed, steps)

    return velocity


if __name__ == "__main__":
    main()
