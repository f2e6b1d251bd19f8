"""What large models need: parameters counted on torch's meta device, so without weights or memory.

    python benchmarks/model_memory.py

Each model is built from its published configuration: FLUX.1's and Qwen-Image's transformers are the defaults
of diffusers' classes. Weights only; activations at 1024x1024 come on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel, SD3Transformer2DModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)

_BYTES = {"bfloat16": 2.0, "8 bits": 1.0, "4 bits": 0.5}


def _t5_xxl() -> Any:
    return T5EncoderModel(
        T5Config(
            vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
            feed_forward_proj="gated-gelu",
        )
    )  # fmt: skip


def _clip_l(kind: type = CLIPTextModel) -> Any:
    return kind(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                               num_attention_heads=12, projection_dim=768))  # fmt: skip


def _clip_g() -> Any:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32,
                       num_attention_heads=20, projection_dim=1280)
    )  # fmt: skip


def _qwen_vl() -> Any:
    """Return Qwen2.5-VL 7B."""
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
            },
            vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
                           "out_hidden_size": 3584},
            tie_word_embeddings=False,
        )
    )  # fmt: skip


def _sd35_large() -> Any:
    return SD3Transformer2DModel(
        sample_size=128, num_layers=38, attention_head_dim=64, num_attention_heads=38,
        joint_attention_dim=4096, caption_projection_dim=2432, pooled_projection_dim=2048, out_channels=16,
        pos_embed_max_size=192, qk_norm="rms_norm",
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], Any], tuple[Callable[[], Any], ...]]] = {
    "FLUX.1 dev": (lambda: FluxTransformer2DModel(guidance_embeds=True), (_t5_xxl, _clip_l)),
    "Qwen-Image": (QwenImageTransformer2DModel, (_qwen_vl,)),
    "Stable Diffusion 3.5 large": (
        _sd35_large,
        (_t5_xxl, lambda: _clip_l(CLIPTextModelWithProjection), _clip_g),
    ),
}
"""Name -> its denoiser and its text encoders."""


def parameters(build: Callable[[], Any]) -> int:
    """Count the parameters of a model without making any."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())


def gigabytes(name: str) -> tuple[float, float]:
    """Return the gigabytes (10^9 bytes) of a model's denoiser and of its text encoders, in bfloat16."""
    denoiser, encoders = MODELS[name]
    return 2e-9 * parameters(denoiser), 2e-9 * sum(map(parameters, encoders))


def main() -> None:
    """Print the weights of each model by dtype."""
    for name in MODELS:
        denoiser, encoders = gigabytes(name)
        rows = [
            f"{kind} {denoiser * size / 2:.1f} + {encoders * size / 2:.1f} GB"
            for kind, size in _BYTES.items()
        ]
        print(f"{name}: {', '.join(rows)} (denoiser + text encoders)")


if __name__ == "__main__":
    main()
