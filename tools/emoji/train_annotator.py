"""Training of the annotator on composited scenes."""

from __future__ import annotations

import json
import time
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

from daam_bench.emoji.annotator import CLASSES, Annotator, class_logits, to_tensor
from daam_bench.emoji.nouns import NOUNS
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Scene, compose, sample_layout

_REGENERATED = 0.3  # share of the training scenes that go through the autoencoder


def build_annotator() -> SegformerForSemanticSegmentation:
    """Build an untrained annotator: SegFormer's smallest, at half its strides and two thirds of its width."""
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


def train_and_measure(*, out: Path, font: Path, pipeline: Path, samples: int, start: Path | None) -> None:
    """Train an annotator for a pipeline's images and print its quality on held-out scenes."""
    vae = pipeline / "vae"
    size = int(json.loads((vae / "config.json").read_text())["sample_size"])
    train_annotator(vae_folder=vae, font=font, image_size=size, out=out, samples=samples, start=start)
    print(held_out_quality(Annotator(out), font=font, image_size=size))


def train_annotator(
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
    """Train an annotator on composited scenes and write it to `out` in float16.

    Some of the scenes go through the autoencoder first, and all through small changes of colour, blur
    and noise, so that the annotator knows them as the pipeline would generate them. With
    `start`, training resumes from that annotator's weights.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    glyphs = Glyphs(font)
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    model = build_annotator()
    if start is not None:
        model.load_state_dict(SegformerForSemanticSegmentation.from_pretrained(start).state_dict())
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = samples // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps, pct_start=0.1)
    began = time.monotonic()
    for step in range(1, steps + 1):
        scenes = [compose(sample_layout(rng), glyphs, image_size, rng) for _ in range(batch_size)]
        pixels = as_generated(to_tensor(np.stack([scene.image for scene in scenes])), vae)
        ground_truth = torch.from_numpy(np.stack([class_map(scene) for scene in scenes]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = class_logits(model, pixels)
        loss = F.cross_entropy(logits, ground_truth, label_smoothing=0.02)
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
def as_generated(pixels: Tensor, vae: AutoencoderKL) -> Tensor:
    """Make scenes look as the pipeline would generate them.

    The first `_REGENERATED` of the batch go through the autoencoder, and all through small random changes of
    colour, blur and noise.

    Args:
        pixels: Floats in [-1, 1] of shape (batch, 3, height, width).
        vae: The pipeline's autoencoder.
    """
    regenerated_count = round(_REGENERATED * len(pixels))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents = vae.encode(pixels[:regenerated_count]).latent_dist.mode()
        regenerated = vae.decode(latents + 0.15 * torch.randn_like(latents)).sample.float()
    pixels = torch.cat([regenerated, pixels[regenerated_count:]])
    per_image = (len(pixels), 1, 1, 1)
    blurred = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    pixels = torch.where(torch.rand(per_image) < 0.3, blurred, pixels)
    gain = 1 + 0.1 * torch.randn(len(pixels), 3, 1, 1)
    noise = 0.05 * torch.rand(per_image) * torch.randn_like(pixels)
    return (pixels * gain + 0.05 * torch.randn(len(pixels), 3, 1, 1) + noise).clamp(-1, 1)


def held_out_quality(
    annotator: Annotator, *, font: Path, image_size: int, scenes: int = 300
) -> dict[str, Any]:
    """Check an annotator on composited scenes that it was not trained on.

    Returns:
        `recall` (share of the shown nouns it finds), `false_alarms` (share of nouns not shown that it
        claims to find) and `iou` (mean intersection over union of its masks), each in [0, 1].
    """
    rng = np.random.default_rng(123_456)
    glyphs = Glyphs(font)
    composed = [compose(sample_layout(rng), glyphs, image_size, rng) for _ in range(scenes)]
    images = [Image.fromarray(scene.image) for scene in composed]
    shown = [[group.noun for group in scene.layout.groups] for scene in composed]
    absent = [
        list(rng.choice([name for name in NOUNS if name not in names], 2, replace=False)) for names in shown
    ]
    found = annotator.find(images, shown)
    alarms = annotator.find(images, [[*a, *b] for a, b in zip(absent, shown, strict=True)])
    overlaps = [
        (finding.mask & mask).sum() / max(1, (finding.mask | mask).sum())
        for findings, scene in zip(found, composed, strict=True)
        for finding, mask in zip(findings, scene.masks, strict=True)
    ]
    return {
        "recall": float(np.mean([finding.depicted for findings in found for finding in findings])),
        "false_alarms": float(np.mean([finding.depicted for findings in alarms for finding in findings[:2]])),
        "iou": float(np.mean(overlaps)),
    }
