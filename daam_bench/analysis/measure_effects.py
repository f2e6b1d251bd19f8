"""Measuring how much of words' effects lies where maps say, image by image. Resumable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.analysis.effects_files import REFERENCE, EffectsFiles
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.analysis.one_word import WordInImage
from daam_bench.attribution.intervene import Intervention
from daam_bench.attribution.shuffled import shuffled_maps
from daam_bench.attribution.trajectory import record
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, generate, mean_difference
from daam_bench.diffusion.pipelines import Pipelines, device_name
from daam_bench.engine import Pool, WholeJob, work_through
from daam_bench.scoring.effects import ImageEffects, WordEffect
from daam_bench.types import Example, Split
from daam_bench.types.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on a split.

    Attributes:
        ids: Ids of the images that came out as recorded.
        left_out: Number of images that came out otherwise.
        effects: "reference", or a method -> id -> its words.
    """

    ids: tuple[str, ...]
    left_out: int
    effects: Mapping[str, Mapping[str, ImageEffects]]


@dataclass(frozen=True, slots=True)
class ImageTask:
    """An image of whose words effects are to be measured.

    Attributes:
        example: The image; its nouns are the asked words.
        groups: The group of each word.
        methods: What the methods say of its words that are to be measured.
        reference: Whether what all methods share is to be measured.
    """

    example: Example
    groups: Sequence[str]
    methods: Sequence[MethodMaps]
    reference: bool

    @property
    def id(self) -> str:
        """The image's id."""
        return self.example.query.id


class EffectsWorker:
    """A worker that measures images, one `ImageTask` in a batch.

    Args:
        device: A torch device, or "auto".
        dtype: What pipelines are loaded as; None for what is recorded.
        batch_size: Most rows that the denoiser is called with at once.
    """

    def __init__(self, device: str, dtype: str | None, batch_size: int) -> None:
        self._pipelines, self._batch_size = Pipelines(device, dtype), batch_size
        self.about: Mapping[str, Any] = {
            "dtype": self._pipelines.dtype,
            "device": device_name(self._pipelines.device),
        }

    def __call__(self, item: Sequence[ImageTask]) -> list[dict[str, ImageEffects]]:
        """Return for each image the effects by method, and those of the reference.

        Raises:
            InputError: A model can't be loaded or intervened on.
        """
        return [_measure(task, self._pipelines, self._batch_size) for task in item]


def measure_split(
    pool: Pool,
    asked: AskedSplit,
    methods: Sequence[MethodMaps],
    files: EffectsFiles,
    *,
    progress: bool = True,
    measured: Callable[[Mapping[str, ImageEffects]], None] = lambda found: None,
) -> Measured:
    """Generate a split's images again, and measure what its words do where the methods' maps say.

    Each image is in the files as soon as it and those before it are done.

    Args:
        pool: Workers that are an `EffectsWorker`.
        asked: The split, with the asked words in the nouns' place.
        methods: What the methods say of them.
        files: Where to write; what is in there already isn't measured again.
        progress: Show a bar with the time left, on stderr.
        measured: Takes the effects of each image, by method, before they are written.

    Raises:
        InputError: A model can't be loaded or intervened on.
    """
    tasks = []
    for example, groups in zip(asked.split, asked.groups, strict=True):
        missing = files.missing(example.id)
        wanted = [maps.of_image(example.id) for maps in methods if maps.name in missing]
        tasks.append([ImageTask(example, groups, wanted, REFERENCE in missing)])
    results = work_through(
        pool,
        tasks,
        name=f"effects on {asked.split.name}",
        part=WholeJob(),
        done=lambda batch: not files.missing(batch[0].id),
        progress=progress,
    )
    for _, images in results:
        for found in images:
            measured(found)
            for source, effects in found.items():
                files.add(source, effects)
    ids, left_out = [], 0
    for example in asked.split:
        drifted = files.effects[REFERENCE][example.id].difference > DRIFT_TOLERANCE
        left_out += drifted
        if not drifted:
            ids.append(example.id)
    return Measured(tuple(ids), left_out, files.effects)


def check_generated(split: Split) -> None:
    """Refuse a split with an image that no model generated, which has no trajectory."""
    for query in split.queries():
        if query.generation is None or query.seed is None:
            raise InputError(
                f"no model generated example {query.id!r} of split {split.name!r}, so the model can't be "
                "called again as it was; choose generated splits, such as --split coco_gen,unreal_gen"
            )


def _measure(task: ImageTask, pipelines: Pipelines, batch_size: int) -> dict[str, ImageEffects]:
    """Measure one image: for each method, and for what they share."""
    query, how = task.example.query, task.example.query.generation
    assert how is not None
    assert query.seed is not None
    pipeline = pipelines.get(how.model, how.revision, how.dtype, how.variant)
    names = [*([REFERENCE] if task.reference else []), *(maps.name for maps in task.methods)]
    if not query.nouns:
        return {name: ImageEffects(query.id, 0.0, ()) for name in names}
    with record(pipeline) as recorder:
        (image,) = generate(pipeline, [query.prompt], [query.seed], how)
    difference = mean_difference(image.image, query.image)
    words: dict[str, list[WordEffect]] = {name: [] for name in names}
    if difference <= DRIFT_TOLERANCE:
        intervention = Intervention(recorder.trajectory(), batch_size=batch_size)
        shuffled = shuffled_maps(intervention.trajectory)
        for index, (noun, group) in enumerate(zip(query.nouns, task.groups, strict=True)):
            try:
                intervention.trajectory.positions(noun.start, noun.end)
            except InputError as error:
                logger.warning("example %s: %s; the word is left out", query.id, error)
                continue
            word = WordInImage(task.example, index, group, intervention, shuffled)
            if task.reference:
                words[REFERENCE].append(word.reference())
            for maps in task.methods:
                words[maps.name].append(word.of_method(maps))
    return {name: ImageEffects(query.id, difference, tuple(found)) for name, found in words.items()}
