"""From captions and a model to a dataset folder without masks."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daam_bench.datasets.build_images import generate_images, read_image
from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.datasets.card import build_card, with_annotation
from daam_bench.datasets.plan import SPLITS, Parse, Picker, Plan, check_same, make_plan, read_plan, write_plan
from daam_bench.datasets.write import write_dataset
from daam_bench.diffusion.generate import set_scheduler, usual_generation
from daam_bench.diffusion.pipelines import commit_of, load_pipeline, takes_whole
from daam_bench.types import Example, Generation, Query
from daam_bench.types.errors import InputError

PARTIAL = ".partial"
"""What is put behind a dataset's name for the folder it grows in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What a dataset is made of.

    Attributes:
        captions: The captions to pick from.
        source: Where they come from, for the card.
        model: Hub id or path of a diffusers pipeline; "emoji" is the shipped one.
        revision: Its revision on the hub, or None for the newest.
        size: Examples a split.
        seed: Seed of the choice of captions and of the swap.
        min_nouns: Least number of countable nouns in a caption.
        steps: Inference steps.
        guidance_scale: Classifier-free guidance scale.
        height: Height of the images in pixels, or None for the pipeline's own.
        width: Their width in pixels, or None for the pipeline's own.
        scheduler: Class name of a scheduler of diffusers, or None for the pipeline's own.
        dtype: "float32", "float16" or "bfloat16".
        nlp: What finds the nouns, for the card.
        libraries: Library -> version, to be recorded.
        licence: Licence of the dataset as the hub writes it.
        device: A torch device, or "auto".
        batch_size: Images generated at once.
    """

    captions: Sequence[SourceCaption]
    source: str
    model: str
    revision: str | None = None
    size: int = 150
    seed: int = 0
    min_nouns: int = 1
    steps: int = 50
    guidance_scale: float = 7.5
    height: int | None = None
    width: int | None = None
    scheduler: str | None = None
    dtype: str = "float32"
    nlp: str
    libraries: Mapping[str, str]
    licence: str = "other"
    device: str = "auto"
    batch_size: int = 4


def build_dataset(
    folder: Path,
    settings: BuildSettings,
    parse: Parse,
    *,
    restart: bool = False,
    progress: bool = True,
    say: Callable[[Plan], None] = lambda plan: None,
) -> Plan:
    """Build a dataset folder with both splits and no masks.

    The plan and the images are kept in `<folder>.partial` until the dataset is whole: a run that was killed
    resumes there, and its result is the same as that of an unbroken one. Batch size and device may
    change in between; then images may differ by rounding.

    Args:
        folder: Where the dataset goes; nothing may be there yet.
        settings: What it is made of.
        parse: Finds the countable nouns of captions.
        restart: Throw away what an earlier run has generated.
        progress: Show a progress bar.
        say: Called with the plan before the first image is generated.

    Raises:
        InputError: Something is there already, a setting is wrong, or there are too few captions.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; name another folder, or remove it first")
    _check_numbers(settings)
    partial = folder.resolve().with_name(folder.resolve().name + PARTIAL)
    if restart and partial.exists():
        shutil.rmtree(partial)
    pipeline = load_pipeline(
        settings.model, settings.revision, settings.device, settings.dtype, safety_checker=True
    )
    generation = _generation(settings, pipeline)
    plan = _plan(partial, settings, parse, generation, pipeline)
    say(plan)
    generate_images(pipeline, plan, generation, partial, batch_size=settings.batch_size, progress=progress)
    splits, regenerated = _assemble(plan, generation, partial)
    card = build_card(folder.resolve().name, plan, generation, regenerated, settings.licence)
    write_dataset(folder, splits, with_annotation(card, splits))
    shutil.rmtree(partial)
    return plan


def _check_numbers(settings: BuildSettings) -> None:
    least = {"size": 1, "min_nouns": 1, "steps": 1, "batch_size": 1, "height": 1, "width": 1}
    for name, bound in least.items():
        value = getattr(settings, name)
        if value is not None and value < bound:
            raise InputError(f"--{name.replace('_', '-')} must be at least {bound}, not {value}")


def _generation(settings: BuildSettings, pipeline: Any) -> Generation:
    if settings.scheduler is not None:
        set_scheduler(pipeline, settings.scheduler)
    return usual_generation(
        pipeline,
        settings.model,
        revision=commit_of(settings.model, settings.revision),
        dtype=settings.dtype,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        height=settings.height,
        width=settings.width,
    )


def _plan(
    partial: Path, settings: BuildSettings, parse: Parse, generation: Generation, pipeline: Any
) -> Plan:
    """Return the plan of an earlier run, or make one and write it down."""
    record = {
        "source": settings.source,
        "captions": len(settings.captions),
        "captions_sha256": _digest(settings.captions),
        "size": settings.size,
        "seed": settings.seed,
        "min_nouns": settings.min_nouns,
        "nlp": settings.nlp,
        "generation": asdict(generation),
        "libraries": dict(settings.libraries),
    }
    path = partial / "plan.json"
    if path.exists():
        plan = read_plan(path)
        check_same(path, plan.settings, record)
        return plan

    def fits(prompt: str) -> bool:
        return takes_whole(pipeline, prompt)

    picker = Picker(settings.captions, parse, fits, settings.min_nouns)
    plan = make_plan(record, picker, fits, size=settings.size, seed=settings.seed)
    partial.mkdir(parents=True, exist_ok=True)
    write_plan(path, plan)
    return plan


def _digest(captions: Sequence[SourceCaption]) -> str:
    texts = json.dumps([asdict(caption) for caption in captions])
    return hashlib.sha256(texts.encode()).hexdigest()


def _assemble(
    plan: Plan, generation: Generation, folder: Path
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Return the examples by split, and the seeds of those that were generated again."""
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    regenerated: dict[str, int] = {}
    for prompt in plan.prompts:
        image, seed = read_image(folder, prompt)
        if seed != prompt.seed:
            regenerated[prompt.id] = seed
        query = Query(prompt.id, prompt.text, image, prompt.nouns, seed, generation)
        masks = (None,) * len(prompt.nouns)
        splits[prompt.split].append(Example(query, masks, prompt.tokens, prompt.source, None))
    return splits, regenerated
