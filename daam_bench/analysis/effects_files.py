"""The files of measured effects, by image, which a killed run resumes; and what is left to measure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.analysis.one_word import CONTROLS, HARD_CONTROLS, REFERENCES
from daam_bench.attribution.intervene import SHARES
from daam_bench.files.json_lines import Line, LinesWriter
from daam_bench.files.outside import parse_record
from daam_bench.scoring.effects import MEASURE, ImageEffects
from daam_bench.scoring.faithfulness import AREAS
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError

SUFFIX = ".effects.jsonl"

REFERENCE = "reference"
"""Name of what is measured once for all methods."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What measuring a split will take: images to generate, and rows that the denoiser is called with.

    Parts of an image that several methods name are measured once, so that it may take less.
    """

    images: int
    words: int
    rows: int
    generations: float
    """`rows`, in generations of an image."""


class EffectsFiles:
    """The files of a split's effects, one for each method and one for what they share.

    Args:
        folder: Folder of the split.
        asked: The split.
        methods: What the methods say.
        kinds: What words were asked for.
        dtype: What the pipelines are loaded as; None for what is recorded.
        restart: Overwrite what is there.

    Raises:
        InputError: A file is of other words, settings, or another method; or a method has the name of what
            they share.
    """

    def __init__(
        self,
        folder: Path,
        asked: AskedSplit,
        methods: Sequence[MethodMaps],
        kinds: Sequence[str],
        *,
        dtype: str | None,
        restart: bool,
    ) -> None:
        if any(maps.name == REFERENCE for maps in methods):
            raise InputError(f"what all methods share is called {REFERENCE!r} here; rename the method")
        self.effects: dict[str, dict[str, ImageEffects]] = {}
        self._methods = {maps.name: maps for maps in methods}
        self._files = ExitStack()
        self._writers: dict[str, LinesWriter] = {}
        settings = {"faithfulness": MEASURE, "words": sorted(kinds), "shares": list(SHARES), "dtype": dtype}
        split = asked.split
        given: dict[str, tuple[str, Mapping[str, Any]]] = {REFERENCE: (REFERENCE, {})}
        given |= {maps.name: (maps.header.method, maps.header.parameters) for maps in methods}
        for name, (method, parameters) in given.items():
            header = PredictionsHeader(
                method, {**settings, "method": dict(parameters)}, split.dataset, split.name, split.fingerprint
            )
            path = folder / (re.sub(r"[^\w.]+", "-", name).strip("-") + SUFFIX)
            kept = self.effects.setdefault(name, {})

            def read(lines: Iterator[Line], kept: dict[str, ImageEffects] = kept, path: Path = path) -> None:
                for line in lines:
                    one = _parsed(path, line)
                    kept[one.id] = one

            writer = LinesWriter(path, header, restart=restart, existing=read)
            self._writers[name] = self._files.enter_context(writer)

    def missing(self, identifier: str) -> list[str]:
        """Return which files lack an image, or hold effects of other maps of it than the method's."""
        return [
            name
            for name, kept in self.effects.items()
            if identifier not in kept or kept[identifier].maps != self._digest(name, identifier)
        ]

    def add(self, name: str, effects: ImageEffects) -> None:
        """Write an image's effects to a file; of several of one image the last count."""
        effects = replace(effects, maps=self._digest(name, effects.id))
        self._writers[name].write([asdict(effects)])
        self.effects[name][effects.id] = effects

    def _digest(self, name: str, identifier: str) -> str | None:
        return self._methods[name].digest(identifier) if name in self._methods else None

    def __enter__(self) -> EffectsFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def _parsed(path: Path, line: Line) -> ImageEffects:
    try:
        return parse_record(ImageEffects, line.record)
    except InputError as error:
        raise InputError(
            f"{path}, line {line.number} is no record of effects ({error}); use --restart to make it again"
        ) from None


def cost_of(asked: AskedSplit, methods: Sequence[MethodMaps], files: EffectsFiles) -> Cost:
    """Return what there is left to measure of a split. Of joint attention every row is two."""
    images = words = rows = 0
    calls = len(SHARES)
    generations = 0.0
    for example in asked.split:
        missing = files.missing(example.id)
        if not missing or example.query.generation is None:
            continue
        count = len(example.query.nouns)
        masks = 1 + (len(REFERENCES) * len(AREAS) + 1 if REFERENCE in missing else 0)
        for maps in methods:
            if maps.name in missing:
                masks += (1 + len(CONTROLS)) * len(AREAS) * (maps.heat_maps is not None)
                masks += (1 + len(HARD_CONTROLS)) * len(maps.masks)
        here = 2 * calls + count * (1 + calls * masks)
        generation = example.query.generation
        images, words, rows = images + 1, words + count, rows + here
        generations += here / (generation.steps * (2 if (generation.guidance_scale or 1) > 1 else 1))
    return Cost(images, words, rows, generations)
