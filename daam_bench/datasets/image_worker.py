"""Generating the images of a plan, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from daam_bench.datasets.plan import PlannedPrompt
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import device_name
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
            "times; begin again with another --seed, which picks and swaps otherwise, or leave that caption "
            "out"
        )


def _as_png(image: Image.Image, seed: int) -> bytes:
    record = PngInfo()
    record.add_text("seed", str(seed))
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="PNG", pnginfo=record)
    return buffer.getvalue()
