"""The pages that the site's hooks make of other files."""

import json
from pathlib import Path

import pytest

from tests.docs.printed import ROOT


@pytest.fixture(autouse=True)
def _hooks_at_hand(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")


def cell(kind, source, *outputs):
    return {"cell_type": kind, "source": source, **({"outputs": list(outputs)} if kind == "code" else {})}


def page_of(tmp_path: Path, *cells):
    from notebook_page import notebook_page

    path = tmp_path / "one.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    return notebook_page(path)


def test_a_notebook_keeps_its_text_its_code_and_its_stored_outputs(tmp_path):
    printed = {"output_type": "stream", "name": "stdout", "text": ["a < b\n", "\n", "c\n"]}
    figure = {"output_type": "display_data", "data": {"image/png": "AAAA\n", "text/plain": "<Figure>"}}
    page = page_of(tmp_path, cell("markdown", ["# One\n"]), cell("code", "1 + 1", printed, figure))
    assert page.startswith("# One\n\n```python\n1 + 1\n```\n")
    assert "a &lt; b&#10;&#10;c" in page
    assert 'src="data:image/png;base64,AAAA"' in page
    assert "<Figure>" not in page


def test_blank_lines_of_rich_output_do_not_end_its_html(tmp_path):
    rich = {"output_type": "execute_result", "data": {"text/html": "<div>\n\n<b>x</b>\n</div>"}}
    assert "<div>\n<b>x</b>\n</div></div>" in page_of(tmp_path, cell("code", "x", rich))


def test_warnings_of_a_cell_are_left_out(tmp_path):
    warning = {"output_type": "stream", "name": "stderr", "text": "a warning"}
    assert "a warning" not in page_of(tmp_path, cell("code", "x", warning))


def test_links_that_hold_in_the_repository_lead_to_pages_of_the_site():
    pytest.importorskip("mkdocs", reason="needs MkDocs: pip install 'daam-bench[docs]'")
    from hooks import linked

    text = "[a](../leaderboard/README.md#host-it), [b](tour.ipynb), [c](scores.md#leakage), ![d](d.png)"
    page = "[a](leaderboard.md#host-it), [b](tour.md), [c](scores.md#leakage), ![d](d.png)"
    assert linked(text, "docs/index.md") == page
    assert linked("[a](../../CHANGELOG.md)", "docs/models/unets.md") == "[a](../changelog.md)"
    assert linked("[a](../docs/methods.md), [b](../tools/a.py)", "leaderboard/README.md") == (
        "[a](methods.md), [b](../tools/a.py)"
    )


def test_links_to_files_that_the_site_lacks_become_text():
    pytest.importorskip("mkdocs", reason="needs MkDocs: pip install 'daam-bench[docs]'")
    from hooks import unlinked

    text = "See [`a.py`](../a.py), [b](b.md#c) and [d](https://arxiv.org)."
    assert unlinked(text, {"b.md"}) == "See `a.py`, [b](b.md#c) and [d](https://arxiv.org)."
    code = "```python\nfunctions[0](x)\n```"
    assert unlinked(code, set()) == code


def test_examples_in_docstrings_become_code():
    pytest.importorskip("griffe", reason="needs mkdocstrings: pip install 'daam-bench[docs]'")
    from doctests import fenced

    assert fenced("One.\n\n>>> 1 + 1  # doctest: +SKIP\n2") == "One.\n\n```pycon\n>>> 1 + 1\n2\n```"
    assert fenced("One.\n\n>>> a\n1\n\nTwo.") == "One.\n\n```pycon\n>>> a\n1\n```\n\nTwo."
