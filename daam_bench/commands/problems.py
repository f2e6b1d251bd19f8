"""Naming on stderr the records that an import left out."""

from __future__ import annotations

from collections.abc import Sequence

from daam_bench.console import say

_MOST = 1000


def say_problems(problems: Sequence[str]) -> None:
    """Print one line a problem, the first thousand of them."""
    for problem in problems[:_MOST]:
        say(" ".join(problem.split()))
    if len(problems) > _MOST:
        say(f"and {len(problems) - _MOST} more")
