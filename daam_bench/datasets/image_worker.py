"""Generating the images of a plan, in this process or in several."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from daam_bench.datasets.plan import PlannedPrompt
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import device_name
from daam_bench.engine import Pool, WholeJob, work_through
from daam_bench.files.replacing import replacing_file
from daam_bench.types import Generation
from daam_bench.types.errors import InputError

ATTEMPTS = 10
"""How many seeds a prompt gets before it is given up as one whose images the safety checker always blanks."""


class ImageWorker:
    """A worker that generates batches of planned prompts: PNG files, by their ids.

    An image that the safety checker blanked is generated again from seed + size, seed + 2 size and so on: no
    two examples of a split share a seed.
    """

    def __init__(self, load: Callable[[], Any], generation: Generation, size: int) -> None:
        self._pipeline, self._generation, self._size = load(), generation, size
        self.about: Mapping[str, Any] = {"device": device_name(str(self._pipeline.device))}

    def __call__(self, item: Sequence[PlannedPrompt]) -> dict[str, bytes]:
        """Generate a batch; for errors see `daam_bench.datasets.build.build_dataset`."""
        found: dict[str, bytes] = {}
        waiting = list(item)
        for attempt in range(ATTEMPTS):
            seeds = [prompt.seed + attempt * self._size for prompt in waiting]
            images = generate(self._pipeline, [prompt.text for prompt in waiting], seeds, self._generation)
            blanked = []
            for prompt, seed, generated in zip(waiting, seeds, images, strict=True):
                if generated.blanked:
                    blanked.append(prompt)
                elif generated.image.convert("L").getextrema() == (0, 0):
                    raise InputError(
                        f"the image of {prompt.id} ({prompt.text!r}) came out black though no safety checker "
                        f"blanked it: {self._generation.dtype} overflowed; begin again with another --dtype "
                        "(float32)"
                    )
                else:
                    found[prompt.id] = _as_png(generated.image, seed)
            if not blanked:
                return found
            waiting = blanked
        raise InputError(
            f"the safety checker blanked the image of {waiting[0].id} ({waiting[0].text!r}) {ATTEMPTS} "
            "times; leave that prompt out, or (with --captions) begin again with another --seed, which picks "
            "and swaps otherwise"
        )


def _as_png(image: Image.Image, seed: int) -> bytes:
    record = PngInfo()
    record.add_text("seed", str(seed))
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="PNG", pnginfo=record)
    return buffer.getvalue()


def generate_images(
    pool: Pool,
    parted: Sequence[Sequence[PlannedPrompt]],
    folder: Path,
    part: WholeJob,
    *,
    progress: bool,
    say: Callable[[str], None],
) -> None:
    """Generate the images of a plan that are not in a folder yet, each as `<id>.png` with its seed inside.

    Prompts are generated in the same batches whether or not a run was stopped in between, so its images are
    the same to the last bit.

    Raises:
        InputError: The pipeline can't generate with these settings, runs out of memory, or gives only blanks.
    """
    results = work_through(
        pool,
        parted,
        name="generating",
        part=part,
        done=lambda batch: all(_is_there(folder, prompt) for prompt in batch),
        progress=progress,
    )
    left = sum(not _is_there(folder, prompt) for prompt in chain(*part.mine(parted)))
    started = time.monotonic()
    for number, (batch, images) in enumerate(results):
        fresh = [prompt for prompt in batch if not _is_there(folder, prompt)]
        for prompt in fresh:
            with replacing_file(image_file(folder, prompt)) as path:
                path.write_bytes(images[prompt.id])
        left -= len(fresh)
        if number == 0 and left:
            say(_estimate((time.monotonic() - started) / len(batch) / pool.size, left))


def image_file(folder: Path, prompt: PlannedPrompt) -> Path:
    """Return where the image of a prompt is kept until the dataset is whole."""
    return folder / f"{prompt.id}.png"


def _estimate(seconds: float, left: int) -> str:
    """Say what the first batch took, an image and in memory, and how long the rest will take.

    >>> _estimate(2.5, 296)
    'first batch: 2.5 s an image; the other 296 images take about 12 min'
    """
    import torch

    memory = ""
    if torch.cuda.is_available() and (most := torch.cuda.max_memory_allocated()):
        memory = f" and {most / 2**30:.1f} GiB of GPU memory"
    minutes = seconds * left / 60
    time_left = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"first batch: {seconds:.1f} s an image{memory}; the other {left} images take about {time_left}"


def read_image(folder: Path, prompt: PlannedPrompt) -> tuple[Image.Image, int]:
    """Return the image of a prompt, and the seed it was generated from."""
    with Image.open(image_file(folder, prompt)) as image:
        image.load()
        seed = int(image.info["seed"])
        return image.convert("RGB"), seed


def _is_there(folder: Path, prompt: PlannedPrompt) -> bool:
    try:
        read_image(folder, prompt)
    except (OSError, SyntaxError, ValueError, KeyError):
        return False
    return True
