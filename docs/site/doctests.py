"""Lets examples in docstrings appear as code: griffe takes ">>>" for prose unless a section announces it."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>> )(?=\S).*\n?)*)+", re.MULTILINE)
_DIRECTIVE = re.compile(r" *# doctest:.*")


class Doctests(griffe.Extension):
    """Fences the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Fence the examples of one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """Return a docstring with its examples as fenced code."""
    return _EXAMPLE.sub(
        lambda found: f"```pycon\n{_DIRECTIVE.sub('', found[0]).strip()}\n```\n", docstring
    ).strip()
