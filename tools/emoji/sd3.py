"""The emoji diffusion transformer, a Stable Diffusion 3 in miniature: its parts, and its training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from daam_bench.types.errors import InputError
from tools.emoji.configuration import Sd3PipelineSettings, load_settings
from tools.emoji.generator import GeneratorObjective, load_vae, normal, train_generator
from tools.emoji.tokenizing import (
    T5_LENGTHS,
    load_t5_tokenizer,
    save_t5_tokenizer,
    train_t5_tokenizer,
    world_captions,
)
from tools.emoji.training import TrainingProcess, run_processes
from tools.emoji.unet import clip_config

_NOISE_MEAN, _NOISE_SPREAD = 0.4, 1.1  # of the noise level's logit; above 0, objects' shapes get more steps
_LONG_TEXT_STEPS = 32  # one in so many steps pads T5's text as diffusers does unless told
_BETAS, _DECAY, _MOMENTUM = (0.9, 0.99), 0.01, 0.95


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

    Resumes from the last checkpoint in `out`, if there is one.

    Args:
        config: A TOML file or a shipped name.
        out: Folder of the training.
        font: Path of NotoColorEmoji.ttf.
        start_vae: The emoji pipeline: its autoencoder and tokenizer are used, and the first text encoder
            starts from its own where the sizes agree.
        start: A `StableDiffusion3Pipeline` of the same sizes, whose weights to start from.
        samples: Samples in all, instead of the configuration's.
        minutes: Stop after this time.
        processes: CPU processes, by default one a core.
        seed: Seed of everything random, instead of the configuration's.
    """
    settings = load_settings(config, Sd3PipelineSettings).changed(samples=samples, seed=seed)
    if settings.training.muon and not hasattr(torch.optim, "Muon"):
        raise InputError("Muon needs torch 2.9 or later: upgrade it, or set muon = 0 in the configuration")
    vocabulary = out / "tokenizer_3"
    if not vocabulary.exists():
        save_t5_tokenizer(train_t5_tokenizer(world_captions(settings.world.seed)), vocabulary)
    run_processes(_train, settings, start_vae, vocabulary, font, out, start, minutes, processes=processes)


def _train(
    process: TrainingProcess,
    settings: Sd3PipelineSettings,
    base: Path,
    tokenizer_3: Path,
    font: Path,
    out: Path,
    start: Path | None,
    minutes: float | None,
) -> None:
    torch.manual_seed(settings.world.seed)
    tokenizers = CLIPTokenizer.from_pretrained(base / "tokenizer"), load_t5_tokenizer(tokenizer_3)
    vae = load_vae(base / "vae", process.device)
    objective = Sd3Objective(process, settings, tokenizers, vae=vae, font=font, start=start, base=base)
    train_generator(process, objective, out=out, vae_folder=base / "vae", card="sd3.md", minutes=minutes)


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
        parts = {
            "one": "text_encoder",
            "two": "text_encoder_2",
            "three": "text_encoder_3",
            "dit": "transformer",
        }
        for own, theirs in parts.items():
            getattr(self, own).load_state_dict(getattr(pipeline, theirs).state_dict())

    def load_text_encoder(self, folder: Path) -> None:
        """Start the first CLIP from the text encoder of an emoji pipeline, if the sizes agree."""
        encoder = CLIPTextModel.from_pretrained(folder, torch_dtype=torch.float32)
        own, given = (getattr(model, "text_model", model).state_dict() for model in (self.one, encoder))
        if {name: value.shape for name, value in own.items()} == {n: v.shape for n, v in given.items()}:
            self.one.text_model.load_state_dict(given)


class AdamWAndMuon:
    """AdamW, and Muon for the matrices of the blocks at a multiple of AdamW's learning rate."""

    def __init__(self, model: FlowModel, muon: float) -> None:
        hidden = [
            parameter
            for name, parameter in model.named_parameters()
            if muon and parameter.ndim == 2 and name.startswith("dit.transformer_blocks")
        ]
        chosen = {id(parameter) for parameter in hidden}
        others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        self._muon = muon
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, betas=_BETAS, weight_decay=_DECAY, fused=True)
        ]
        if muon:
            options: dict[str, Any] = {"momentum": _MOMENTUM, "adjust_lr_fn": "match_rms_adamw"}
            self._parts.append(torch.optim.Muon(hidden, weight_decay=_DECAY, **options))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of AdamW, whose learning rate Muon follows."""
        return self._parts[0].param_groups

    def step(self) -> None:
        """Make a step."""
        for optimizer in self._parts[1:]:
            for group in optimizer.param_groups:
                group["lr"] = self._muon * self.param_groups[0]["lr"]
        for optimizer in self._parts:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for optimizer in self._parts:
            optimizer.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of each optimizer."""
        return [optimizer.state_dict() for optimizer in self._parts]

    def load_state_dict(self, state_dict: Sequence[dict[str, Any]]) -> None:
        """Load what `state_dict` returned.

        Raises:
            InputError: It is of a training with Muon, and this one is without, or the other way round.
        """
        if len(state_dict) != len(self._parts):
            raise InputError("the checkpoint was trained with other optimizers; set muon as it was")
        for optimizer, state in zip(self._parts, state_dict, strict=True):
            optimizer.load_state_dict(state)


class Sd3Objective(GeneratorObjective[Sd3PipelineSettings]):
    """The training of text encoders and transformer: flow matching with logit-normal noise levels."""

    keys = ("net", "opt")

    def __init__(
        self,
        process: TrainingProcess,
        settings: Sd3PipelineSettings,
        tokenizers: tuple[CLIPTokenizer, PreTrainedTokenizerFast],
        *,
        vae: AutoencoderKL,
        font: Path,
        start: Path | None,
        base: Path,
    ) -> None:
        model = FlowModel(settings, vae, tokenizers)
        if start is None:
            model.load_text_encoder(base / "text_encoder")
        else:
            model.load_pipeline(start)
        model.to(process.device)
        super().__init__(
            process,
            settings,
            vae=vae,
            model=model,
            parameters=list(model.parameters()),
            optimizer=AdamWAndMuon(model, settings.training.muon),
            font=font,
        )
        self._tokenizers = tokenizers

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
        mixed = sigma.view(-1, 1, 1, 1)
        predicted: Tensor = forward(ids, ids_3, (1 - mixed) * latents + mixed * noise, sigma).float()
        return (predicted - (noise - latents)) ** 2

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
