"""The configuration of a generator and its training, read from TOML; configs/ explains each value."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from daam_bench.types.errors import InputError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorldSettings(_Section):
    """Side of the images in pixels, and the seed of everything random."""

    image_size: int
    seed: int


class VaeSettings(_Section):
    """Autoencoder: latent channels, channel widths by level (finest first), group-norm groups."""

    latent_channels: int
    widths: tuple[int, ...]
    groups: int


class ClipSettings(_Section):
    """CLIP text encoder: width, layers, attention heads, width of the MLPs (by default 8/3 of its own)."""

    width: int
    layers: int
    heads: int
    mlp_width: int | None = None


class T5Settings(_Section):
    """T5 text encoder: width, layers, attention heads and their width, and width of the MLPs."""

    width: int
    layers: int
    heads: int
    head_width: int
    mlp_width: int


class UnetSettings(_Section):
    """U-Net: channel widths by level (finest first), group-norm groups, heads a level or channels a head."""

    widths: tuple[int, ...]
    groups: int
    heads: int | None = None
    head_width: int | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if (self.heads is None) == (self.head_width is None):
            raise ValueError("give either heads or head_width")
        return self

    @property
    def level_heads(self) -> list[int]:
        """Attention heads of each level."""
        return [self.heads or width // (self.head_width or width) for width in self.widths]


class TransformerSettings(_Section):
    """MMDiT: attention heads and their width, layers, and latent pixels a patch along one side."""

    heads: int
    head_width: int
    layers: int
    patch: int


class VaeTrainingSettings(_Section):
    """Training of the autoencoder: samples in all, samples a step, peak learning rate."""

    samples: int
    batch_size: int
    learning_rate: float


class TrainingSettings(_Section):
    """Training of text encoders and denoiser."""

    samples: int
    cooldown: float
    batch_size: int
    learning_rate: float
    muon: float = 0.0
    warmup_steps: int
    ema_decay: float
    prompt_dropout: float
    object_weight: float
    pool: int
    fresh: int
    save_minutes: float
    compile: bool = False


class FlowTrainingSettings(TrainingSettings):
    """Training of a flow model, by a teacher for the first share `taught` of the samples."""

    taught: float = Field(default=0.0, ge=0, le=1)


class GeneratorSettings(_Section):
    """What every generator is made of."""

    world: WorldSettings
    text_encoder: ClipSettings
    training: TrainingSettings

    def changed(self, *, samples: int | None, seed: int | None) -> Self:
        """Return the settings with another number of samples and another seed; None leaves one as it is."""
        training = self.training.model_copy(update={} if samples is None else {"samples": samples})
        world = self.world.model_copy(update={} if seed is None else {"seed": seed})
        return self.model_copy(update={"training": training, "world": world})


class UnetPipelineSettings(GeneratorSettings):
    """Everything that decides what `python -m tools.emoji train` makes."""

    vae: VaeSettings
    unet: UnetSettings
    vae_training: VaeTrainingSettings


class Sd3PipelineSettings(GeneratorSettings):
    """Everything that decides what `python -m tools.emoji train-sd3` makes, its autoencoder apart."""

    text_encoder_2: ClipSettings
    text_encoder_3: T5Settings
    transformer: TransformerSettings
    training: FlowTrainingSettings


S = TypeVar("S", bound=GeneratorSettings)


def load_settings(source: str | Path, kind: type[S]) -> S:
    """Read a TOML file, or a shipped configuration by its name ("small")."""
    shipped = {path.stem: path for path in sorted((Path(__file__).parent / "configs").glob("*.toml"))}
    path = shipped.get(str(source), Path(source))
    if not path.is_file():
        raise InputError(
            f"no configuration {str(source)!r}: give the path of a TOML file or one of {[*shipped]}"
        )
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise InputError(f"{source}: {problems(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error


def problems(error: ValidationError) -> str:
    """Return all that is wrong with a record in one line, each problem with its place."""
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
