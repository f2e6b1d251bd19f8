"""Replacing stretches of a text, with its words' positions following."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from daam_bench.types import Token


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` of the old text become `text`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with its edits made; they must be in order and apart from each other.

    >>> apply_edits("a cat sits", [Edit(0, 1, "an"), Edit(2, 5, "owl")])
    'an owl sits'
    """
    pieces, end = [], 0
    for edit in edits:
        pieces += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, text[end:]])


def shifted(position: int, edits: Sequence[Edit]) -> int:
    """Return where a character of the old text lies after the edits that end before it."""
    return position + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= position)


def edit_tokens(tokens: Sequence[Token], edits: Sequence[Edit]) -> tuple[Token, ...]:
    """Return the words of an edited text.

    The words of one edit ("teddy", "bear") give way to those of its new text, which all get the part of
    speech of the last one.
    """
    groups: dict[tuple[int, int], list[Token]] = {}
    for token in tokens:
        edit = _edit_of(token, edits)
        key = (token.start, token.end) if edit is None else (edit.start, edit.end)
        groups.setdefault(key, []).append(token)
    return tuple(token for group in groups.values() for token in _edited(group, edits))


def _edited(group: Sequence[Token], edits: Sequence[Edit]) -> list[Token]:
    edit = _edit_of(group[0], edits)
    start = shifted(group[0].start if edit is None else edit.start, edits)
    if edit is None:
        return [Token(group[0].text, group[0].pos, start, start + len(group[0].text))]
    words = re.finditer(r"\S+", edit.text)
    return [Token(word[0], group[-1].pos, start + word.start(), start + word.end()) for word in words]


def _edit_of(token: Token, edits: Sequence[Edit]) -> Edit | None:
    return next((edit for edit in edits if edit.start < token.end and token.start < edit.end), None)
