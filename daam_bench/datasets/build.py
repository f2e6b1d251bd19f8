"""From captions and a model to a dataset folder without masks."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.datasets.card import build_card, with_annotation
from daam_bench.datasets.image_worker import ImageWorker, generate_images, image_file, read_image
from daam_bench.datasets.plan import (
    SPLITS,
    Parse,
    Picker,
    Plan,
    PlannedPrompt,
    check_same,
    describe_passed_over,
    make_plan,
    read_plan,
    write_plan,
)
from daam_bench.datasets.prompt_sets import NOT_PLAIN, is_plain, write_prompts
from daam_bench.datasets.write import require_new, write_dataset
from daam_bench.diffusion.call_arguments import own_default
from daam_bench.diffusion.defaults import takes_whole, usual_generation
from daam_bench.diffusion.generate import batches, set_scheduler
from daam_bench.diffusion.pipelines import load_pipeline, pick_device
from daam_bench.diffusion.presets import describe, usual_dtype
from daam_bench.diffusion.weights import commit_of
from daam_bench.engine import Local, WholeJob
from daam_bench.files.locks import locked
from daam_bench.types import Example, Generation, Query
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.engine.seam import Engine

PARTIAL = ".partial"
"""What is put behind a dataset's name for the folder it grows in."""

PLAN = "plan.json"
"""In that folder: what is generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What a dataset is made of.

    Attributes:
        captions: The captions to pick from.
        prompts: The prompts to generate as they are, in place of captions.
        source: Where the captions or prompts come from, for the card.
        model: Hub id or path of a diffusers pipeline; "emoji" is the shipped one.
        splits: The splits to generate.
        revision: Its revision on the hub, or None for the newest.
        size: Examples a split.
        seed: Seed of the choice of captions and of the swap.
        min_nouns: Least number of countable nouns in a caption.
        steps: Inference steps, or None for the pipeline's own; `guidance_scale` likewise.
        height: Height of the images in pixels, or None for the pipeline's own; `width` likewise.
        arguments: Further arguments of the pipeline's call.
        scheduler: Class name of a scheduler of diffusers, or None for the pipeline's own.
        nlp: What finds the nouns, for the card.
        libraries: Library -> version, to be recorded.
        licence: Licence of the dataset as the hub writes it.
        offload: Where weights wait, see `load_pipeline`.
        variant: Which of the model's weights, see `load_pipeline`.
    """

    captions: Sequence[SourceCaption] = ()
    prompts: tuple[PlannedPrompt, ...] = ()
    source: str
    model: str
    splits: tuple[str, ...] = SPLITS
    revision: str | None = None
    size: int = 150
    seed: int = 0
    min_nouns: int = 1
    steps: int | None = None
    guidance_scale: float | None = None
    height: int | None = None
    width: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    scheduler: str | None = None
    dtype: str | None = None
    nlp: str
    libraries: Mapping[str, str]
    licence: str = "other"
    device: str = "auto"
    batch_size: int = 4
    offload: str | None = None
    variant: str | None = None


def build_dataset(
    folder: Path,
    settings: BuildSettings,
    parse: Parse,
    *,
    restart: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
    engine: Engine | None = None,
    part: WholeJob | None = None,
) -> Plan | None:
    """Build a dataset folder without masks.

    The plan and the images are kept in `<folder>.partial` until the dataset is whole: a run that was killed
    resumes there, and its result is the same as that of an unbroken one. Batch size and device may
    change in between; then images may differ by rounding.

    `restart` throws away what an earlier run has generated; `say` gets lines about the plan and the settings
    before the first image is generated, and after the first batch what the rest will take. For `engine` and
    `part` see `daam_bench.engine`: workers elsewhere load the model themselves, and it is loaded on the CPU
    here, to plan.

    Returns:
        The plan; None for a part that is not the whole, which leaves the dataset to that.

    Raises:
        InputError: Something is there already, a setting is wrong, there are too few captions, or another
            process builds the same dataset.
    """
    check_settings(folder, settings)
    work = work_folder(folder)
    with locked(work) if part is None else nullcontext():
        return _build(
            folder,
            work,
            settings,
            parse,
            restart=restart,
            progress=progress,
            say=say,
            engine=engine or Local(),
            part=part or WholeJob(),
        )


def _build(
    folder: Path,
    work: Path,
    settings: BuildSettings,
    parse: Parse,
    *,
    restart: bool,
    progress: bool,
    say: Callable[[str], None],
    engine: Engine,
    part: WholeJob,
) -> Plan | None:
    dtype = settings.dtype or usual_dtype(settings.model, pick_device(settings.device))
    how: dict[str, Any] = {"dtype": dtype, "variant": settings.variant, "safety_checker": True}
    load = partial(load_pipeline, settings.model, settings.revision, **how)
    place: dict[str, Any] = {"device": settings.device, "offload": settings.offload}
    pipeline = load(**place) if engine.is_local else load(device="cpu")
    generation = _generation(settings, pipeline, dtype)
    if restart and part.is_whole:
        (work / PLAN).unlink(missing_ok=True)
    plan = _plan(work, settings, parse, generation, pipeline, part)
    if not settings.prompts:
        say(f"captions passed over: {describe_passed_over(plan.passed_over)}")
    say(describe(generation))
    parted = list(batches(plan.prompts, settings.batch_size))
    if restart:
        for prompt in chain(*part.mine(parted)):
            image_file(work, prompt).unlink(missing_ok=True)
    here = (lambda: pipeline) if engine.is_local else partial(load, **place)
    with engine.start(partial(ImageWorker, here, generation, plan.size)) as pool:
        generate_images(pool, parted, work, part, progress=progress, say=say)
    if not part.is_whole:
        return None
    splits, regenerated = _assemble(plan, generation, work)
    card = build_card(folder.resolve().name, plan, generation, regenerated, settings.licence)
    write_dataset(folder, splits, with_annotation(card, splits))
    shutil.rmtree(work)
    return plan


def write_prompt_set(folder: Path, settings: BuildSettings, parse: Parse, note: str = "") -> Plan:
    """Pick captions, swap their nouns and write the prompts alone, to generate with any model later.

    `note` is as in `write_prompts`.

    Raises:
        InputError: Something is there already, a setting is wrong, or there are too few captions.
    """
    check_settings(folder, settings)
    picker = Picker(settings.captions, parse, is_plain, settings.min_nouns, NOT_PLAIN)
    plan = make_plan(_record(settings), picker, size=settings.size, seed=settings.seed)
    write_prompts(folder, plan, settings.licence, note)
    return plan


def check_settings(folder: Path, settings: BuildSettings) -> None:
    """Refuse a folder that is there already, and a setting out of range."""
    require_new(folder, "name another folder, or remove it first")
    for name in ("size", "min_nouns", "steps", "batch_size", "height", "width"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")


def _generation(settings: BuildSettings, pipeline: Any, dtype: str) -> Generation:
    if settings.scheduler is not None:
        set_scheduler(pipeline, settings.scheduler)
    return usual_generation(
        pipeline,
        settings.model,
        revision=commit_of(settings.model, settings.revision),
        dtype=dtype,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        height=settings.height,
        width=settings.width,
        arguments=settings.arguments,
        variant=settings.variant,
    )


def _plan(
    work: Path, settings: BuildSettings, parse: Parse, generation: Generation, pipeline: Any, part: WholeJob
) -> Plan:
    """Return the plan of an earlier run, or make one and write it down."""
    record = _record(settings) | {"splits": list(settings.splits), "generation": asdict(generation)}
    path = work / PLAN
    if path.exists():
        plan = read_plan(path)
        # The plan is that of all shards: one of them can't begin it again.
        once = "run it once without --shard and with --restart, or remove the folder"
        check_same(path, plan.settings, record, "start over with --restart" if part.is_whole else once)
        return plan

    limit = settings.arguments.get("max_sequence_length", own_default(pipeline, "max_sequence_length"))
    fits = partial(takes_whole, pipeline, limit=limit if isinstance(limit, int) else None)
    if settings.prompts:
        plan = Plan(record, _fitting(settings.prompts, fits), {})
    else:
        picker = Picker(settings.captions, parse, fits, settings.min_nouns)
        plan = make_plan(record, picker, size=settings.size, seed=settings.seed)
    plan = replace(plan, prompts=tuple(one for one in plan.prompts if one.split in settings.splits))
    if not plan.prompts:
        raise InputError(f"{settings.source} has no prompts of {' or '.join(settings.splits)}")
    work.mkdir(parents=True, exist_ok=True)
    write_plan(path, plan)
    return plan


def _record(settings: BuildSettings) -> dict[str, Any]:
    """Return what a plan is made of, in JSON's types."""
    texts = [asdict(given) for given in settings.prompts or settings.captions]
    return {
        "source": settings.source,
        "captions": len(texts),
        "captions_sha256": hashlib.sha256(json.dumps(texts).encode()).hexdigest(),
        "size": settings.size,
        "seed": settings.seed,
        "min_nouns": 0 if settings.prompts else settings.min_nouns,
        "nlp": settings.nlp,
        "libraries": dict(settings.libraries),
    }


def _fitting(prompts: tuple[PlannedPrompt, ...], fits: Callable[[str], bool]) -> tuple[PlannedPrompt, ...]:
    """Return prompts that are to be generated as they are, none of which may be cut off."""
    cut = [prompt.id for prompt in prompts if not fits(prompt.text)]
    if cut:
        raise InputError(
            f"{len(cut)} prompts are too long for the pipeline's tokenizer ({', '.join(cut[:5])}"
            f"{', ...' if len(cut) > 5 else ''}); shorten them, or take another pipeline"
        )
    return prompts


def _assemble(
    plan: Plan, generation: Generation, folder: Path
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Return the examples by split, and the seeds of those that were generated again."""
    splits: dict[str, list[Example]] = {prompt.split: [] for prompt in plan.prompts}
    regenerated: dict[str, int] = {}
    for prompt in plan.prompts:
        image, seed = read_image(folder, prompt)
        if seed != prompt.seed:
            regenerated[prompt.id] = seed
        query = Query(prompt.id, prompt.text, image, prompt.nouns, seed, generation)
        masks = (None,) * len(prompt.nouns)
        splits[prompt.split].append(Example(query, masks, prompt.tokens, prompt.source, None))
    return splits, regenerated


def work_folder(folder: Path) -> Path:
    """Return the folder that a dataset grows in."""
    return folder.resolve().with_name(folder.resolve().name + PARTIAL)
