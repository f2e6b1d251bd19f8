"""The repository's own entries score as their reports say."""

from pathlib import Path

import pytest

from daam_bench.leaderboard import ENTRIES
from daam_bench.leaderboard.reading import Problems
from daam_bench.leaderboard.rescoring import check_entry, load_splits
from daam_bench.types import Split

SHIPPED = Path(__file__).resolve().parents[2] / ENTRIES


@pytest.fixture(scope="module")
def emoji() -> list[Split]:
    return load_splits("emoji")


@pytest.mark.parametrize("slug", sorted(path.name for path in SHIPPED.glob("*")))
def test_an_entry_scores_as_its_report_says(slug, emoji):
    problems = Problems()
    check_entry(SHIPPED / slug, emoji, problems)
    assert problems.lines() == []
