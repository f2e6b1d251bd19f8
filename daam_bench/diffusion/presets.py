"""How published models are meant to be called, where their pipeline's own defaults say otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any


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
