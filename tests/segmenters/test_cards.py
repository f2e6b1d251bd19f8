"""What methods say of themselves."""

from typing import get_args

from daam_bench.segmenters.cards import TRACKS
from daam_bench.types.reports import Track


def test_every_track_that_a_report_may_name_is_one_of_the_leaderboard_s():
    assert tuple(TRACKS) == get_args(Track)
