from hypothesis import given
from hypothesis import strategies as st

from daam_bench.leaderboard.site.chart import percent_ticks, place_labels, vertical


@given(st.floats(0, 100))
def test_ticks_reach_the_highest_value_and_are_few(highest):
    ticks = percent_ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 4 <= len(ticks) <= 6


def test_higher_values_lie_higher_in_the_drawing():
    axis = vertical((0, 20, 40))

    assert axis.place(40) < axis.place(20) < axis.place(0)


def test_labels_of_near_points_do_not_lie_on_each_other():
    points = [((100.0, 100.0), "0.4"), ((104.0, 103.0), "0.5")]

    first, second = place_labels(points, [point for point, _ in points])

    assert first is not None
    assert second is not None
    assert abs(first.y - second.y) >= 10 or abs(first.x - second.x) >= 20
