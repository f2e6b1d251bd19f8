"""The configuration of an emoji model and its training, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class World:
    """Side of the images in pixels, and the seed of everything random."""

    image_size: int
    seed: int


@dataclass(frozen=True, slots=True)
class Vae:
    """Autoencoder: latent channels, channel widths by level (finest first), group-norm groups."""

    latent_channels: int
    widths: tuple[int, ...]
    groups: int

    @property
    def factor(self) -> int:
        """Image pixels a latent pixel, along one side."""
        return int(2 ** (len(self.widths) - 1))


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """CLIP text encoder: width, layers and attention heads."""

    width: int
    layers: int
    heads: int


@dataclass(frozen=True, slots=True)
class Unet:
    """Denoiser: channel widths by level (finest first), group-norm groups, channels a head."""

    widths: tuple[int, ...]
    groups: int
    head_width: int


@dataclass(frozen=True, slots=True)
class VaeTraining:
    """Training of the autoencoder: samples in all, samples a step, peak learning rate."""

    samples: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Training:
    """Training of text encoder and denoiser; configs/small.toml explains each value."""

    samples: int
    cooldown: float
    batch_size: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    prompt_dropout: float
    object_weight: float
    pool: int
    fresh: int
    save_minutes: float


@dataclass(frozen=True, slots=True)
class EmojiConfig:
    """Everything that decides what `daam-bench emoji train` makes."""

    world: World
    vae: Vae
    text_encoder: TextEncoder
    unet: Unet
    vae_training: VaeTraining
    training: Training

    def as_dict(self) -> dict[str, Any]:
        """Return nested dicts, as TOML would give them."""
        return asdict(self)


def load_config(source: str | Path) -> EmojiConfig:
    """Read a configuration.

    Args:
        source: Path of a TOML file, or the name of a shipped one ("small").

    Raises:
        InputError: No such file, or its sections and keys are not exactly those of `EmojiConfig`.
    """
    shipped = Path(__file__).parent / "configs"
    names = sorted(entry.name.removesuffix(".toml") for entry in shipped.iterdir())
    if str(source) in names:
        text = (shipped / f"{source}.toml").read_text()
    elif Path(source).is_file():
        text = Path(source).read_text()
    else:
        raise InputError(f"no configuration {str(source)!r}: give the path of a TOML file or one of {names}")
    try:
        return _build(tomllib.loads(text), str(source))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error


def _build(document: dict[str, Any], source: str) -> EmojiConfig:
    sections = {
        "world": World,
        "vae": Vae,
        "text_encoder": TextEncoder,
        "unet": Unet,
        "vae_training": VaeTraining,
        "training": Training,
    }
    _check_keys(f"{source}", document, sections)
    built = {}
    for name, kind in sections.items():
        _check_keys(f"{source} [{name}]", document[name], [field.name for field in fields(kind)])
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in document[name].items()}
        built[name] = kind(**values)
    return EmojiConfig(**built)


def _check_keys(place: str, given: Any, expected: Any) -> None:
    wrong = sorted(set(given) ^ set(expected))
    if wrong:
        raise InputError(f"{place}: missing or unknown: {', '.join(wrong)}; expected {', '.join(expected)}")
