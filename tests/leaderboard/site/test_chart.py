import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daam_bench.leaderboard.site.chart import percent_ticks, place_labels, vertical
from daam_bench.leaderboard.site.escape import web_link
from daam_bench.leaderboard.site.examples import prompt_pieces
from daam_bench.types import Noun, Query


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


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt://example.org/%0aalert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "http://exa mple.org",
        "https:\\\\example.org",
        "",
        None,
    ],
)
def test_only_web_addresses_become_links(link):
    assert web_link(link) is None


def test_a_prompt_is_cut_at_its_nouns_by_characters_not_bytes():
    prompt = "🐟🐟 a cat, a dog"
    nouns = (Noun("dog", "dog", 12, 15, "dog"), Noun("cat", "cat", 5, 8, "cat"))
    query = Query("0", prompt, Image.new("RGB", (1, 1)), nouns, None, None)

    assert [tuple(piece) for piece in prompt_pieces(query)] == [
        ("🐟🐟 a ", None),
        ("cat", 1),
        (", a ", None),
        ("dog", 0),
    ]
