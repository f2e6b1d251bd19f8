"""The card of a built dataset."""

from __future__ import annotations

from collections.abc import Mapping

from daam_bench.datasets.card import HOW_TO_CITE, card_head
from daam_bench.datasets.pick import describe_passed_over
from daam_bench.datasets.plan import Plan
from daam_bench.types import Generation


def build_card(
    name: str, plan: Plan, generation: Generation, regenerated: Mapping[str, int], licence: str = "other"
) -> str:
    """Return the card of a dataset that is not annotated yet, in Markdown.

    Args:
        name: Name of the dataset.
        plan: What it was made of.
        generation: How its images were drawn.
        regenerated: Example -> seed of its image, for those whose first image was blanked.
        licence: Licence as the hub writes it ("cc-by-4.0", "other").
    """
    settings = plan.settings
    swapped = sum(len(prompt.source.swapped_from) for prompt in plan.prompts)
    revision = "" if generation.revision is None else f" at revision `{generation.revision}`"
    libraries = ", ".join(f"{library} {version}" for library, version in settings["libraries"].items())
    guidance = f"guidance scale {generation.guidance_scale:g}"
    drawn = (
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
- **Images.** `{generation.model}`{revision}: {drawn}.
  Image i of each split comes from seed i, with noise from the CPU's generator; none was chosen for its
  looks.{_describe_redrawn(regenerated, plan.size)}
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


def _describe_redrawn(regenerated: Mapping[str, int], size: int) -> str:
    if not regenerated:
        return ""
    listed = ", ".join(f"{name} (seed {seed})" for name, seed in regenerated.items())
    return (
        f" The model's safety checker blanked the first image of {len(regenerated)}; they were drawn again\n"
        f"  from seed i + {size}, i + {2 * size} and so on: {listed}."
    )
