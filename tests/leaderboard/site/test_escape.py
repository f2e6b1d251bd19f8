import pytest

from daam_bench.leaderboard.site.escape import web_link


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
