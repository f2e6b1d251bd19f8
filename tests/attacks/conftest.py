"""The submissions that the leaderboard's attacks start from."""

from tests.leaderboard.conftest import (  # noqa: F401
    hard_members,
    hard_run,
    hard_zip,
    soft_members,
    soft_run,
    soft_zip,
    tiny_splits,
)
