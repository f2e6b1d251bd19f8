"""A few hundred damaged submissions; `python -m tests.leaderboard.fuzz` runs ten thousand."""

import pytest

from tests.leaderboard.fuzz import LONGEST, fuzz_one

pytestmark = pytest.mark.slow

COUNT = 300


@pytest.mark.parametrize("start", range(1_000_000, 1_000_000 + COUNT, 50))
def test_no_traceback_no_hang_and_none_accepted_as_another(start, soft_members, hard_members, tiny_splits):
    outcomes = set()
    for seed in range(start, start + 50):
        outcome, seconds = fuzz_one([soft_members, hard_members][seed % 2], tiny_splits, seed)
        assert seconds < LONGEST, f"seed {seed}"
        outcomes.add(outcome)
    assert outcomes == {"refused", "accepted"}
