"""The card of a dataset made from experiment folders of castorini/daam."""

from __future__ import annotations

from daam_bench.datasets.card import HOW_TO_CITE, card_head


def daam_card(name: str) -> str:
    """Return the card of a dataset of that name, in Markdown, without its annotation."""
    return (
        card_head("other")
        + f"""# {name}

Prompts, the images that a text-to-image model generated for them, and masks of their nouns, to score
word-to-pixel attribution on with daam-bench.

## How it was made

Imported from experiment folders of [castorini/daam](https://github.com/castorini/daam), the reference
implementation of "What the DAAM": `prompt.txt`, `seed.txt`, `output.png` and a `<word>.gt.png` for each
annotated word. A noun is such a word at its first place in the prompt; its mask is where the alpha of its
file is above zero. Experiments without such a file were left out.

## Limits

Only annotated words are nouns here: others of the prompt may be drawn too. The folders don't record how the
images were drawn; where `generation` is set, whoever imported them said so.

## Licence

Not stated by the folders: ask whoever made them.

"""
        + HOW_TO_CITE
    )
