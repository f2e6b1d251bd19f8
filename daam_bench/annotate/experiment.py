"""One experiment folder of castorini/daam to an example."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.annotate.pictures import alpha_mask, read_png
from daam_bench.prompts.swap import NounCaption
from daam_bench.types import Annotation, BoolMask, Example, Generation, Noun, Query, Source
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode

MASK_SUFFIX = ".gt.png"
PROMPT, SEED, IMAGE = "prompt.txt", "seed.txt", "output.png"

_TEXT_BYTES = 1 << 16
_SEED = re.compile(r"-?[0-9]{1,18}")

Parse = Callable[[str], NounCaption]
"""Finds the nouns of a prompt, and its tokens where it can."""


@dataclass(frozen=True, slots=True)
class DrawnWith:
    """The settings of a generator that experiment folders don't record."""

    model: str
    revision: str | None
    scheduler: str
    steps: int
    guidance_scale: float
    dtype: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads experiments, all in the same way."""

    annotation: Annotation
    drawn_with: DrawnWith | None
    parse: Parse

    def read(self, home: Path, name: str, files: Sequence[Path]) -> tuple[Example, list[str]]:
        """Read one experiment, and say what was left out of it."""
        prompt, image = _prompt(home / PROMPT), _image(home)
        wrong: list[str] = []
        try:
            seed = _seed(home / SEED)
        except InputError as error:
            wrong.append(f"{SEED}: {error}")
            seed = None
        masks: dict[str, BoolMask] = {}
        for file in files:
            word = file.name.removesuffix(MASK_SUFFIX).lower()
            try:
                mask = _mask(file, image)
            except InputError as error:
                wrong.append(f"noun {word!r}: {error}")
                continue
            masks[word] = masks[word] | mask if word in masks else mask
        spans = find_words(prompt, list(masks))
        absent = [word for word in masks if word not in spans]
        wrong += [f"noun {word!r}: it is no word of the prompt {prompt!r:.80}" for word in absent]
        if not spans:
            raise InputError("; ".join(wrong))
        parsed = self.parse(prompt)
        known = {(noun.start, noun.end): noun for noun in parsed.nouns}
        words = sorted(spans, key=lambda word: spans[word])
        nouns = [
            known.get(spans[word]) or Noun(prompt[slice(*spans[word])], word, *spans[word], None)
            for word in words
        ]
        query = Query(name, prompt, image, tuple(nouns), seed, _generation(self.drawn_with, seed, image))
        rles = tuple(encode(masks[word]) if masks[word].any() else None for word in words)
        return Example(query, rles, parsed.tokens, Source(None), self.annotation), wrong


def find_words(prompt: str, words: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Find words in a prompt, whatever their case: each at its first place that no longer word takes.

    Args:
        prompt: The prompt.
        words: The words, each once; one may have several parts ("hot dog").

    Returns:
        Word -> (start, end), without those that aren't there.

    >>> find_words("A dog eats a hot dog", ["dog", "hot dog", "do"])
    {'hot dog': (13, 20), 'dog': (2, 5)}
    """
    spans: dict[str, tuple[int, int]] = {}
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if not word.strip():
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE):
            if all(match.end() <= start or match.start() >= end for start, end in spans.values()):
                spans[word] = match.span()
                break
    return spans


def _prompt(path: Path) -> str:
    prompt = _text(path).strip()
    if not prompt:
        raise InputError(f"{PROMPT} is empty")
    if "\0" in prompt:
        raise InputError(f"{PROMPT} is no text")
    return prompt


def _seed(path: Path) -> int | None:
    """Return the seed; None where none was kept, which castorini/daam writes as "None"."""
    if not path.exists():
        return None
    text = _text(path).strip()
    if text == "None":
        return None
    if not _SEED.fullmatch(text):
        raise InputError(f"{text!r:.40} is no seed; imported without one")
    return int(text)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError(f"{path.name} is no file")
        with path.open("rb") as file:
            encoded = file.read(_TEXT_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path.name} can't be read ({error.strerror})") from None
    if len(encoded) > _TEXT_BYTES:
        raise InputError(f"{path.name} has more than {_TEXT_BYTES} bytes")
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8") from None


def _image(home: Path) -> Image.Image:
    place = home / IMAGE
    if not place.exists():
        below = sorted(home.glob(f"*/{IMAGE}"))
        if len(below) > 1:
            folders = ", ".join(found.parent.name for found in below[:5])
            raise InputError(f"a {IMAGE} in each of {folders}; keep the one that was annotated")
        place = below[0] if below else place
    try:
        image = read_png(place)
    except InputError as error:
        raise InputError(f"{IMAGE}: {error}") from None
    image = image.convert("RGB")
    if not np.asarray(image).any():
        raise InputError(f"{IMAGE}: it is black, as a safety checker leaves it")
    return image


def _mask(file: Path, image: Image.Image) -> BoolMask:
    picture = read_png(file)
    if picture.size != image.size:
        raise InputError(
            f"its mask is {picture.height}x{picture.width} but the image {image.height}x{image.width} "
            "(height x width)"
        )
    return alpha_mask(picture)


def _generation(drawn_with: DrawnWith | None, seed: int | None, image: Image.Image) -> Generation | None:
    """Return how the image was drawn; None where that is unknown or, without a seed, of no use."""
    if drawn_with is None or seed is None:
        return None
    return Generation(
        model=drawn_with.model,
        revision=drawn_with.revision,
        scheduler=drawn_with.scheduler,
        steps=drawn_with.steps,
        guidance_scale=drawn_with.guidance_scale,
        height=image.height,
        width=image.width,
        dtype=drawn_with.dtype,
    )
