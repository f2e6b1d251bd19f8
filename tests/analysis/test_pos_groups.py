"""Coverage by part of speech."""

import pytest

from daam_bench.analysis.pos_groups import PAPER, WordGroup, group_by_pos, rank_correlation
from daam_bench.analysis.word_coverage import Coverage, CoverageRecord, CoveredPrompt, CoveredToken


def record(prompt: str, *shares: tuple[str, float]) -> CoverageRecord:
    tokens = tuple(CoveredToken(pos, pos, 0, Coverage(share, share / 2)) for pos, share in shares)
    return CoverageRecord(prompt, prompt, 0, CoveredPrompt(tokens, 0, 0), None)


def group(pos: str, share: float) -> WordGroup:
    return WordGroup(pos, 1, 1, share, None, share, None)


def test_groups_come_in_order_of_their_means_with_counts():
    records = [record("a", ("NOUN", 0.2), ("DET", 0.8)), record("b", ("NOUN", 0.4), ("NUM", 0.1))]
    groups = group_by_pos(records)
    assert [(one.pos, one.tokens, one.images) for one in groups] == [
        ("NUM", 1, 1), ("NOUN", 2, 2), ("DET", 1, 1)
    ]  # fmt: skip
    assert groups[1].mean == pytest.approx(0.3)
    assert groups[1].mean_minmax == pytest.approx(0.15)


def test_the_mean_is_over_words_not_images():
    records = [record("a", *[("NOUN", 0.0)] * 3), record("b", ("NOUN", 1.0))]
    (nouns,) = group_by_pos(records)
    assert nouns.mean == pytest.approx(0.25)
    assert (nouns.tokens, nouns.images) == (4, 2)


def test_other_parts_of_speech_are_left_out():
    assert group_by_pos([record("a", ("SYM", 0.5))]) == []


def test_the_interval_holds_the_mean_and_is_seeded():
    records = [record(str(index), ("NOUN", index / 20)) for index in range(20)]
    (first,), (again,) = group_by_pos(records), group_by_pos(records)
    low, high = first.interval
    assert low < first.mean < high
    assert first == again


def test_images_of_one_prompt_are_resampled_together():
    values = [index / 20 for index in range(20)]
    apart = group_by_pos([record(str(value), ("NOUN", value)) for value in values])[0]
    together = group_by_pos([record("one prompt", ("NOUN", value)) for value in values])[0]
    assert together.mean == pytest.approx(apart.mean)
    assert together.interval == pytest.approx((together.mean, together.mean))


def test_rank_correlation_with_the_paper():
    same = [group(pos, share) for pos, share in PAPER.items()]
    opposite = [group(pos, 1 - share) for pos, share in PAPER.items()]
    assert rank_correlation(same) == pytest.approx(1)
    assert rank_correlation(opposite) == pytest.approx(-1)
    assert rank_correlation(same[:2]) is None
