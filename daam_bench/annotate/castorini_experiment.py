"""One experiment folder of castorini/daam to an example; its files may come from anyone."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.prompts.swap import NounCaption
from daam_bench.types import Annotation, BoolMask, Example, Generation, Noun, Query, Source
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode

MASK_SUFFIX = ".gt.png"
PROMPT, SEED, IMAGE = "prompt.txt", "seed.txt", "output.png"

MAX_FILE_BYTES = 64 << 20
"""Largest image file that is read."""

MAX_IMAGE_PIXELS = 1 << 26
"""Most pixels of an image that is decoded: 8192 x 8192."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, zlib.error)
_TEXT_BYTES = 1 << 16
_SEED = re.compile(r"-?[0-9]{1,18}")

FindPromptNouns = Callable[[str], NounCaption]
"""Finds the nouns of a prompt, and its tokens where it can."""


@dataclass(frozen=True, slots=True)
class UnstatedSettings:
    """The settings of a generator that experiment folders don't record."""

    model: str
    revision: str | None
    scheduler: str
    steps: int
    guidance_scale: float
    dtype: str


def read_experiment(
    home: Path,
    name: str,
    files: Sequence[Path],
    *,
    annotation: Annotation,
    settings: UnstatedSettings | None,
    parse: FindPromptNouns,
) -> tuple[Example, list[str]]:
    """Read one experiment, and say what was left out of it.

    Args:
        home: Its folder.
        name: The id of its example.
        files: The files of its masks.
        annotation: Who made them.
        settings: How the image was generated; None if unknown.
        parse: Finds the nouns of its prompt.

    Raises:
        InputError: It can't be used at all.
    """
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
    parsed = parse(prompt)
    known = {(noun.start, noun.end): noun for noun in parsed.nouns}
    words = sorted(spans, key=lambda word: spans[word])
    nouns = [
        known.get(spans[word]) or Noun(prompt[slice(*spans[word])], word, *spans[word], None)
        for word in words
    ]
    # Without a seed nobody can generate the image again: the other settings are of no use.
    generation = (
        Generation(**asdict(settings), height=image.height, width=image.width)
        if settings is not None and seed is not None
        else None
    )
    query = Query(name, prompt, image, tuple(nouns), seed, generation)
    rles = tuple(encode(masks[word]) if masks[word].any() else None for word in words)
    return Example(query, rles, parsed.tokens, Source(None), annotation), wrong


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


def mask_files(home: Path) -> list[Path]:
    """Return the files of an experiment's masks.

    Raises:
        InputError: The folder can't be read.
    """
    try:
        found = [path for path in home.iterdir() if path.name.endswith(MASK_SUFFIX)]
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    return sorted(path for path in found if not path.name.startswith("."))


def read_png(path: Path) -> Image.Image:
    """Read and decode a PNG.

    Raises:
        InputError: It can't be read, is no PNG or a damaged one, or is larger than `MAX_FILE_BYTES` or
            `MAX_IMAGE_PIXELS`. The text says why, not which file it was.
    """
    if not path.is_file():
        raise InputError("there is no such file")
    encoded = _read(path, MAX_FILE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(encoded), formats=["PNG"])
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise InputError(f"its {image.width}x{image.height} pixels are more than {MAX_IMAGE_PIXELS}")
            image.load()
    except (InputError, Image.DecompressionBombError) as error:
        raise InputError(str(error)) from None
    except _BROKEN:
        raise InputError("it is no whole PNG") from None
    return image


def alpha_mask(image: Image.Image) -> BoolMask:
    """Return where an image isn't wholly transparent, bool of shape (height, width).

    Raises:
        InputError: The image has no alpha channel.
    """
    if not image.has_transparency_data:
        raise InputError("it has no alpha channel, which is where the mask belongs")
    mask: BoolMask = np.asarray(image.convert("RGBA"))[:, :, 3] > 0
    return mask


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
    if not path.is_file():
        raise InputError(f"{path.name} is no file")
    try:
        return _read(path, _TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8") from None
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    if len(content) > most:
        raise InputError(f"it has more than {most} bytes")
    return content


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
    found = read_png(file)
    if found.size != image.size:
        raise InputError(
            f"its mask is {found.height}x{found.width} but the image {image.height}x{image.width} "
            "(height x width)"
        )
    return alpha_mask(found)
