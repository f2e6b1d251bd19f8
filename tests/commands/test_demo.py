"""The demo in a real browser."""

import builtins
import importlib.util
import socket

import numpy as np
import pytest
from PIL import Image

from daam_bench.analysis import demo_page
from daam_bench.analysis.demo_page import build_page, chosen_word
from daam_bench.analysis.looking import Looked, Looker
from daam_bench.cli import main
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

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


def test_the_word_that_is_shown_first_has_a_map():
    image, found = Image.new("RGB", (8, 8)), HeatMap(np.ones((2, 2), np.float32))

    def chosen(**maps):
        return chosen_word(Looked(image, tuple(maps), tuple(maps.values())))

    assert chosen(a=found, boat=found, on=found, hill=found) == "boat"
    assert chosen(a=found, castle=found, hill=found, **{".": found}) == "hill"
    assert chosen(a=found, castle=found, hill=None, boat=None) == "castle"
    assert chosen(castle=None, **{".": found}) is None


def test_an_address_that_is_taken_is_one_line(looker, capsys, monkeypatch):
    class Page:
        """What Gradio does of it: it raises an OSError where it can't listen."""

        def launch(self, server_name, server_port, inbrowser):
            with socket.socket() as server:
                server.bind((server_name, server_port))

    monkeypatch.setattr(demo_page, "build_page", lambda looker: Page())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["demo", "--device", "cpu", "--no-open", "--port", port]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"can't serve at 127.0.0.1:{port}: " in line
    assert "give a free --port" in line


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
