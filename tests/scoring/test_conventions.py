"""Whether the order of methods hangs on the boundary or on tau."""

from daam_bench.scoring.conventions import BAND, order_changes, usual_tau
from daam_bench.scoring.score import score
from daam_bench.types import Prediction
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import left, make_split

SIZE = (12, 12)
IMAGES = 30


def scored(masks_by_tau):
    """A method with a mask at each tau, or so many of 12 columns; the ground truth is 6 of them."""
    split = make_split([[("cat", "cat", left(6, SIZE))] for _ in range(IMAGES)])
    return score(
        split,
        [
            Prediction(str(image), 0, tau, encode(left(mask, SIZE) if isinstance(mask, int) else mask))
            for image in range(IMAGES)
            for tau, mask in masks_by_tau.items()
        ],
    )


def test_a_boundary_that_decides_is_told():
    # One pixel too wide is wrong in the band alone; a hole in the middle is wrong outside it.
    hole = left(6, SIZE)
    hole[:6, 2] = False
    (change,) = order_changes({"holed": scored({None: hole}), "wide": scored({None: 7})})
    assert (change.convention, change.turned, change.within_ties) == (BAND, (("holed", "wide"),), 0)
    assert change.agreement.tau == -1


def test_a_boundary_that_decides_nothing_leaves_the_order():
    (change,) = order_changes({"wide": scored({None: 9}), "near": scored({None: 7})})
    assert (change.turned, change.within_ties, change.agreement.tau) == ((), 0, 1)


def test_a_tau_that_decides_is_told_and_hard_masks_stay_as_they_are():
    soft = scored({0.3: 12, 0.4: 6, 0.5: 5})
    hard = scored({None: 7})
    changes = {one.convention: one for one in order_changes({"soft": soft, "hard": hard})}
    assert list(changes) == [BAND, "tau 0.3", "tau 0.5"]
    assert changes["tau 0.3"].turned == (("soft", "hard"),)
    assert changes["tau 0.3"].agreement.tau == -1
    assert changes["tau 0.5"].turned == (("soft", "hard"),)


def test_only_taus_that_all_soft_methods_have_are_set_side_by_side():
    changes = order_changes({"a": scored({0.3: 5, 0.4: 6}), "b": scored({0.4: 5, 0.5: 6})})
    assert [one.convention for one in changes] == [BAND]


def test_the_usual_tau_is_the_papers_or_the_first():
    assert usual_tau(scored({0.2: 5, 0.4: 6})) == "0.4"
    assert usual_tau(scored({0.2: 5, 0.6: 6})) == "0.2"
