"""Dataset cards: the YAML head, what is said of the masks, and the card of a built dataset."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template

from daam_bench.datasets.plan import Plan, describe_passed_over
from daam_bench.types import Annotation, Example, Generation
from daam_bench.types.examples import ACCEPTED, EDITED, OWN, PROPOSED
from daam_bench.types.masks import area

_CARDS = Path(__file__).parent / "cards"

HOW_TO_CITE = (_CARDS / "how_to_cite.md").read_text(encoding="utf-8")
"""The section of a card that tells how to cite the paper."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_LARGER = "100K<n<1M"

_MEANINGS = {
    ACCEPTED: "left as proposed",
    EDITED: "edited",
    OWN: "made without one",
    PROPOSED: "proposed, not looked at",
}

HEADING = "## Annotation"
"""Heading of the section that `with_annotation` writes."""

_BEFORE = re.compile(r"^## Limits$", re.MULTILINE)
_SECTION = re.compile(rf"^{HEADING}$.*?(?=^#{{1,2}} |\Z)", re.MULTILINE | re.DOTALL)
_CONFIGS = re.compile(r"^configs:.*\n(?:[ #-].*\n|\n)*", re.MULTILINE)
"""The key `configs` of a card's head: its line, and those below that are indented or items of a list."""


def card_head(licence: str, examples: int | None = None) -> str:
    """Return the YAML head of a card, with the number of examples of all splits if it is known.

    `licence` is written as the hub does ("cc-by-4.0", "other").
    """
    sizes = ""
    if examples is not None:
        label = next((label for bound, label in _SIZES if examples < bound), _LARGER)
        sizes = f"size_categories:\n- {label}\n"
    return f"""---
license: {licence}
language:
- en
task_categories:
- image-segmentation
- text-to-image
tags:
- attribution
- daam
- daam-bench
{sizes}---
"""


def add_configs(card: str, names: Sequence[str], content: str) -> str:
    """Put the YAML `configs` that tells `datasets` the splits into a card's head, in place of those there.

    `datasets` keeps what it has loaded under the folder's name and a hash of the `configs`, not of the files.
    So that it takes nothing else for this dataset, `content`, a digest of the files, is among them.

    >>> print(add_configs("# Birds", ["scenes"], "sha256:2e99"))
    ---
    configs:
    - config_name: default
      description: sha256:2e99
      data_files:
      - split: scenes
        path: scenes.parquet
    ---
    # Birds
    """
    head, body = "", card
    if card.startswith("---\n") and "\n---\n" in card[3:]:
        head, body = card[4:].split("---\n", 1)
    lines = "".join(f"  - split: {name}\n    path: {name}.parquet\n" for name in names)
    configs = f"configs:\n- config_name: default\n  description: {content}\n  data_files:\n{lines}"
    return f"---\n{_CONFIGS.sub('', head)}{configs}---\n{body}"


def describe_annotation(splits: Mapping[str, Sequence[Example]]) -> str:
    """Return the section of a card that tells who annotated how many images of each split, and how."""
    lines = [HEADING, ""]
    for name, examples in splits.items():
        masks = [mask for example in examples for mask in example.masks]
        depicted = sum(mask is not None and area(mask) > 0 for mask in masks)
        nouns = f"{_count(len(masks), 'noun')}, {depicted} of them with a mask"
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


def render_card(template: str, *, licence: str, examples: int | None = None, **values: Any) -> str:
    """Return a card: its head, a template of the folder `cards` filled in, and how to cite."""
    source = (_CARDS / f"{template}.md").read_text(encoding="utf-8")
    body = Template(source, keep_trailing_newline=True, trim_blocks=True, undefined=StrictUndefined)
    return f"{card_head(licence, examples)}{body.render(values, licence=licence)}\n{HOW_TO_CITE}"


def build_card(
    name: str, plan: Plan, generation: Generation, regenerated: Mapping[str, int], licence: str = "other"
) -> str:
    """Return the card of a dataset that is not annotated yet, in Markdown.

    `regenerated` holds example -> seed of its image, for those whose first image was blanked.
    """
    return render_card(
        "built",
        licence=licence,
        examples=len(plan.prompts),
        name=name,
        plan=plan,
        counts=Counter(prompt.split for prompt in plan.prompts),
        swapped=sum(len(prompt.source.swapped_from) for prompt in plan.prompts),
        passed_over=describe_passed_over(plan.passed_over),
        generation=generation,
        regenerated=regenerated,
    )


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
    yield from _histories(examples)
    missing = sum(example.annotation is None for example in examples)
    if missing:
        yield f"{_count(missing, 'image')} not annotated."


def _histories(examples: Sequence[Example]) -> Iterator[str]:
    """Say how many masks, of each proposing method, were left as proposed, changed, or made without it."""
    groups: dict[str | None, Counter[str]] = defaultdict(Counter)
    for example in examples:
        found = example.annotation
        if found is not None and found.masks and not found.is_proposal:
            depicted = (mask is not None and area(mask) > 0 for mask in example.masks)
            groups[found.proposal].update(compress(found.masks, depicted))
    for proposal, counts in groups.items():
        if proposal is None:
            yield f"{_count(counts.total(), 'mask')} made without a proposal."
        else:
            said = ", ".join(
                f"{counts[kind]} {meaning}" for kind, meaning in _MEANINGS.items() if counts[kind]
            )
            yield f"{_count(counts.total(), 'mask')} of images with proposals of {proposal}: {said}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
