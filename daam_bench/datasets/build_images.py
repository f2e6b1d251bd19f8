"""Generating the images of a plan into a folder, one file an image, so that a killed run loses none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from daam_bench.datasets.plan import Plan, PlannedPrompt
from daam_bench.diffusion.generate import GeneratedImage, batches, generate
from daam_bench.files.replacing import replacing_file
from daam_bench.types import Generation
from daam_bench.types.errors import InputError

ATTEMPTS = 10
"""How many seeds a prompt gets before it is given up as one whose images the safety checker always blanks."""


def generate_images(
    pipeline: Any, plan: Plan, generation: Generation, folder: Path, *, batch_size: int, progress: bool = True
) -> None:
    """Generate the images of a plan that are not in a folder yet.

    Prompts are generated in the same batches whether or not a run was stopped in between, so its images are
    the same to the last bit. An image that the safety checker blanked is generated again from seed + size,
    seed + 2 size and so on: no two examples of a split share a seed.

    Args:
        pipeline: A diffusers pipeline.
        plan: The prompts and their seeds.
        generation: How to generate them.
        folder: Where the images go, each as `<id>.png` with its seed inside.
        batch_size: Images generated at once.
        progress: Show a progress bar.

    Raises:
        InputError: The pipeline can't generate with these settings, runs out of memory, or gives only blanks.
    """
    from tqdm import tqdm

    missing = {prompt.id for prompt in plan.prompts if not _is_there(folder, prompt)}
    total = len(plan.prompts)
    with tqdm(
        total=total, initial=total - len(missing), desc="generating", unit="image", disable=not progress
    ) as bar:
        for batch in batches(plan.prompts, batch_size):
            fresh = sum(prompt.id in missing for prompt in batch)
            if fresh:
                _generate_batch(pipeline, batch, generation, folder, plan.size)
                bar.update(fresh)


def read_image(folder: Path, prompt: PlannedPrompt) -> tuple[Image.Image, int]:
    """Return the image of a prompt, and the seed it was generated from.

    Raises:
        OSError: It is not there, or torn.
    """
    with Image.open(folder / f"{prompt.id}.png") as image:
        image.load()
        seed = int(image.info["seed"])
        return image.convert("RGB"), seed


def _is_there(folder: Path, prompt: PlannedPrompt) -> bool:
    try:
        read_image(folder, prompt)
    except (OSError, SyntaxError, ValueError, KeyError):
        return False
    return True


def _generate_batch(
    pipeline: Any, batch: Sequence[PlannedPrompt], generation: Generation, folder: Path, size: int
) -> None:
    waiting = list(batch)
    for attempt in range(ATTEMPTS):
        seeds = [prompt.seed + attempt * size for prompt in waiting]
        images = _generate(pipeline, [prompt.text for prompt in waiting], seeds, generation)
        blanked = []
        for prompt, seed, generated in zip(waiting, seeds, images, strict=True):
            if generated.blanked:
                blanked.append(prompt)
            elif generated.image.convert("L").getextrema() == (0, 0):
                raise InputError(
                    f"the image of {prompt.id} ({prompt.text!r}) came out black though no safety checker "
                    f"blanked it: {generation.dtype} overflowed; begin again with another --dtype (float32)"
                )
            elif not _is_there(folder, prompt):
                _write_image(folder, prompt, generated.image, seed)
        if not blanked:
            return
        waiting = blanked
    raise InputError(
        f"the safety checker blanked the image of {waiting[0].id} ({waiting[0].text!r}) {ATTEMPTS} times; "
        "begin again with another --seed, which picks and swaps otherwise, or leave that caption out"
    )


def _generate(
    pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], generation: Generation
) -> list[GeneratedImage]:
    import torch

    try:
        return generate(pipeline, prompts, seeds, generation)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{len(prompts)} images at once need more memory than there is; what was generated is kept, the "
            "same command with a smaller --batch-size resumes"
        ) from error
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{type(pipeline).__name__} can't generate with these settings: {reason}") from error


def _write_image(folder: Path, prompt: PlannedPrompt, image: Image.Image, seed: int) -> None:
    """Write an image so that what has its name is whole."""
    record = PngInfo()
    record.add_text("seed", str(seed))
    with replacing_file(folder / f"{prompt.id}.png") as partial:
        image.convert("RGB").save(partial, format="PNG", pnginfo=record)
