import numpy as np
import pytest

from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals, paired_difference


def totals(sums, pairs=None) -> ImageTotals:
    sums = np.array(sums, dtype=np.float64)
    return ImageTotals(sums, np.ones(len(sums), dtype=np.int64) if pairs is None else np.array(pairs))


def simulate(generator: np.random.Generator, images: int = 60) -> ImageTotals:
    """Images of 1 to 4 pairs, whose IoUs depend on their image; the mean is 1/2."""
    pairs = generator.integers(1, 5, size=images)
    level = generator.uniform(0.2, 0.8, size=images)
    noise = [generator.uniform(-0.2, 0.2, size=count).sum() for count in pairs]
    return ImageTotals(level * pairs + noise, pairs)


def test_the_interval_holds_the_true_mean_about_95_times_of_100():
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(400):
        (interval,) = confidence_intervals([simulate(generator)], resamples=400, seed=seed)
        assert interval is not None
        held += interval[0] <= 0.5 <= interval[1]
    assert 0.91 <= held / 400 <= 0.98


def test_images_are_resampled_rather_than_pairs():
    # Pairs of one image that all agree say no more than one pair would.
    scores = np.random.default_rng(0).uniform(size=50)
    single, repeated = totals(scores), totals(scores * 9, [9] * 50)
    assert confidence_intervals([repeated])[0] == pytest.approx(confidence_intervals([single])[0])


def test_agrees_with_a_bootstrap_written_out():
    scores = simulate(np.random.default_rng(1))
    generator = np.random.default_rng(2)
    means = []
    for _ in range(10_000):
        sampled = generator.integers(len(scores.sums), size=len(scores.sums))
        means.append(scores.sums[sampled].sum() / scores.pairs[sampled].sum())
    assert confidence_intervals([scores])[0] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=2e-3)


def test_a_seed_fixes_the_interval():
    scores = simulate(np.random.default_rng(0))
    first, again, other = (confidence_intervals([scores], seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_an_interval_does_not_depend_on_the_scores_beside_it():
    a, b = simulate(np.random.default_rng(0)), simulate(np.random.default_rng(1))
    together = confidence_intervals([a, b])
    assert together[0] == pytest.approx(confidence_intervals([a])[0])
    assert together[1] == pytest.approx(confidence_intervals([b])[0])


def test_more_images_than_fit_one_chunk():
    scores = totals(np.random.default_rng(0).uniform(size=40_000))
    (interval,) = confidence_intervals([scores], resamples=50)
    assert interval is not None
    assert 0.49 < interval[0] < 0.5 < interval[1] < 0.51


def test_one_image_gives_an_interval_of_no_width():
    assert confidence_intervals([totals([1.5], [2])]) == [(0.75, 0.75)]


def test_no_pairs_give_no_interval():
    none = totals([0, 0], [0, 0])
    assert confidence_intervals([none]) == [None]
    assert confidence_intervals([none, totals([0.5, 0.5])])[0] is None
    assert confidence_intervals([totals([])]) == [None]
    assert confidence_intervals([]) == []
    assert paired_difference(none, none) is None


def test_few_images_with_pairs_among_many_without():
    interval = confidence_intervals([totals([0.5] + [0] * 20, [1] + [0] * 20), totals([0.1] * 21)])[0]
    assert interval == (0.5, 0.5)


def test_pairing_sees_a_small_difference_that_separate_intervals_hide():
    generator = np.random.default_rng(0)
    worse = simulate(generator)
    gain = generator.uniform(0, 0.04, size=len(worse.sums))
    better = ImageTotals(worse.sums + gain * worse.pairs, worse.pairs)
    difference = paired_difference(better, worse)
    assert difference is not None
    assert 0 < difference.low < difference.mean < difference.high < 0.04
    low, high = confidence_intervals([worse])[0] or (0, 0)
    assert high - low > 10 * (difference.high - difference.low)


def test_swapping_the_methods_turns_the_difference_round():
    generator = np.random.default_rng(0)
    a = totals(generator.uniform(size=30))
    b = totals(generator.uniform(size=30))
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there is not None
    assert back is not None
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_methods_over_other_pairs_cannot_be_compared():
    with pytest.raises(ValueError, match="same pairs"):
        paired_difference(totals([1, 1]), totals([1, 1], [1, 2]))
