"""The columns of a split's Parquet file, examples as rows of it, and what must hold of every example."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

from PIL import Image

from daam_bench.files.outside import parse_record, shown
from daam_bench.types import RLE, Annotation, Example, Generation, Noun, Query, Source, Swap, Token
from daam_bench.types.errors import InputError, ShapeError, is_hidden
from daam_bench.types.examples import MASK_KINDS

COLUMNS = ("id", "prompt", "image", "seed", "generation", "nouns", "tokens", "source", "annotation")
"""Every column of a split, in file order."""

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
"""What images are read as. Others that Pillow knows start programs: EPS starts Ghostscript."""

MAX_IMAGE_PIXELS = 1 << 26
"""Most pixels of an image that is decoded: 8192 x 8192."""

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for bytes that are no image."""

_MOST_ROWS = 3
"""Of how many bad rows an error tells."""


@dataclass(frozen=True, slots=True)
class StoredNoun(Noun):
    """A noun as it is stored: with its mask."""

    mask: RLE | None


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A source as it is stored: others may write null for no swapped nouns."""

    caption_id: str | None
    swapped_from: tuple[Swap, ...] | None


@dataclass(frozen=True, slots=True)
class StoredExample:
    """The schema of a row of a split's Parquet file, but for its image."""

    id: str
    prompt: str
    seed: int | None
    generation: Generation | None
    nouns: tuple[StoredNoun, ...]
    tokens: tuple[Token, ...]
    source: StoredSource | None
    annotation: Annotation | None

    def plain_nouns(self) -> tuple[Noun, ...]:
        """Return the nouns without their masks."""
        return tuple(Noun(*(getattr(noun, field.name) for field in fields(Noun))) for noun in self.nouns)


def from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Example, ...]:
    """Return the examples of rows, checked; their images are decoded at first use.

    Raises:
        InputError: A value is missing or of another type than `features` says (the line names them all, of
            some rows), an image is none, or an example contradicts itself.
    """
    examples: list[Example] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            examples.append(_from_row(row))
        except InputError as error:
            problems.append(f"row {number} (id {shown(row['id'])}) is no example: {error}")
    if problems:
        more = f"; and {len(problems) - _MOST_ROWS} rows more" if len(problems) > _MOST_ROWS else ""
        raise InputError("; ".join(problems[:_MOST_ROWS]) + more)
    check_examples(examples)
    return tuple(examples)


def check_examples(examples: Sequence[Example]) -> None:
    """Check what must hold of a split: when it is written, and again when it is loaded.

    Raises:
        InputError: Two examples share an id or one has none, a span does not hold its text, or there is not
            one mask (or None) a noun.
        ShapeError: A mask is not of its image's size.
    """
    for name, count in Counter(example.query.id for example in examples).items():
        if count > 1:
            raise InputError(f"the id {name!r} names {count} examples; ids must be unique in a split")
    for example in examples:
        _check_example(example)


def _from_row(row: Mapping[str, Any]) -> Example:
    stored = parse_row(row)
    source = stored.source or StoredSource(None, None)
    nouns = stored.plain_nouns()
    query = Query(stored.id, stored.prompt, _open(row["image"]), nouns, stored.seed, stored.generation)
    masks = tuple(noun.mask for noun in stored.nouns)
    return Example(
        query, masks, stored.tokens, Source(source.caption_id, source.swapped_from or ()), stored.annotation
    )


def parse_row(row: Mapping[str, Any]) -> StoredExample:
    """Return what a row says but for its image.

    Raises:
        InputError: A value is missing or of another type than `features` says.
    """
    for name in ("nouns", "tokens"):
        if isinstance(row[name], dict):
            raise InputError(
                f'"{name}" is one record of lists; write a list of records, one for each '
                "(with `datasets`: List({...}), not Sequence)"
            )
    try:
        return parse_record(StoredExample, {name: row[name] for name in COLUMNS if name != "image"})
    except TypeError as error:
        raise InputError(f"a value is of no type that a split has ({error})") from None


def _open(record: object) -> Image.Image:
    """Open an image, decoded once to see that it is whole; a PNG comes undecoded, which needs less memory."""
    encoded = record.get("bytes") if isinstance(record, dict) else None
    if not isinstance(encoded, bytes):
        path = record.get("path") if isinstance(record, dict) else None
        if isinstance(path, str) and path:
            raise InputError(
                f'"image.bytes" is missing, "image" is only the path {shown(path)}; write the file with the '
                "images in it (with `datasets`: to_parquet of a column of images)"
            )
        raise InputError('"image.bytes" is missing')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(encoded), formats=IMAGE_FORMATS)
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise InputError(
                    f'"image" has {image.width} x {image.height} pixels, '
                    f"more than the {MAX_IMAGE_PIXELS} that are read"
                )
            if image.format == "PNG":
                image.verify()
                Image.open(BytesIO(encoded), formats=IMAGE_FORMATS).load()
                image = Image.open(BytesIO(encoded), formats=IMAGE_FORMATS)
            else:
                image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except InputError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f'"image" is no whole image of {", ".join(IMAGE_FORMATS)} ({type(error).__name__}: {reason})'
        ) from None


def check_words(name: str, prompt: str, nouns: Sequence[Noun], tokens: Sequence[Token]) -> None:
    """Check the id of an example, and that the span of each word holds its text.

    Raises:
        InputError: They don't fit.
    """
    if not name or any(map(is_hidden, name)):
        raise InputError(f"the id {name!r:.60} is not one line of printable text; give the example another")
    for kind, words in (("noun", nouns), ("token", tokens)):
        for word in words:
            found = prompt[max(word.start, 0) : max(word.end, 0)]
            if found != word.text:
                raise InputError(
                    f"example {name!r}: {kind} {word.text!r} is said to stand at "
                    f"{word.start}:{word.end} of the prompt, where {found!r} stands"
                )


def _check_example(example: Example) -> None:
    query = example.query
    check_words(query.id, query.prompt, query.nouns, example.tokens)
    if len(example.masks) != len(query.nouns):
        raise InputError(
            f"example {query.id!r}: {len(query.nouns)} nouns but {len(example.masks)} masks; "
            "give one a noun, or None for a noun that is not depicted"
        )
    if example.annotation is not None and example.annotation.masks is not None:
        _check_kinds(example.annotation.masks, query)
    size = (query.image.height, query.image.width)
    for noun, mask in zip(query.nouns, example.masks, strict=True):
        if mask is not None and mask.size != size:
            one, other = (f"{height}x{width}" for height, width in (mask.size, size))
            raise ShapeError(
                f"example {query.id!r}, noun {noun.text!r}: the mask is {one} but the image {other} "
                "(height x width); annotate at the image's size"
            )


def _check_kinds(kinds: Sequence[str], query: Query) -> None:
    if len(kinds) != len(query.nouns):
        raise InputError(
            f'example {query.id!r}: {len(query.nouns)} nouns but {len(kinds)} "annotation.masks"; '
            "give one a noun"
        )
    for kind in kinds:
        if kind not in MASK_KINDS:
            raise InputError(
                f'example {query.id!r}: {shown(kind)} in "annotation.masks"; '
                f"give one of {', '.join(MASK_KINDS)}"
            )
