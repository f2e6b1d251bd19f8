from collections import Counter
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from daam_bench.prompts.derange import NounPlace, derange

IMPOSSIBLE = 10_000


@st.composite
def places(draw) -> list[NounPlace]:
    """Up to 14 places; the labels "S" and "T" fit plural places only."""
    labels = draw(st.lists(st.sampled_from("aaabcdSST"), max_size=14))
    return [
        NounPlace(
            label,
            owner=draw(st.integers(0, 4)),
            plural=label in "ST" or draw(st.booleans()),
            plural_only=label in "ST",
        )
        for label in labels
    ]


def fewest_kept(places: list[NounPlace]) -> int:
    """Solve the assignment exactly: the least number of places that keep their label."""
    costs = np.array(
        [
            [
                IMPOSSIBLE if noun.plural_only and not place.plural else noun.label == place.label
                for noun in places
            ]
            for place in places
        ],
        dtype=int,
    ).reshape(len(places), len(places))
    return int(costs[linear_sum_assignment(costs)].sum())


@given(places(), st.integers(0, 99))
def test_no_order_keeps_fewer_labels(places, seed):
    sources = derange(places, Random(seed))
    assert sorted(sources) == list(range(len(places)))
    arrived = [places[source] for source in sources]
    assert all(place.plural for place, noun in zip(places, arrived, strict=True) if noun.plural_only)
    kept = sum(place.label == noun.label for place, noun in zip(places, arrived, strict=True))
    assert kept == fewest_kept(places)


@given(st.integers(1, 200), st.integers(0, 99))
def test_a_label_in_less_than_half_of_the_places_never_stays(count, seed):
    labels = [f"label {Random(seed * 1000 + at).randrange(count // 3 + 2)}" for at in range(count)]
    places = [NounPlace(label, owner=at // 3) for at, label in enumerate(labels)]
    sources = derange(places, Random(seed))
    kept = sum(labels[at] == labels[source] for at, source in enumerate(sources))
    assert kept == max(0, 2 * max(Counter(labels).values()) - count)


def test_the_same_seed_gives_the_same_order_and_another_another():
    places = [NounPlace(f"label {at % 7}", owner=at // 2) for at in range(40)]
    assert derange(places, Random(3)) == derange(places, Random(3))
    assert len({tuple(derange(places, Random(seed))) for seed in range(20)}) == 20


def test_every_other_label_comes_to_a_place_about_equally_often():
    places = [NounPlace(f"label {at % 5}", owner=at) for at in range(20)]
    came = Counter(places[derange(places, Random(seed))[0]].label for seed in range(800))
    assert set(came) == {"label 1", "label 2", "label 3", "label 4"}
    assert all(140 < count < 260 for count in came.values())


def test_no_owner_gets_a_label_twice_if_that_can_be_avoided():
    places = [NounPlace(label, owner) for owner in range(40) for label in ("ab" if owner < 20 else "cd")]
    sources = derange(places, Random(0))
    for owner in range(40):
        assert len({places[sources[2 * owner + at]].label for at in range(2)}) == 2


def test_nothing_to_exchange():
    assert derange([], Random(0)) == []
    assert derange([NounPlace("a", 0)], Random(0)) == [0]


def test_unwanted_labels_are_kept_away_where_they_can_be():
    places = [
        NounPlace("a", 0, unwanted=frozenset({"b"})),
        NounPlace("b", 1),
        NounPlace("c", 2),
        NounPlace("d", 3),
    ]
    for seed in range(20):
        sources = derange(places, Random(seed))
        assert sorted(sources) == [0, 1, 2, 3]
        assert places[sources[0]].label in ("c", "d")
        assert all(source != place for place, source in enumerate(sources))


def test_what_is_unwanted_everywhere_does_not_stop_the_others():
    places = [NounPlace(label, owner, unwanted=frozenset({"a"})) for owner, label in enumerate("abcd")]
    sources = derange(places, Random(0))
    assert sorted(sources) == [0, 1, 2, 3]
    assert sum(source == place for place, source in enumerate(sources)) <= 1
