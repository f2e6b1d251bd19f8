"""What a dataset's card says of its masks, written from the masks themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from daam_bench.types import Annotation, Example
from daam_bench.types.masks import area

HEADING = "## Annotation"
"""Heading of the section that `with_annotation` writes."""

_BEFORE = re.compile(r"^## Limits$", re.MULTILINE)
_SECTION = re.compile(rf"^{HEADING}$.*?(?=^#{{1,2}} |\Z)", re.MULTILINE | re.DOTALL)


def describe_annotation(splits: Mapping[str, Sequence[Example]]) -> str:
    """Return the section of a card that tells who annotated how many images of each split, and how.

    Args:
        splits: Examples by split name.
    """
    lines = [HEADING, ""]
    for name, examples in splits.items():
        masks = [mask for example in examples for mask in example.masks]
        drawn = sum(mask is not None and area(mask) > 0 for mask in masks)
        nouns = f"{_count(len(masks), 'noun')}, {drawn} of them with a mask"
        lines.append(f"- `{name}`: {_count(len(examples), 'image')}, {nouns}.")
        lines += [f"  {sentence}" for sentence in _sentences(examples)]
    return "\n".join(lines) + "\n"


def with_annotation(card: str, splits: Mapping[str, Sequence[Example]]) -> str:
    """Put the section "Annotation" into a card: in place of its own, before "Limits", or at its end."""
    start, end = len(card), len(card)
    if found := _SECTION.search(card) or _BEFORE.search(card):
        start, end = found.start(), found.end() if found[0].startswith(HEADING) else found.start()
    parts = (card[:start].rstrip(), describe_annotation(splits).rstrip(), card[end:].strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def _sentences(examples: Sequence[Example]) -> Iterator[str]:
    """Say of each way of annotation whose and how many, and how many images have none."""
    groups: dict[tuple[str, str, bool], list[Annotation]] = defaultdict(list)
    for example in examples:
        if (found := example.annotation) is not None:
            groups[found.by, found.how, found.is_proposal].append(found)
    for (by, how, is_proposal), group in groups.items():
        dates = sorted({annotation.date for annotation in group})
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        whose = f"with proposals of {by} that nobody has checked yet" if is_proposal else f"annotated by {by}"
        how = " ".join(how.removeprefix("proposal: ").split())
        yield f"{_count(len(group), 'image')} {whose}, {when}: {how}."
    missing = sum(example.annotation is None for example in examples)
    if missing:
        yield f"{_count(missing, 'image')} not annotated."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
