"""A trained U-Net as the teacher of a flow model: what it predicts has no noise, unlike a training target."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor


class Teacher:
    """The denoiser of a velocity-predicting `StableDiffusionPipeline`, asked at noise levels of a flow.

    A flow mixes latents x and noise n to (1 - s) x + s n at noise level s; scaled to variance 1, that is what
    the U-Net sees at the time step where its share of noise is the same (Kingma et al., arXiv 2107.00630,
    section 3: only the ratio of signal to noise counts).
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32).to(device)
        self._unet = pipeline.unet.eval().to(memory_format=torch.channels_last)
        if device.type == "cpu":
            self._unet.set_attn_processor(AttnProcessor())  # faster on small CPU batches
        self._text_encoder = pipeline.text_encoder.eval()
        kept = pipeline.scheduler.alphas_cumprod.to(device)
        self._signal, self._noise = kept.sqrt(), (1 - kept).sqrt()
        self._levels = self._noise / (self._signal + self._noise)

    def nearest(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's time steps for noise levels in [0, 1], and their own noise levels.

        A level above the teacher's last stays as it is, with a time step of -1.
        """
        steps = torch.searchsorted(self._levels, levels.contiguous())
        known = steps < len(self._levels)
        steps = torch.where(known, steps, -1)
        return steps, torch.where(known, self._levels[steps], levels)

    @torch.no_grad()
    def velocity(self, ids: Tensor, mixed: Tensor, steps: Tensor) -> Tensor:
        """Return the expected noise minus latents, of the shape of `mixed`: (batch, channels, height, width).

        `ids` are the captions' tokens in the teacher's vocabulary, `steps` from 0.
        """
        signal, noise = (value[steps].view(-1, 1, 1, 1) for value in (self._signal, self._noise))
        seen = (mixed * (signal + noise)).contiguous(memory_format=torch.channels_last)
        predicted = self._unet(seen, steps, self._text_encoder(ids)[0]).sample.float()
        latents, added = signal * seen - noise * predicted, noise * seen + signal * predicted
        velocity: Tensor = added - latents
        return velocity
