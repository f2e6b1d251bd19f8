"""The order of methods: who leads, how far orders agree, which pairs turn round."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from daam_bench.scoring.bootstrap import ImageTotals, paired_difference
from daam_bench.scoring.ranks import Reversal, count_better, kendall, leads, rank_agreement, reversals


def plain_kendall(a, b):
    """Kendall's tau-b, counted pair by pair."""
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    if not all(untied):
        return None
    return sum(one * other for one, other in signs) / np.sqrt(untied[0] * untied[1])


def totals(*scores) -> ImageTotals:
    return ImageTotals(np.array(scores, dtype=np.float64), np.ones(len(scores), dtype=np.int64))


def methods(generator, levels, images=40, noise=0.1) -> list[ImageTotals]:
    """Methods of given levels, over images of 1 to 3 pairs."""
    pairs = generator.integers(1, 4, size=images)
    return [ImageTotals((level + noise * generator.normal(size=images)) * pairs, pairs) for level in levels]


@pytest.mark.parametrize("seed", range(20))
def test_kendall_is_that_of_a_count_of_pairs_and_scipys(seed):
    generator = np.random.default_rng(seed)
    a, b = generator.integers(0, 5, size=(2, generator.integers(2, 9))).astype(float)
    expected = plain_kendall(a, b)
    found = kendall(a, b)
    assert found is None if expected is None else found == pytest.approx(expected)
    scipys = kendalltau(a, b).statistic
    assert np.isnan(scipys) if found is None else found == pytest.approx(scipys)


def test_one_method_has_no_order():
    assert kendall([0.5], [0.5]) is None
    assert rank_agreement([totals(1, 2)], [totals(1, 2)]) is None


def test_methods_far_apart_agree_for_sure():
    a, b = (methods(np.random.default_rng(seed), (0.2, 0.5, 0.8)) for seed in (0, 1))
    found = rank_agreement(a, b, resamples=200)
    assert (found.tau, found.low, found.high, found.methods) == (1, 1, 1, 3)
    assert rank_agreement(a, b[::-1], resamples=200).tau == -1


def test_the_interval_is_that_of_a_bootstrap_written_out():
    generator = np.random.default_rng(3)
    a, b = (methods(generator, (0.4, 0.42, 0.44, 0.5), noise=0.15) for _ in range(2))
    found = rank_agreement(a, b, resamples=2000)
    taus = []
    for _ in range(2000):
        means = []
        for split in (a, b):
            sampled = generator.integers(40, size=40)
            means.append([one.sums[sampled].sum() / one.pairs[sampled].sum() for one in split])
        taus.append(plain_kendall(*means))
    assert (found.low, found.high) == pytest.approx(np.percentile(taus, (2.5, 97.5)), abs=0.34)
    assert found.low < found.tau <= found.high


def test_the_same_images_are_resampled_together():
    generator = np.random.default_rng(4)
    scores = methods(generator, (0.4, 0.41, 0.42), noise=0.3)
    together = rank_agreement(scores, scores, same_images=True, resamples=300)
    assert (together.low, together.high) == (1, 1)
    assert rank_agreement(scores, scores, resamples=300).low < 1


def test_splits_of_one_size_are_not_resampled_together_by_chance():
    # With one stream of random numbers for both, equal scores would agree in every resample.
    scores = methods(np.random.default_rng(5), (0.4, 0.4, 0.4), noise=0.5)
    assert rank_agreement(scores, scores, resamples=300).low < 0.5


def test_a_seed_fixes_the_agreement():
    a, b = (methods(np.random.default_rng(seed), (0.4, 0.42, 0.44)) for seed in (0, 1))
    first, again = (rank_agreement(a, b, resamples=100, seed=7) for _ in range(2))
    assert first == again


def test_an_agreement_is_between_the_same_methods():
    with pytest.raises(ValueError, match="same methods"):
        rank_agreement([totals(1)], [totals(1), totals(2)])


def test_the_highest_leads_only_if_ahead_of_all_others_for_sure():
    assert leads([totals(*[0.9] * 30), totals(*[0.5] * 30)]) == ["best", None]
    assert leads([totals(*[0.9, 0.1] * 15), totals(*[0.1, 0.8] * 15), totals(*[0.1] * 30)]) == [
        "tied",
        "tied",
        None,
    ]
    assert leads([totals(*[0.5] * 30)] * 2) == ["tied", "tied"]
    assert leads([totals(*[0.5] * 30)]) == ["best"]


def test_a_methods_own_scores_at_other_taus_are_no_rivals():
    high, near, low = totals(*[0.9, 0.8] * 15), totals(*[0.8, 0.9] * 15), totals(*[0.1] * 30)
    assert leads([high, near, low]) == ["tied", "tied", None]
    assert leads([high, near, low], ["one", "one", "other"]) == ["best", None, None]
    assert leads([high, near, high], ["one", "one", "other"]) == ["tied", "tied", "tied"]


def test_better_for_sure_are_those_whose_paired_interval_lies_above_zero():
    generator = np.random.default_rng(4)
    base = generator.random(40)
    scores = [totals(*(base + shift + 0.05 * generator.standard_normal(40))) for shift in (0, 0.01, 0.1, 0.3)]
    expected = [
        sum(other is not score and paired_difference(other, score).low > 0 for other in scores)
        for score in scores
    ]
    assert count_better(scores) == expected
    assert expected[-1] == 0
    assert expected[0] == expected[1] == 2


def test_a_method_that_is_better_at_several_taus_counts_once_and_none_is_better_than_itself():
    levels = [totals(*[level] * 30) for level in (0.9, 0.8, 0.7, 0.5)]
    assert count_better(levels) == [0, 1, 2, 3]
    assert count_better(levels, ["one", "one", "one", "other"]) == [0, 0, 0, 1]
    assert count_better(levels, ["one", "other", "one", "other"]) == [0, 1, 1, 1]


def test_without_pairs_nothing_is_better():
    empty = ImageTotals(np.zeros(2), np.zeros(2, dtype=np.int64))
    assert count_better([empty] * 2) == [0, 0]
    assert count_better([]) == []


def test_scores_without_pairs_lead_nothing():
    empty = ImageTotals(np.zeros(30), np.zeros(30, dtype=np.int64))
    assert leads([]) == []
    assert leads([empty, empty]) == [None, None]


def test_leads_are_those_of_paired_differences():
    scores = methods(np.random.default_rng(6), (0.5, 0.49, 0.45, 0.3), noise=0.1)
    scores = [ImageTotals(one.sums, scores[0].pairs) for one in scores]
    top = max(range(4), key=lambda place: scores[place].sums.sum())
    tied = {
        place for place in range(4) if place == top or paired_difference(scores[top], scores[place]).low <= 0
    }
    found = leads(scores)
    assert {place for place, lead in enumerate(found) if lead} == tied
    assert found[top] == ("best" if tied == {top} else "tied")


def test_a_pair_turns_round_for_sure_only_if_both_differences_are():
    high, low = totals(*[0.9] * 30), totals(*[0.2] * 30)
    up, down = totals(*[0.5, 0.51] * 15), totals(*[0.5, 0.5] * 15)
    noisy, other = totals(*[0.9, 0.1] * 15), totals(*[0.1, 0.85] * 15)
    assert reversals([high, low], [low, high]) == [Reversal(0, 1, True)]
    assert reversals([low, high], [high, low]) == [Reversal(1, 0, True)]
    assert reversals([high, low], [high, low]) == []
    assert reversals([high, low], [other, noisy]) == [Reversal(0, 1, False)]
    assert reversals([up, down], [down, up])[0].sure


def test_the_sure_reversals_come_first():
    high, low, mid = totals(*[0.9] * 30), totals(*[0.2] * 30), totals(*[0.5] * 30)
    noisy, other = totals(*[0.9, 0.0] * 15), totals(*[0.0, 0.89] * 15)
    found = reversals([noisy, other, mid, low], [other, noisy, low, mid])
    assert found[0] == Reversal(2, 3, True)
    assert not found[-1].sure
    assert high.sums.sum() > mid.sums.sum()
