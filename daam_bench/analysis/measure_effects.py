"""Measuring how much of words' effects lies where maps say, image by image. Resumable."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.analysis.effects_files import REFERENCE, EffectsFiles
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.analysis.one_word import WordInImage
from daam_bench.attribution.intervene import Intervention
from daam_bench.attribution.shuffled import shuffled_maps
from daam_bench.attribution.trajectory import record
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, generate, mean_difference
from daam_bench.diffusion.pipelines import Pipelines
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


def measure_split(
    asked: AskedSplit,
    methods: Sequence[MethodMaps],
    files: EffectsFiles,
    pipelines: Pipelines,
    *,
    batch_size: int,
    progress: bool = True,
) -> Measured:
    """Generate a split's images again, and measure what its words do where the methods' maps say.

    Each image is in the files before the next begins.

    Args:
        asked: The split, with the asked words in the nouns' place.
        methods: What the methods say of them.
        files: Where to write; what is in there already isn't measured again.
        pipelines: Where pipelines are loaded.
        batch_size: Most rows that the denoiser is called with at once.
        progress: Show a bar with the time left, on stderr.

    Raises:
        InputError: A model can't be loaded or intervened on.
    """
    left = [example for example in asked.split if files.missing(example.id)]
    done, groups = len(asked.split) - len(left), {}
    for example, of in zip(asked.split, asked.groups, strict=True):
        groups[example.id] = of
    name = f"effects on {asked.split.name}"
    with tqdm(total=len(asked.split), initial=done, desc=name, unit="image", disable=not progress) as bar:
        for example in left:
            missing = files.missing(example.id)
            wanted = [maps for maps in methods if maps.name in missing]
            found = _measure(example, groups[example.id], wanted, pipelines, batch_size, REFERENCE in missing)
            for source, effects in found.items():
                files.add(source, effects)
            bar.update()
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


def _measure(
    example: Example,
    groups: Sequence[str],
    methods: Sequence[MethodMaps],
    pipelines: Pipelines,
    batch_size: int,
    reference: bool,
) -> dict[str, ImageEffects]:
    """Measure one image: for each method, and for what they share."""
    query, how = example.query, example.query.generation
    assert how is not None
    assert query.seed is not None
    pipeline = pipelines.get(how.model, how.revision, how.dtype, how.variant)
    names = [*([REFERENCE] if reference else []), *(maps.name for maps in methods)]
    if not query.nouns:
        return {name: ImageEffects(query.id, 0.0, ()) for name in names}
    with record(pipeline) as recorder:
        (image,) = generate(pipeline, [query.prompt], [query.seed], how)
    difference = mean_difference(image.image, query.image)
    words: dict[str, list[WordEffect]] = {name: [] for name in names}
    if difference <= DRIFT_TOLERANCE:
        intervention = Intervention(recorder.trajectory(), batch_size=batch_size)
        shuffled = shuffled_maps(intervention.trajectory)
        for index, (noun, group) in enumerate(zip(query.nouns, groups, strict=True)):
            try:
                intervention.trajectory.positions(noun.start, noun.end)
            except InputError as error:
                logger.warning("example %s: %s; the word is left out", query.id, error)
                continue
            word = WordInImage(example, index, group, intervention, shuffled)
            if reference:
                words[REFERENCE].append(word.reference())
            for maps in methods:
                words[maps.name].append(word.of_method(maps))
    return {name: ImageEffects(query.id, difference, tuple(found)) for name, found in words.items()}
