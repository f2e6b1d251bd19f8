"""Experiment folders of castorini/daam, the reference implementation, to examples.

An experiment is a folder with `prompt.txt`, `seed.txt`, `output.png` (there, or in one folder below) and a
`<word>.gt.png` for each annotated word, whose mask is where its alpha is above zero. Its `generation.pt` is a
pickle, which could run anything, and is never opened.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from daam_bench.errors import InputError
from daam_bench.masks import encode
from daam_bench.splits.exchange.archive import unpack
from daam_bench.splits.exchange.pictures import alpha_mask, read_png
from daam_bench.splits.lexicon import find_nouns
from daam_bench.types import Annotation, BoolMask, Example, Generation, Noun, Query, Source

MASK_SUFFIX = ".gt.png"
PROMPT, SEED, PICTURE = "prompt.txt", "seed.txt", "output.png"

MAX_PIXELS = 1 << 32
"""Most pixels that the pictures of one import may have together."""

_TEXT_BYTES = 1 << 16
_SEED = re.compile(r"-?[0-9]{1,18}")


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
class ImportedFolders:
    """What was found in experiment folders.

    Attributes:
        examples: The annotated experiments, in order of their ids.
        bad: One line for each record that was left out: which experiment or word, and why.
        unmarked: Number of experiments without any `<word>.gt.png`, left out too.
    """

    examples: tuple[Example, ...]
    bad: tuple[str, ...]
    unmarked: int


def import_daam_folders(
    path: Path, annotation: Annotation, drawn_with: DrawnWith | None = None
) -> ImportedFolders:
    """Read the experiment folders below a folder, or in a .tar.gz of one.

    Nouns are the annotated words, each at its first occurrence in the prompt. What is wrong with one
    experiment or word leaves that one out and is told in `bad`.

    Args:
        path: The folder or the archive; nobody need vouch for either.
        annotation: Who made the masks.
        drawn_with: How the pictures were drawn; None if unknown: the examples then have no `generation`.

    Raises:
        InputError: The archive is damaged or a trap, or there is no experiment.
    """
    if path.is_dir():
        return _import(path, path, annotation, drawn_with)
    if not path.is_file():
        raise InputError(f"no such folder or file: {path}; give a folder of experiments, or a .tar.gz of it")
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as scratch:
        folder = Path(scratch) / re.sub(r"\.(tar\.gz|tgz)$", "", path.name)
        folder.mkdir()
        unpack(path, folder, wanted=_is_wanted)
        return _import(folder, path, annotation, drawn_with)


def _is_wanted(path: PurePosixPath) -> bool:
    name = path.name
    return name in (PROMPT, SEED, PICTURE) or (name.endswith(MASK_SUFFIX) and not name.startswith("."))


def _import(
    folder: Path, named: Path, annotation: Annotation, drawn_with: DrawnWith | None
) -> ImportedFolders:
    homes = sorted(prompt.parent for prompt in folder.rglob(PROMPT))
    if not homes:
        raise InputError(
            f"no experiment in {named}: looked for folders with a {PROMPT}, as castorini/daam writes them"
        )
    names = _names(homes)
    shared = {name for name, count in Counter(names).items() if count > 1}
    examples: list[Example] = []
    bad: list[str] = []
    unmarked, pixels = 0, 0
    for home, name in sorted(zip(homes, names, strict=True), key=lambda pair: _natural(pair[1])):
        try:
            masks = _mask_files(home)
            if not masks:
                unmarked += 1
                continue
            if name in shared:
                raise InputError("its name is another experiment's too; rename the folder")
            if not name.isprintable():
                raise InputError("its name is no text; rename the folder")
            example, wrong = _example(home, name, masks, annotation, drawn_with)
        except InputError as error:
            bad.append(f"{name!r}: {error}")
            continue
        bad += [f"{name!r}, {line}" for line in wrong]
        pixels += example.query.image.width * example.query.image.height
        if pixels > MAX_PIXELS:
            raise InputError(f"the pictures have more than {MAX_PIXELS} pixels; import them in parts")
        examples.append(example)
    return ImportedFolders(tuple(examples), tuple(bad), unmarked)


def _mask_files(home: Path) -> list[Path]:
    try:
        found = [path for path in home.iterdir() if path.name.endswith(MASK_SUFFIX)]
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    return sorted(path for path in found if not path.name.startswith("."))


def _names(homes: Sequence[Path]) -> list[str]:
    """Name experiments by where they lie below the folder that holds them all: "452", or "part1-452"."""
    parents = [home.parent.parts for home in homes]
    depth = min(map(len, parents))
    while any(parts[:depth] != parents[0][:depth] for parts in parents):
        depth -= 1
    return ["-".join(home.parts[depth:]) for home in homes]


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts "9" before "10"."""
    return tuple((len(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", name))


def _example(
    home: Path, name: str, files: Sequence[Path], annotation: Annotation, drawn_with: DrawnWith | None
) -> tuple[Example, list[str]]:
    """Read one experiment, and say what was left out of it."""
    prompt, image = _prompt(home / PROMPT), _picture(home)
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
    wrong += [
        f"noun {word!r}: it is no word of the prompt {prompt!r:.80}" for word in masks if word not in spans
    ]
    if not spans:
        raise InputError("; ".join(wrong) or "no word")
    known = {(noun.start, noun.end): noun for noun in find_nouns(prompt).nouns}
    words = sorted(spans, key=lambda word: spans[word])
    nouns = [
        known.get(spans[word]) or Noun(prompt[slice(*spans[word])], word, *spans[word], None)
        for word in words
    ]
    query = Query(name, prompt, image, tuple(nouns), seed, _generation(drawn_with, seed, image))
    rles = tuple(encode(masks[word]) if masks[word].any() else None for word in words)
    return Example(query, rles, (), Source(None), annotation), wrong


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


def _picture(home: Path) -> Image.Image:
    place = home / PICTURE
    if not place.exists():
        below = sorted(home.glob(f"*/{PICTURE}"))
        if len(below) > 1:
            folders = ", ".join(found.parent.name for found in below[:5])
            raise InputError(f"a {PICTURE} in each of {folders}; keep the one that was annotated")
        place = below[0] if below else place
    try:
        image = read_png(place)
    except InputError as error:
        raise InputError(f"{PICTURE}: {error}") from None
    image = image.convert("RGB")
    if not np.asarray(image).any():
        raise InputError(f"{PICTURE}: it is black, as a safety checker leaves it")
    return image


def _mask(file: Path, image: Image.Image) -> BoolMask:
    picture = read_png(file)
    if picture.size != image.size:
        raise InputError(
            f"its mask is {picture.height}x{picture.width} but the picture {image.height}x{image.width} "
            "(height x width)"
        )
    return alpha_mask(picture)


def _generation(drawn_with: DrawnWith | None, seed: int | None, image: Image.Image) -> Generation | None:
    """Return how the picture was drawn; None where that is unknown or, without a seed, of no use."""
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
