"""Looking at a picture that no model drew, at a size that fits the model."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from daam_bench.analysis.tracing import Traced
from daam_bench.diffusion.generate import default_size
from daam_bench.types.errors import InputError

LARGEST = 1024
"""Longest side at which such a picture is shown, in pixels."""


def read_picture(path: Path) -> Image.Image:
    """Read a picture upright and in RGB, what is transparent in white.

    Raises:
        InputError: There is no such file, or it is no picture that can be read.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except FileNotFoundError:
        raise InputError(f"no picture at {path}; give a file such as a PNG or JPEG") from None
    # Pillow raises errors of many kinds for a broken file; a picture of absurd size is one of them.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} can't be read as a picture ({type(error).__name__}: {error})") from None
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def look_at(pipeline: Any, prompt: str, picture: Image.Image, *, seed: int = 0) -> Traced:
    """Trace what the words of a prompt attend to in a given picture.

    The model looks at a copy of the size of `fitting_size`.

    Args:
        pipeline: A pipeline as for `daam_bench.attribution.given_images.trace_images`.
        prompt: The prompt.
        picture: An RGB picture of any size.
        seed: Seed of the noise.

    Returns:
        The picture, shrunk to `LARGEST` if it is larger, and its maps.

    Raises:
        InputError: The pipeline can't look at pictures.
    """
    from daam_bench.attribution.given_images import trace_images

    seen = picture.resize(fitting_size(pipeline, picture.size), Image.Resampling.LANCZOS)
    maps = trace_images(pipeline, [prompt], [seen], seed=seed)[0]
    shown = picture.copy()
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return Traced(shown, maps)


def fitting_size(pipeline: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) nearest to a picture's proportions that suits a model.

    Its area is about that of the pictures the model draws by default, and its sides are multiples of what
    the latents can express, at least two latents.

    Args:
        pipeline: The pipeline.
        size: The picture's (width, height).
    """
    width, height = size
    default_height, default_width = default_size(pipeline)
    scale = sqrt(default_width * default_height / (width * height))
    factor = int(pipeline.vae_scale_factor)
    return _rounded(width * scale, factor), _rounded(height * scale, factor)


def _rounded(length: float, factor: int) -> int:
    return max(2, round(length / factor)) * factor
