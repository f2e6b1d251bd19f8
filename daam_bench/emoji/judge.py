"""The judge: a SegFormer that names the nouns in a picture of the emoji world, pixel by pixel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from daam_bench.emoji.glyphs import Glyphs
from daam_bench.emoji.nouns import NOUNS
from daam_bench.emoji.scenes import Scene, compose, sample_layout
from daam_bench.errors import InputError
from daam_bench.types import BoolMask, FloatMap

CLASSES = {name: index for index, name in enumerate(NOUNS, start=1)}
"""Class index of every noun; 0 is the background."""

SMALLEST = 0.006
"""Share of the picture below which a noun counts as not drawn."""

_REDRAWN = 0.3  # share of the training scenes that go through the autoencoder

_AGREEMENT = 0.5  # share of a noun's pixels that must be that noun among all nouns, not only the prompt's


def build_judge() -> SegformerForSemanticSegmentation:
    """Build an untrained judge: SegFormer's smallest, at half its strides and two thirds of its width."""
    return SegformerForSemanticSegmentation(
        SegformerConfig(
            num_labels=len(CLASSES) + 1,
            strides=[2, 2, 2, 2],
            patch_sizes=[5, 3, 3, 3],
            depths=[1, 1, 2, 1],
            hidden_sizes=[32, 64, 96, 128],
            num_attention_heads=[1, 2, 3, 4],
            sr_ratios=[8, 4, 2, 1],
            decoder_hidden_size=96,
            id2label={0: "background", **{index: name for name, index in CLASSES.items()}},
        )
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """What the judge sees of one noun of a prompt.

    Attributes:
        noun: Name of the noun.
        drawn: Whether it is there.
        mask: Its pixels, bool of shape (height, width).
    """

    noun: str
    drawn: bool
    mask: BoolMask


class Judge:
    """A trained judge.

    Args:
        folder: Where `train_judge` wrote it.

    Raises:
        InputError: There is no judge in the folder.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise InputError(
                f"no judge in {folder}: train it with `daam-bench emoji train-judge --out {folder}`"
            )
        self._model = SegformerForSemanticSegmentation.from_pretrained(
            folder, torch_dtype=torch.float32
        ).eval()

    @torch.no_grad()
    def probabilities(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return class probabilities of shape (images, classes, height, width)."""
        pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
        parts = [class_logits(self._model, to_tensor(pixels[i : i + 32])) for i in range(0, len(pixels), 32)]
        probabilities: NDArray[np.float32] = torch.cat(parts).softmax(dim=1).numpy()
        return probabilities

    def find(self, images: Sequence[Image.Image], nouns: Sequence[Sequence[str]]) -> list[list[Finding]]:
        """Look for the nouns of each image's prompt.

        A pixel belongs to the likeliest of the prompt's nouns and the background. A noun is drawn when
        its pixels are at least `SMALLEST` of the picture and most of them are that noun among all nouns.
        """
        return [
            findings(scores, names) for names, scores in zip(nouns, self.probabilities(images), strict=True)
        ]


def findings(scores: FloatMap, nouns: Sequence[str]) -> list[Finding]:
    """Read what the judge found of a prompt's nouns from its probabilities (classes, height, width)."""
    likeliest = np.asarray(rivals(nouns))[scores[rivals(nouns)].argmax(axis=0)]
    return [_finding(name, likeliest, scores.argmax(axis=0)) for name in nouns]


def rivals(nouns: Sequence[str]) -> list[int]:
    """Return the classes a pixel of the prompt's picture can have: the background, then the nouns."""
    return [0, *(CLASSES[name] for name in nouns)]


def _finding(noun: str, likeliest: NDArray[np.int64], of_all: NDArray[np.int64]) -> Finding:
    mask: BoolMask = likeliest == CLASSES[noun]
    sure = mask & (of_all == CLASSES[noun])
    drawn = mask.mean() >= SMALLEST and sure.sum() >= _AGREEMENT * mask.sum()
    return Finding(noun, bool(drawn), mask)


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Turn uint8 RGB (batch, height, width, 3) into floats in [-1, 1] of shape (batch, 3, height, width)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def class_logits(model: SegformerForSemanticSegmentation, pixels: Tensor) -> Tensor:
    """Return logits of shape (batch, classes, height, width) at the pixels' own size."""
    logits: Tensor = model(pixel_values=pixels).logits
    return F.interpolate(logits.float(), size=pixels.shape[-2:], mode="bilinear", align_corners=False)


def train_judge(
    *,
    vae_folder: Path,
    font: Path,
    image_size: int,
    out: Path,
    samples: int,
    seed: int = 0,
    batch_size: int = 32,
    start: Path | None = None,
) -> None:
    """Train a judge on composited scenes and write it to `out` in float16.

    Some of the scenes go through the autoencoder first, and all through small changes of colour, blur
    and noise, so that the judge knows them as the pipeline would draw them. With `start`, training goes on
    from that judge's weights.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    glyphs = Glyphs(font)
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    model = build_judge()
    if start is not None:
        model.load_state_dict(SegformerForSemanticSegmentation.from_pretrained(start).state_dict())
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = samples // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps, pct_start=0.1)
    began = time.monotonic()
    for step in range(1, steps + 1):
        scenes = [compose(sample_layout(rng), glyphs, image_size, rng) for _ in range(batch_size)]
        pixels = as_drawn(to_tensor(np.stack([scene.image for scene in scenes])), vae)
        truth = torch.from_numpy(np.stack([class_map(scene) for scene in scenes]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = class_logits(model, pixels)
        loss = F.cross_entropy(logits, truth, label_smoothing=0.02)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            rate = step * batch_size / (time.monotonic() - began)
            print(
                f"{step * batch_size:,}/{samples:,} samples  {rate:.0f}/s  loss {loss.item():.3f}", flush=True
            )
    model.half().save_pretrained(out)


def class_map(scene: Scene) -> NDArray[np.int64]:
    """Return the class index of every pixel, shape (height, width)."""
    classes = np.zeros(scene.masks.shape[1:], dtype=np.int64)
    for group, mask in zip(scene.layout.groups, scene.masks, strict=True):
        classes[mask] = CLASSES[group.noun]
    return classes


@torch.no_grad()
def as_drawn(pixels: Tensor, vae: AutoencoderKL) -> Tensor:
    """Make scenes look as the pipeline would draw them.

    The first `_REDRAWN` of the batch go through the autoencoder, and all through small random changes of
    colour, blur and noise.

    Args:
        pixels: Floats in [-1, 1] of shape (batch, 3, height, width).
        vae: The pipeline's autoencoder.
    """
    redrawn_count = round(_REDRAWN * len(pixels))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents = vae.encode(pixels[:redrawn_count]).latent_dist.mode()
        redrawn = vae.decode(latents + 0.15 * torch.randn_like(latents)).sample.float()
    pixels = torch.cat([redrawn, pixels[redrawn_count:]])
    per_image = (len(pixels), 1, 1, 1)
    blurred = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    pixels = torch.where(torch.rand(per_image) < 0.3, blurred, pixels)
    gain = 1 + 0.1 * torch.randn(len(pixels), 3, 1, 1)
    noise = 0.05 * torch.rand(per_image) * torch.randn_like(pixels)
    return (pixels * gain + 0.05 * torch.randn(len(pixels), 3, 1, 1) + noise).clamp(-1, 1)


def held_out_quality(judge: Judge, *, font: Path, image_size: int, scenes: int = 300) -> dict[str, Any]:
    """Check a judge on composited scenes that it was not trained on.

    Returns:
        `recall` (share of the shown nouns it finds), `false_alarms` (share of nouns not shown that it
        claims to find) and `iou` (mean intersection over union of its masks), each in [0, 1].
    """
    rng = np.random.default_rng(123_456)
    glyphs = Glyphs(font)
    drawn = [compose(sample_layout(rng), glyphs, image_size, rng) for _ in range(scenes)]
    images = [Image.fromarray(scene.image) for scene in drawn]
    shown = [[group.noun for group in scene.layout.groups] for scene in drawn]
    absent = [
        list(rng.choice([name for name in NOUNS if name not in names], 2, replace=False)) for names in shown
    ]
    found = judge.find(images, shown)
    alarms = judge.find(images, [[*a, *b] for a, b in zip(absent, shown, strict=True)])
    overlaps = [
        (finding.mask & mask).sum() / max(1, (finding.mask | mask).sum())
        for findings, scene in zip(found, drawn, strict=True)
        for finding, mask in zip(findings, scene.masks, strict=True)
    ]
    return {
        "recall": float(np.mean([finding.drawn for findings in found for finding in findings])),
        "false_alarms": float(np.mean([finding.drawn for findings in alarms for finding in findings[:2]])),
        "iou": float(np.mean(overlaps)),
    }
