"""Permutations that bring a different label to every place, as far as there can be one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from random import Random
from typing import Generic, TypeVar

Label = TypeVar("Label", bound=Hashable)

_TRIES_PER_PLACE = 20


def derange(labels: Sequence[Label], owners: Sequence[int], random: Random) -> list[int]:
    """Shuffle labels so that as few places as possible keep theirs.

    With n places and m of the commonest label, max(0, 2m - n) places must keep it; no more do. As far as that
    leaves a choice, no owner gets the same label twice.

    Args:
        labels: The label at each place.
        owners: Whom each place belongs to (the caption of a noun).
        random: Source of randomness; the result depends on nothing else.

    Returns:
        For each place, the index of the label that comes to it: a permutation.
    """
    shuffle = _Shuffle(labels, owners, _rotate(labels, random))
    count = len(labels)
    for _ in range(_TRIES_PER_PLACE * count if count > 1 else 0):
        shuffle.exchange_unless_worse(*random.sample(range(count), 2))
    return shuffle.sources


def _rotate(labels: Sequence[Label], random: Random) -> list[int]:
    """Group equal labels in a row and shift the row by the length of its longest group."""
    if not labels:
        return []
    counts = Counter(labels)
    order = random.sample(list(counts), len(counts))
    row = [place for label in order for place in range(len(labels)) if labels[place] == label]
    shift = max(counts.values())
    sources = [0] * len(labels)
    for index, place in enumerate(row):
        sources[place] = row[(index + shift) % len(row)]
    return sources


class _Shuffle(Generic[Label]):
    """A permutation that gets more random by exchanges, and never worse."""

    def __init__(self, labels: Sequence[Label], owners: Sequence[int], sources: list[int]) -> None:
        self.labels = labels
        self.owners = owners
        self.sources = sources
        self.held = Counter(zip(owners, (labels[source] for source in sources), strict=True))

    def exchange_unless_worse(self, first: int, second: int) -> None:
        before = self._cost(first, second)
        self._exchange(first, second)
        if self._cost(first, second) > before:
            self._exchange(first, second)

    def _cost(self, first: int, second: int) -> tuple[int, int]:
        """Count kept labels, and labels that an owner holds twice."""
        kept = sum(self.labels[place] == self.labels[self.sources[place]] for place in (first, second))
        twice = sum(
            self.held[self.owners[place], self.labels[self.sources[place]]] > 1 for place in (first, second)
        )
        return kept, twice

    def _exchange(self, first: int, second: int) -> None:
        for place in (first, second):
            self.held[self.owners[place], self.labels[self.sources[place]]] -= 1
        self.sources[first], self.sources[second] = self.sources[second], self.sources[first]
        for place in (first, second):
            self.held[self.owners[place], self.labels[self.sources[place]]] += 1
