"""Looking at an image that no model generated, at a size that fits the model."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from daam_bench.analysis.tracing import Traced
from daam_bench.diffusion.generate import default_size
from daam_bench.types.errors import InputError

LARGEST = 1024
"""Longest side at which such an image is shown, in pixels."""


def read_image(path: Path) -> Image.Image:
    """Read an image upright and in RGB, what is transparent in white.

    Raises:
        InputError: There is no such file, or it is no image that can be read.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except FileNotFoundError:
        raise InputError(f"no image at {path}; give a file such as a PNG or JPEG") from None
    # Pillow raises errors of many kinds for a broken file; an image of absurd size is one of them.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} can't be read as an image ({type(error).__name__}: {error})") from None
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def look_at(pipeline: Any, prompt: str, image: Image.Image, *, seed: int = 0) -> Traced:
    """Trace what the words of a prompt attend to in a given image.

    The model looks at a copy of the size of `fitting_size`.

    Args:
        pipeline: A pipeline as for `daam_bench.attribution.given_images.trace_images`.
        prompt: The prompt.
        image: An RGB image of any size.
        seed: Seed of the noise.

    Returns:
        The image, shrunk to `LARGEST` if it is larger, and its maps.

    Raises:
        InputError: The pipeline can't look at images.
    """
    from daam_bench.attribution.given_images import trace_images

    seen = image.resize(fitting_size(pipeline, image.size), Image.Resampling.LANCZOS)
    maps = trace_images(pipeline, [prompt], [seen], seed=seed)[0]
    shown = image.copy()
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return Traced(shown, maps)


def fitting_size(pipeline: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) nearest to an image's proportions that suits a model.

    Its area is about that of the images the model draws by default, and its sides are multiples of what
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
