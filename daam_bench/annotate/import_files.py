"""Masks from the files that annotation tools export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from daam_bench.annotate.findings import Findings, shown
from daam_bench.annotate.from_coco import find_in_coco, is_coco
from daam_bench.annotate.from_label_studio import find_in_label_studio, is_label_studio
from daam_bench.types import Example
from daam_bench.types.errors import InputError

COCO, LABEL_STUDIO = "coco", "label-studio"
"""Names of the formats."""

MAX_BYTES = 1 << 28
"""Largest file that is read."""


def find_masks(
    paths: Sequence[Path],
    splits: Mapping[str, Sequence[Example]],
    *,
    format: str | None = None,
    complete: bool = False,
) -> Findings:
    """Find the masks of a dataset's nouns in files that annotation tools exported; the first file counts.

    `format` is "coco" or "label-studio", or recognised from each file's content. See `find_in_coco` for
    `complete`.

    Raises:
        InputError: A file can't be read or is of neither format.
    """
    findings = Findings()
    for path in paths:
        here = _find(path, read_json(path), splits, format, complete)
        findings.problems += [f"{path}: {problem}" for problem in here.problems]
        findings.problems += [
            f"{path}: {split}, image {shown(identifier)}: it is in a file before; the first counts"
            for split, identifier in here.found
            if (split, identifier) in findings.found
        ]
        findings.found = {**here.found, **findings.found}
    return findings


def _find(
    path: Path,
    content: Any,
    splits: Mapping[str, Sequence[Example]],
    format: str | None,
    complete: bool,
) -> Findings:
    try:
        if is_coco(content) and format in (COCO, None):
            return find_in_coco(content, splits, complete=complete)
        if is_label_studio(content) and format in (LABEL_STUDIO, None):
            if complete:
                raise InputError("--complete goes with COCO JSON; in Label Studio, tick what is not depicted")
            return find_in_label_studio(content, splits)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    raise InputError(
        f"{path} is neither COCO JSON (with images, annotations and categories) nor Label Studio's JSON (not "
        "JSON-MIN); export it as one of these"
        if format is None
        else f"{path} is not of the format {format}; leave --format out, or export it as that"
    )


def read_json(path: Path) -> Any:
    """Read a JSON file of at most `MAX_BYTES`, without NaN and infinities.

    Raises:
        InputError: It can't be read, or is no such JSON.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file; give the JSON file that the annotation tool exported")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB; export and import it in parts")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; give an annotation tool's export") from None
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no JSON ({reason:.100}); export it again") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
