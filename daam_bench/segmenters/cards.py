"""What a method says of itself beside its name and parameters: attributes of its class, all optional."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

TRACKS: dict[str, str] = {
    "generator": "nothing but the model that generated the images",
    "other weights": "further pretrained models; any word",
    "closed vocabulary": "a detector of fixed classes",
    "tuned on masks": "a choice of it was made on ground-truth masks",
}
"""Tracks of the leaderboard, every value of `Track`: methods are ranked within their own."""


@dataclass(frozen=True, slots=True)
class MethodCard:
    """What a method says of itself.

    Attributes:
        summary: The first line of its docstring; empty for none.
        track: One of `TRACKS`; None if it doesn't say.
        tuned_on: The split whose masks a choice was made on; None for none.
        needs: What must be there beside the dataset; None for nothing.
        calls: Denoiser calls an image, in words; None for none.
        paper: Its source; None for none.
        options: Name and default of each option; a required one has no default (`inspect.Parameter.empty`).
    """

    summary: str
    track: str | None
    tuned_on: str | None
    needs: str | None
    calls: str | None
    paper: str | None
    options: tuple[tuple[str, Any], ...]


def card_of(factory: Callable[..., Any]) -> MethodCard:
    """Return what the class or function that makes a method says of it."""

    def said(name: str) -> str | None:
        value = getattr(factory, name, None)
        return value if isinstance(value, str) else None

    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(factory).parameters.values()
    documented = inspect.getdoc(factory) or ""
    return MethodCard(
        summary=documented.split("\n\n")[0].replace("\n", " "),
        track=said("track"),
        tuned_on=said("tuned_on"),
        needs=said("needs"),
        calls=said("calls"),
        paper=said("paper"),
        options=tuple((one.name, _default(factory, one)) for one in parameters if one.kind not in fixed),
    )


def _default(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return an option's default; a dataclass makes those that can change afresh."""
    for field in fields(factory) if is_dataclass(factory) else ():
        if field.name == parameter.name and field.default_factory is not MISSING:
            return field.default_factory()
    return parameter.default
