"""The documentation's site: it builds without a warning, stands alone, and its links lead somewhere."""

import re
import subprocess
import sys
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest

from daam_bench.cli import COMMANDS, build_parser
from tests.docs.printed import ROOT
from tests.docs.site_pages import read_page

pytestmark = pytest.mark.slow

for module in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(module, reason="needs MkDocs: pip install 'daam-bench[docs]'")

page_of = cache(read_page)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def pages(site):
    return sorted(site.rglob("*.html"))


def test_every_sub_command_is_in_the_command_line_reference(site):
    headings = page_of(site / "reference" / "command-line.html").anchors
    (commands,) = (action.choices for action in build_parser()._actions if action.dest == "command")
    assert len(commands) >= len(COMMANDS)
    for name in commands:
        assert any(heading.startswith(f"daam-bench-{name}") for heading in headings), name


def test_an_option_with_a_bar_stands_in_the_reference_as_it_is_typed(site):
    assert "--method NAME|module:Class" in page_of(site / "reference" / "command-line.html").text


def test_the_reference_shows_docstrings_and_their_examples_as_code(site):
    text = (site / "reference" / "attribution.html").read_text()
    assert "Make the hard mask of the paper's section 2.2" in text
    assert "<blockquote>" not in text
    assert "doctest: +SKIP" not in text


def test_pages_made_of_files_elsewhere_are_there(site):
    assert "Enter your method" in page_of(site / "leaderboard.html").text
    assert "Keep a Changelog" in page_of(site / "changelog.html").text


def test_nothing_is_loaded_from_another_host(site):
    for path in pages(site):
        assert not [url for url in page_of(path).loaded if urlsplit(url).netloc], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text()), path


def test_links_inside_the_site_resolve(site):
    for path in pages(site):
        if path.name == "404.html":
            continue
        for link in [*page_of(path).links, *page_of(path).loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path}: {link}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in page_of(target).anchors, f"{path}: {link}"


def test_pages_open_from_a_disk_on_a_narrow_screen(site, opener):
    for path in site.glob("*.html"):
        if path.name == "404.html":
            continue
        with opener.open(path, width=360) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong_but_the_themes_landmarks(site, opener, violations, dark):
    for name in ("index", "methods", "tour"):
        with opener.open(site / f"{name}.html", dark=dark) as page:
            assert [found for found in violations(page) if found[0] != "landmark-unique"] == [], name
