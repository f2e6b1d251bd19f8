"""Where the pipelines of the emoji world's generators lie."""

from __future__ import annotations

from pathlib import Path

from daam_bench.emoji import PIPELINE, SIBLINGS
from daam_bench.types.errors import InputError

_PLACES = (Path(__file__).parent, Path(__file__).parents[2] / "tools" / "emoji" / "weights")
"""Of siblings' pipelines, each in a folder of its name: in the package, or in a checkout."""


def generator_folder(name: str) -> Path | None:
    """Return the folder of a generator of the emoji world; None for a name that is none of theirs.

    Raises:
        InputError: It is a sibling that is in neither place.
    """
    if name == "emoji":
        return PIPELINE
    if name not in SIBLINGS:
        return None
    places = [place / name for place in _PLACES]
    found = next((place for place in places if (place / "model_index.json").is_file()), None)
    if found is None:
        raise InputError(
            f"the pipeline {name!r} is not at {places[-1]}; train it (docs/emoji.md), or name a copy with "
            "the option model"
        )
    return found
