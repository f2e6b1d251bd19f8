"""Loading a spaCy pipeline: the shipped one, an installed one, or one in a folder."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError

SHIPPED = Path(__file__).parent / "spacy_pipeline"
"""Folder of the shipped pipeline."""

PLURALS = frozenset({"Plur", "Ptan"})
"""Values of FEATS Number that count as plural: plurals, and words that have no singular ("scissors")."""

_UNUSED = ("parser", "ner", "senter")
"""Components whose work is not needed here."""


def load_pipeline(pipeline: Any = None) -> Any:
    """Return a spaCy pipeline that sets parts of speech and lemmas, given loaded, by name or by path.

    Raises:
        InputError: spaCy is missing, there is no such pipeline, or it sets no parts of speech or lemmas.
    """
    require_spacy()
    if pipeline is None or isinstance(pipeline, str | Path):
        return _load(str(pipeline or SHIPPED))
    _check(pipeline, pipeline.meta.get("name") or "the given pipeline")
    return pipeline


def require_spacy() -> None:
    """Raise an InputError that says how to install spaCy, unless it is installed."""
    if find_spec("spacy") is None:
        raise InputError("nouns need spaCy, which is not installed; type: pip install 'daam-bench[nlp]'")


def is_plural(token: Any) -> bool:
    """Say whether a spaCy token is plural by its features."""
    return not PLURALS.isdisjoint(token.morph.get("Number"))


@cache
def _load(name: str) -> Any:
    import spacy

    try:
        nlp = spacy.load(name, exclude=list(_UNUSED))
    except (OSError, ValueError) as error:
        if Path(name).exists():
            raise InputError(f"{name} is no spaCy pipeline that can be loaded: {error}") from None
        raise InputError(
            f"no spaCy pipeline {name!r} is installed, and no such folder exists; "
            f"leave it out for the shipped one, or type: python -m spacy download {name}"
        ) from None
    _check(nlp, name)
    return nlp


def _check(nlp: Any, name: str) -> None:
    doc = nlp("Two cats")
    for attribute in ("POS", "LEMMA"):
        if not doc.has_annotation(attribute):
            raise InputError(
                f"the spaCy pipeline {name} sets no {attribute} of words; take one with a tagger and a "
                "lemmatizer, such as the shipped one"
            )
