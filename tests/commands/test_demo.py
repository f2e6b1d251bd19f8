"""The demo in a real browser."""

import builtins
import importlib.util

import pytest

from daam_bench.analysis.demo_page import build_page
from daam_bench.analysis.looking import Looker
from daam_bench.types.errors import InputError

NEEDS_GRADIO = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"
)


@pytest.fixture(scope="module")
def looker():
    return Looker(device="cpu")


def test_without_gradio_a_line_says_how_to_install_it(looker, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "gradio":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'daam-bench\[demo\]'"):
        build_page(looker)


@NEEDS_GRADIO
@pytest.mark.slow
def test_a_visitor_generates_clicks_a_word_and_moves_tau(looker, opener):
    page = build_page(looker)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, inbrowser=False)
    try:
        with opener.visit(address) as tab:
            tab.get_by_label("Prompt").fill("a boat and a fish on the sea")
            tab.get_by_label("number input for Steps", exact=True).fill("4")
            tab.get_by_role("button", name="Generate").click()
            tab.get_by_text("The mask of boat at τ = 0.4").wait_for(timeout=120_000)
            assert tab.locator("img[src*='/file=']").count() >= 3
            tab.get_by_role("radio", name="fish").check()
            tab.get_by_text("The mask of fish at τ = 0.4").wait_for(timeout=60_000)
            tab.get_by_label("number input for τ", exact=False).fill("0.7")
            tab.get_by_label("number input for τ", exact=False).press("Enter")
            tab.get_by_text("The mask of fish at τ = 0.7").wait_for(timeout=60_000)
            tab.get_by_label("Prompt").fill("  ")
            tab.get_by_role("button", name="Generate").click()
            tab.get_by_text("the prompt has no word").wait_for(timeout=60_000)
    finally:
        page.close()
