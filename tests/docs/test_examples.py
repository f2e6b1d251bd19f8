"""The commands and the Python that the docs print do what they should."""

import sys

import pytest

from tests.docs.printed import ROOT, blocks, run_blocks, run_command

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
GOES_ON = {"annotate.md": "datasets.md"}
"""Page -> the page whose files its examples go on with."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield
    for module in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[module], "__file__", None) or ""):
            del sys.modules[module]


def first_pages():
    """Return the pages with examples that don't go on with those of another page."""
    return [page for page in PAGES if blocks(page) and page.name not in GOES_ON]


@pytest.mark.parametrize("page", first_pages(), ids=lambda page: page.stem)
def test_examples_run_as_printed(page, capsys):
    run_blocks(page, capsys)
    for later, earlier in GOES_ON.items():
        if earlier == page.name:
            run_blocks(DOCS / later, capsys)


def test_every_command_and_python_block_begins_its_line():
    """An indented block would be neither seen nor run by the tests above."""
    for page in PAGES:
        fences = [
            line for line in page.read_text().splitlines() if line.lstrip().startswith(("```sh", "```py"))
        ]
        assert all(fence.startswith("```") for fence in fences), page


def test_a_failing_command_is_noticed(capsys):
    with pytest.raises(AssertionError, match="no dataset 'nowhere'"):
        run_command("daam-bench run --dataset nowhere", capsys)
    with pytest.raises(AssertionError, match="no command of ours"):
        run_command("make run", capsys)
