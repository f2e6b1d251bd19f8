"""How published models are meant to be called, where their pipeline's own defaults say otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from daam_bench.types import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The settings of a model's card.

    Attributes:
        name: The model, as its card calls it.
        steps: Number of inference steps.
        guidance_scale: Guidance scale; None where the pipeline has another argument for it.
        dtype: What to load it as on a GPU.
        arguments: Further arguments of the pipeline's call.
    """

    name: str
    steps: int
    guidance_scale: float | None
    dtype: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


_PRESETS = {
    r"stable-diffusion-(v1|2).*": Preset(
        name="Stable Diffusion 1 and 2", steps=50, guidance_scale=7.5, dtype="float16"
    ),
    r"stable-diffusion-xl-base.*": Preset(name="SDXL base", steps=50, guidance_scale=5.0, dtype="float16"),
    r"stable-diffusion-3-medium.*": Preset(
        name="Stable Diffusion 3 medium", steps=28, guidance_scale=7.0, dtype="bfloat16"
    ),
    r"stable-diffusion-3\.5-large-turbo.*": Preset(
        name="Stable Diffusion 3.5 large turbo", steps=4, guidance_scale=0.0, dtype="bfloat16"
    ),
    r"stable-diffusion-3\.5-large.*": Preset(
        name="Stable Diffusion 3.5 large", steps=28, guidance_scale=3.5, dtype="bfloat16"
    ),
    r"stable-diffusion-3\.5-medium.*": Preset(
        name="Stable Diffusion 3.5 medium", steps=40, guidance_scale=4.5, dtype="bfloat16"
    ),
    r"flux\.1-schnell.*": Preset(
        name="FLUX.1 schnell",
        steps=4,
        guidance_scale=0.0,
        dtype="bfloat16",
        arguments={"max_sequence_length": 256},
    ),
    r"flux\.1-dev.*": Preset(
        name="FLUX.1 dev",
        steps=50,
        guidance_scale=3.5,
        dtype="bfloat16",
        arguments={"max_sequence_length": 512},
    ),
    r"qwen-image(-\d+)?": Preset(
        name="Qwen-Image",
        steps=50,
        guidance_scale=None,
        dtype="bfloat16",
        arguments={"negative_prompt": " ", "true_cfg_scale": 4.0},
    ),
    "emoji-sd3": Preset(
        name="emoji SD3", steps=28, guidance_scale=3.0, dtype="float32", arguments={"max_sequence_length": 24}
    ),
}
"""The last part of a hub id or path, in small letters, to the settings of that model's card on the hub."""


def preset_of(model: str) -> Preset | None:
    """Return the preset of a model by its hub id or path; None for a model that has none.

    >>> preset_of("black-forest-labs/FLUX.1-schnell").steps
    4
    >>> preset_of("someone/finetuned") is None
    True
    """
    name = PurePosixPath(model.replace("\\", "/")).name.lower()
    return next((preset for pattern, preset in _PRESETS.items() if re.fullmatch(pattern, name)), None)


def describe(generation: Generation) -> str:
    """Say in a line how a model generates, and whether that is its preset.

    >>> describe(Generation("emoji", None, "PNDMScheduler", 50, 3.0, 64, 64, "float32", None))
    'emoji: 50 steps of PNDMScheduler, guidance 3, 64 x 64 pixels, float32'
    """
    parts = [f"{generation.steps} steps of {generation.scheduler}"]
    if generation.guidance_scale is not None:
        parts.append(f"guidance {generation.guidance_scale:g}")
    parts += [f"{generation.height} x {generation.width} pixels", generation.dtype]
    parts += [f"variant {generation.variant}"] if generation.variant else []
    parts += [f"{name} {value!r}" for name, value in json.loads(generation.arguments or "{}").items()]
    preset = preset_of(generation.model)
    same = preset and (preset.steps, preset.guidance_scale) == (generation.steps, generation.guidance_scale)
    named = f" (the preset of {preset.name})" if preset and same else ""
    return f"{generation.model}: {', '.join(parts)}{named}"


def usual_dtype(model: str, device: str) -> str:
    """Return what to load a model as: its preset's dtype; float32 on a CPU and without a preset."""
    preset = preset_of(model)
    return "float32" if preset is None or device == "cpu" else preset.dtype
