"""The methods of this package whose weights don't come with it."""

from __future__ import annotations

from daam_bench.segmenters.cards import MethodCard, card_of
from daam_bench.segmenters.registry import OURS, find_method
from daam_bench.types.errors import InputError

NOT_RUN = "not run here"
"""What a table says of one that it has no scores of."""


def methods_with_other_weights() -> dict[str, MethodCard]:
    """Return those methods in ABC order: name -> card, whose `needs` begins with "weights of".

    A method whose libraries are not installed is left out.
    """
    found = {}
    for name in OURS:
        try:
            card = card_of(find_method(name))
        except InputError:
            continue
        if card.needs is not None and card.needs.startswith("weights of"):
            found[name] = card
    return found
