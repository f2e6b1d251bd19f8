"""The emoji diffusion transformer, a Stable Diffusion 3 in miniature: its parts, and its training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import Tensor, nn
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from daam_bench.types.errors import InputError
from tools.emoji.configuration import Sd3PipelineSettings, load_settings
from tools.emoji.generator import GeneratorObjective, Parts, adamw, normal, train_generator
from tools.emoji.teacher import Teacher
from tools.emoji.tokenizing import (
    T5_LENGTHS,
    load_t5_tokenizer,
    save_t5_tokenizer,
    train_t5_tokenizer,
    world_captions,
)
from tools.emoji.training import run_processes
from tools.emoji.unet import clip_config

_NOISE_MEAN, _NOISE_SPREAD = 0.4, 1.1  # of the noise level's logit; above 0, objects' shapes get more steps
_LONG_TEXT_STEPS = 32  # one in so many steps pads T5's text as diffusers does unless told


def train_sd3(
    *,
    config: str | Path,
    out: Path,
    font: Path,
    start_vae: Path,
    start: Path | None = None,
    samples: int | None = None,
    minutes: float | None = None,
    processes: int | None = None,
    seed: int | None = None,
) -> None:
    """Train text encoders and diffusion transformer into `out`; the pipeline is `out/pipeline`.

    Resumes from the last checkpoint in `out`. Autoencoder and tokenizer come from the pipeline `start_vae`;
    the first text encoder starts from its text encoder where the sizes agree.
    """
    settings = load_settings(config, Sd3PipelineSettings).changed(samples=samples, seed=seed)
    if settings.training.muon and not hasattr(torch.optim, "Muon"):
        raise InputError("Muon needs torch 2.9 or later: upgrade it, or set muon = 0 in the configuration")
    vocabulary = out / "tokenizer_3"
    if not vocabulary.exists():
        save_t5_tokenizer(train_t5_tokenizer(world_captions(settings.world.seed)), vocabulary)
    arguments = (
        Sd3Objective,
        settings,
        start_vae / "vae",
        [start_vae, vocabulary],
        font,
        out,
        start,
        minutes,
    )
    run_processes(train_generator, *arguments, processes=processes)


@contextmanager
def eager_attention() -> Iterator[None]:
    """Let PyTorch's attention be two matrix products: on the CPU its fused kernel is slow backwards."""
    fused = F.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        if options.get("attn_mask") is not None or options.get("is_causal"):
            attended: Tensor = fused(query, key, value, **options)
            return attended
        scale = options.get("scale") or query.shape[-1] ** -0.5
        attended = ((query * scale) @ key.transpose(-1, -2)).softmax(-1) @ value
        return attended

    with patch.object(F, "scaled_dot_product_attention", attend):
        yield


class FlowModel(nn.Module):
    """Three text encoders and the transformer as one module, from tokens and noisy latents to a velocity."""

    def __init__(self, settings: Sd3PipelineSettings, vae: AutoencoderKL, tokenizers: Sequence[Any]) -> None:
        super().__init__()
        clips, t5 = (settings.text_encoder, settings.text_encoder_2), settings.text_encoder_3
        transformer = settings.transformer
        side = settings.world.image_size // 2 ** (len(vae.config.block_out_channels) - 1)
        # Names and order are those of the checkpoints.
        self.three = T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizers[1]),
                d_model=t5.width,
                d_kv=t5.head_width,
                d_ff=t5.mlp_width,
                num_layers=t5.layers,
                num_heads=t5.heads,
                feed_forward_proj="gated-gelu",
                dropout_rate=0.0,
                pad_token_id=tokenizers[1].pad_token_id,
                eos_token_id=tokenizers[1].eos_token_id,
            )
        )
        self.one, self.two = (CLIPTextModelWithProjection(clip_config(clip, tokenizers[0])) for clip in clips)
        self.dit = SD3Transformer2DModel(
            sample_size=side,
            patch_size=transformer.patch,
            in_channels=vae.config.latent_channels,
            out_channels=vae.config.latent_channels,
            num_layers=transformer.layers,
            attention_head_dim=transformer.head_width,
            num_attention_heads=transformer.heads,
            joint_attention_dim=t5.width,
            caption_projection_dim=transformer.heads * transformer.head_width,
            pooled_projection_dim=sum(clip.width for clip in clips),
            pos_embed_max_size=side // transformer.patch * 3 // 2,
            qk_norm="rms_norm",
        )

    def forward(self, ids: Tensor, ids_3: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Predict the velocity of latents (batch, channels, height, width) at noise levels in [0, 1]."""
        encoded = [clip(ids, output_hidden_states=True) for clip in (self.one, self.two)]
        text_3 = self.three(ids_3)[0]
        text = torch.cat([output.hidden_states[-2] for output in encoded], dim=-1)
        text = F.pad(text, (0, text_3.shape[-1] - text.shape[-1]))
        velocity: Tensor = self.dit(
            noisy,
            encoder_hidden_states=torch.cat([text, text_3], dim=1),
            pooled_projections=torch.cat([output.text_embeds for output in encoded], dim=-1),
            timestep=sigma * 1000,
        ).sample
        return velocity

    def load_pipeline(self, folder: Path) -> None:
        """Load the weights of a `StableDiffusion3Pipeline`."""
        pipeline = StableDiffusion3Pipeline.from_pretrained(folder, torch_dtype=torch.float32)
        self.one.load_state_dict(pipeline.text_encoder.state_dict())
        self.two.load_state_dict(pipeline.text_encoder_2.state_dict())
        self.three.load_state_dict(pipeline.text_encoder_3.state_dict())
        self.dit.load_state_dict(pipeline.transformer.state_dict())

    def load_text_encoder(self, folder: Path) -> None:
        """Start the first CLIP from the text encoder of an emoji pipeline, if the sizes agree."""
        encoder = CLIPTextModel.from_pretrained(folder, torch_dtype=torch.float32)
        own, given = (getattr(model, "text_model", model).state_dict() for model in (self.one, encoder))
        if {name: value.shape for name, value in own.items()} == {n: v.shape for n, v in given.items()}:
            self.one.text_model.load_state_dict(given)


def optimizers_of(model: FlowModel, muon: float) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return AdamW, and Muon for the matrices of the blocks at `muon` times AdamW's learning rate, if any."""
    hidden = {
        name: parameter
        for name, parameter in model.named_parameters()
        if muon and parameter.ndim == 2 and name.startswith("dit.transformer_blocks")
    }
    optimizers = [(adamw([value for name, value in model.named_parameters() if name not in hidden]), 1.0)]
    if muon:
        options: dict[str, Any] = {"momentum": 0.95, "adjust_lr_fn": "match_rms_adamw"}
        optimizers.append((torch.optim.Muon([*hidden.values()], weight_decay=0.01, **options), muon))
    return optimizers


class Sd3Objective(GeneratorObjective[Sd3PipelineSettings]):
    """The training of text encoders and transformer: flow matching with logit-normal noise levels."""

    card = "sd3.md"
    keys = ("net", "opt")

    def build(self, vae: AutoencoderKL, sources: Sequence[Path], start: Path | None) -> Parts:
        """Return text encoders and transformer, their parameters, and AdamW and Muon."""
        base, vocabulary = sources
        tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
        self._tokenizers = tokenizer, load_t5_tokenizer(vocabulary)
        model = FlowModel(self.settings, vae, self._tokenizers)
        if start is None:
            model.load_text_encoder(base / "text_encoder")
        else:
            model.load_pipeline(start)
        model.to(self.device)
        training = self.settings.training
        self._taught_steps = round(training.taught * training.samples / training.batch_size)
        self._teacher = Teacher(base, self.device) if self._taught_steps else None
        return model, list(model.parameters()), optimizers_of(model, training.muon)

    def squared_error(
        self,
        forward: Callable[..., Any],
        latents: Tensor,
        captions: list[str],
        step: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the squared error of the predicted velocity, noise minus latents."""
        long = step % _LONG_TEXT_STEPS == _LONG_TEXT_STEPS - 1
        options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
        ids = self._tokenizers[0](captions, **options).input_ids.to(self.device)
        ids_3 = self._tokenizers[1](captions, max_length=T5_LENGTHS[long], **options).input_ids.to(
            self.device
        )
        logits = normal(latents.shape[:1], rng, self.device) * _NOISE_SPREAD + _NOISE_MEAN
        sigma, noise = torch.sigmoid(logits), normal(latents.shape, rng, self.device)
        teacher = self._teacher if step < self._taught_steps else None
        if teacher is not None:
            timesteps, sigma = teacher.nearest(sigma)
        share = sigma.view(-1, 1, 1, 1)
        mixed, target = (1 - share) * latents + share * noise, noise - latents
        if teacher is not None:
            known = timesteps.view(-1, 1, 1, 1) >= 0
            target = torch.where(known, teacher.velocity(ids, mixed, timesteps), target)
        with eager_attention() if self.device.type == "cpu" else nullcontext():
            predicted: Tensor = forward(ids, ids_3, mixed, sigma).float()
        return (predicted - target) ** 2

    def compile(self) -> None:
        """Compile the transformer's blocks one by one: they share their code, so that it begins soon."""
        for block in self.model.dit.transformer_blocks:
            block.compile(dynamic=False)

    def pipeline(self, vae: AutoencoderKL) -> StableDiffusion3Pipeline:
        """Return a plain `StableDiffusion3Pipeline` with the averaged weights."""
        model = FlowModel(self.settings, vae, self._tokenizers)
        self.average.copy_to(model.parameters())
        vae.register_to_config(shift_factor=0.0)
        tokenizer, tokenizer_3 = self._tokenizers
        return StableDiffusion3Pipeline(
            transformer=model.dit,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
            vae=vae,
            text_encoder=model.one,
            tokenizer=tokenizer,
            text_encoder_2=model.two,
            tokenizer_2=tokenizer,
            text_encoder_3=model.three,
            tokenizer_3=tokenizer_3,
        )

    def finish_export(self, folder: Path) -> None:
        """Name T5's tokenizer as transformers 4 and 5 both know it."""
        save_t5_tokenizer(self._tokenizers[1], folder / "tokenizer_3")
        index = folder / "model_index.json"
        named = json.loads(index.read_text()) | {"tokenizer_3": ["transformers", "PreTrainedTokenizerFast"]}
        index.write_text(json.dumps(named, indent=2) + "\n")
