"""Permutations that bring to every place a label that is not its own, as far as there can be one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

_TRIES_PER_PLACE = 20


@dataclass(frozen=True, slots=True)
class NounPlace:
    """Where a noun stands.

    Attributes:
        label: What the noun is: it should not come back to a place of this label.
        owner: Whom the place belongs to (the caption).
        plural: Whether a plural stands there.
        plural_only: Whether the noun fits plural places only. It must stand at one.
        unwanted: Further labels that should not come here.
    """

    label: str
    owner: int
    plural: bool = True
    plural_only: bool = False
    unwanted: frozenset[str] = frozenset()


def derange(places: Sequence[NounPlace], random: Random) -> list[int]:
    """Shuffle the nouns of all places so that as few places as possible get a label they should not.

    That is their own, and what is unwanted. With unwanted labels the fewest are not sure: only exchanges
    of two places are tried. Without any, with n places and m of the commonest label, 2m - n of them must keep
    it where that is above 0; likewise for the labels that fit plural places only, with n of those. As far as
    that leaves a choice, no owner gets the same label twice. Nothing but `random` is random.

    Returns:
        For each place, the index of the place whose noun comes to it: a permutation.
    """
    shuffle = _Shuffle(places, _first_order(places, random))
    shuffle.improve()
    shuffle.mix(random)
    return shuffle.sources


def _first_order(places: Sequence[NounPlace], random: Random) -> list[int]:
    """Let each plural-only noun change places with a plural that is none, and rotate the others.

    The commonest labels give way first: they are what later has too few places to go to.
    """
    sources = list(range(len(places)))
    bound = [index for index, place in enumerate(places) if place.plural_only]
    free = [index for index, place in enumerate(places) if place.plural and not place.plural_only]
    commonest = Counter((place.label, place.plural_only) for place in places)
    if bound:
        for indices in (bound, free):
            random.shuffle(indices)
            indices.sort(key=lambda index: -commonest[places[index].label, places[index].plural_only])
    for one, other in zip(bound, free, strict=False):
        sources[one], sources[other] = other, one
    exchanged = min(len(bound), len(free))
    apart = set(bound) | set(free[:exchanged])
    for group in ([index for index in range(len(places)) if index not in apart], bound[exchanged:]):
        for index, source in _rotate(places, group, random):
            sources[index] = source
    return sources


def _rotate(places: Sequence[NounPlace], group: Sequence[int], random: Random) -> list[tuple[int, int]]:
    """Put equal labels of a group side by side and shift the row by the longest run of them."""
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for index in group:
        by_label[places[index].label].append(index)
    order = random.sample(list(by_label), len(by_label))
    row = [index for label in order for index in by_label[label]]
    shift = max(map(len, by_label.values()), default=0)
    return [(index, row[(at + shift) % len(row)]) for at, index in enumerate(row)]


class _Shuffle:
    """A permutation that gets more random by exchanges, and never worse.

    Attributes:
        sources: For each place, the index of the place whose noun is there now.
    """

    def __init__(self, places: Sequence[NounPlace], sources: list[int]) -> None:
        numbers = {label: number for number, label in enumerate({place.label: None for place in places})}
        self.sources = sources
        self._plural = [place.plural for place in places]
        self._owner = [place.owner for place in places]
        own = [numbers[place.label] for place in places]
        self._barred = [
            frozenset({numbers[place.label], *(numbers[label] for label in place.unwanted & numbers.keys())})
            for place in places
        ]
        self._now = [own[source] for source in sources]
        self._plural_only = {numbers[place.label] for place in places if place.plural_only}
        self._held = Counter(zip(self._owner, self._now, strict=True))

    def improve(self) -> None:
        """Exchange until no exchange lets one place fewer have a label it should not."""
        hopeless: set[tuple[int, frozenset[int], bool]] = set()
        for first, (barred, plural) in enumerate(zip(self._barred, self._plural, strict=True)):
            kind = (self._now[first], barred, plural)
            if self._now[first] not in barred or kind in hopeless:
                continue
            others = range(len(self._barred))
            if not any(self.exchange_unless_worse(first, other, better=True) for other in others):
                hopeless.add(kind)

    def mix(self, random: Random) -> None:
        """Exchange at random places, unless that makes it worse."""
        count = len(self.sources)
        for _ in range(_TRIES_PER_PLACE * count if count > 1 else 0):
            first = second = random.randrange(count)
            while second == first:
                second = random.randrange(count)
            self.exchange_unless_worse(first, second)

    def exchange_unless_worse(self, first: int, second: int, *, better: bool = False) -> bool:
        """Exchange the nouns at two places, and tell whether that was done.

        `better` asks that fewer places have a label they should not.
        """
        barred, now, held = self._barred, self._now, self._held
        one, other = now[first], now[second]
        if one == other:
            return False
        kept = (one in barred[first]) + (other in barred[second])
        would_keep = (other in barred[first]) + (one in barred[second])
        if would_keep > kept or (better and would_keep == kept):
            return False
        only = self._plural_only
        if (one in only and not self._plural[second]) or (other in only and not self._plural[first]):
            return False
        to, fro = self._owner[first], self._owner[second]
        if to != fro:
            if would_keep == kept:
                twice = (held[to, one] > 1) + (held[fro, other] > 1)
                if (held[to, other] > 0) + (held[fro, one] > 0) > twice:
                    return False
            held[to, one] -= 1
            held[fro, other] -= 1
            held[to, other] += 1
            held[fro, one] += 1
        now[first], now[second] = other, one
        self.sources[first], self.sources[second] = self.sources[second], self.sources[first]
        return True
