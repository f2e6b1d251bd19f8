"""Dataset cards: the YAML head, what is said of the masks, and the card of a built dataset."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from daam_bench.datasets.plan import Plan, describe_passed_over
from daam_bench.types import Annotation, Example, Generation
from daam_bench.types.masks import area

HOW_TO_CITE = """## How to cite

```bibtex
@inproceedings{tang2023daam,
  title = {What the {DAAM}: Interpreting Stable Diffusion Using Cross Attention},
  author = {Tang, Raphael and Liu, Linqing and Pandey, Akshat and Jiang, Zhiying and Yang, Gefei and
            Kumar, Karun and Stenetorp, Pontus and Lin, Jimmy and Ture, Ferhan},
  booktitle = {Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics
               (Volume 1: Long Papers)},
  year = {2023},
  doi = {10.18653/v1/2023.acl-long.310},
}
```
"""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_LARGER = "100K<n<1M"

HEADING = "## Annotation"
"""Heading of the section that `with_annotation` writes."""

_BEFORE = re.compile(r"^## Limits$", re.MULTILINE)
_SECTION = re.compile(rf"^{HEADING}$.*?(?=^#{{1,2}} |\Z)", re.MULTILINE | re.DOTALL)
_CONFIGS = re.compile(r"^configs:.*\n(?:[ #-].*\n|\n)*", re.MULTILINE)
"""The key `configs` of a card's head: its line, and those below that are indented or items of a list."""


def card_head(licence: str, examples: int | None = None) -> str:
    """Return the YAML head of a card.

    Args:
        licence: Licence as the hub writes it ("cc-by-4.0", "other").
        examples: Number of examples in all splits together; None if it is not known yet.
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


def add_configs(card: str, names: Sequence[str]) -> str:
    """Put the YAML `configs` that tells `datasets` the splits into a card's head, in place of those there.

    >>> print(add_configs("# Birds", ["scenes"]))
    ---
    configs:
    - config_name: default
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
    configs = f"configs:\n- config_name: default\n  data_files:\n{lines}"
    return f"---\n{_CONFIGS.sub('', head)}{configs}---\n{body}"


def describe_annotation(splits: Mapping[str, Sequence[Example]]) -> str:
    """Return the section of a card that tells who annotated how many images of each split, and how.

    Args:
        splits: Examples by split name.
    """
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


def build_card(
    name: str, plan: Plan, generation: Generation, regenerated: Mapping[str, int], licence: str = "other"
) -> str:
    """Return the card of a dataset that is not annotated yet, in Markdown.

    Args:
        name: Name of the dataset.
        plan: What it was made of.
        generation: How its images were generated.
        regenerated: Example -> seed of its image, for those whose first image was blanked.
        licence: Licence as the hub writes it ("cc-by-4.0", "other").
    """
    settings = plan.settings
    swapped = sum(len(prompt.source.swapped_from) for prompt in plan.prompts)
    revision = "" if generation.revision is None else f" at revision `{generation.revision}`"
    libraries = ", ".join(f"{library} {version}" for library, version in settings["libraries"].items())
    guidance = f"guidance scale {generation.guidance_scale:g}"
    settings_of_images = (
        f"{generation.steps} steps of {generation.scheduler}, {guidance}, "
        f"{generation.height} x {generation.width} pixels (height x width), {generation.dtype}"
    )
    return (
        card_head(licence, len(plan.prompts))
        + f"""# {name}

Prompts, the images that a text-to-image model generated for them, and their countable nouns, to score
word-to-pixel attribution on with daam-bench
("What the DAAM", [arXiv 2210.04885](https://arxiv.org/abs/2210.04885)).

| split | examples | prompts |
|---|---|---|
| `coco_gen` | {plan.size} | captions as they stand |
| `unreal_gen` | {plan.size} | the same captions, {swapped} nouns swapped among them |

## How it was made

- **Captions.** {plan.size} of the {settings["captions"]} of `{settings["source"]}`, picked with seed
  {settings["seed"]}: {settings["min_nouns"]} or more countable nouns in each, one caption an image,
  none twice.
  Passed over: {describe_passed_over(plan.passed_over)}. `source.caption_id` names the caption.
- **Nouns.** Found by {settings["nlp"]}; what can't be counted is left out.
- **Swap.** The nouns change places over the whole split (seed {settings["seed"]}): each occurs as often as
  before, number and "a" or "an" agree, every other word stands. `source.swapped_from` tells what each noun
  replaced.
- **Images.** `{generation.model}`{revision}: {settings_of_images}.
  Image i of each split comes from seed i, with noise from the CPU's generator; none was chosen for its
  looks.{_describe_regenerated(regenerated, plan.size)}
- **Versions.** {libraries}.

## Limits

A program found the nouns and their number: some are missed, some are wrong. A prompt of `unreal_gen` need
not make sense; that is its purpose. An image need not show every noun of its prompt.

## Licence

`{licence}`. Captions and images may come with terms of their own: those of the captions' source and of the
model above.

"""
        + HOW_TO_CITE
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
    missing = sum(example.annotation is None for example in examples)
    if missing:
        yield f"{_count(missing, 'image')} not annotated."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _describe_regenerated(regenerated: Mapping[str, int], size: int) -> str:
    if not regenerated:
        return ""
    listed = ", ".join(f"{name} (seed {seed})" for name, seed in regenerated.items())
    return (
        f" The model's safety checker blanked the first image of {len(regenerated)}; they were generated\n"
        f"  again from seed i + {size}, i + {2 * size} and so on: {listed}."
    )
