"""The commands and the Python that the docs print do what they should."""

import sys
from pathlib import Path

import pytest

from tests import tiny_diffusion_transformers
from tests.docs.printed import ROOT, blocks, run_blocks, run_command
from tests.tiny_pipelines import tiny_sd

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
MODELS = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "tiny_sd",
    "stabilityai/stable-diffusion-3.5-medium": "sd3",
    "black-forest-labs/FLUX.1-schnell": "flux",
    "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS": "pixart",
    "Qwen/Qwen-Image": "qwen",
    "Alpha-VLLM/Lumina-Image-2.0": "lumina2",
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": "wan",
}
"""Hub id in an example -> the tiny pipeline of the same class that stands in for it."""
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


def place_models(page):
    """Save tiny pipelines where a hub id, read as a path from the current folder, finds them."""
    named = [model for model in MODELS if f'"{model}"' in page.read_text()]
    for model in named:
        tiny_diffusion_transformers.ALL.get(MODELS[model], tiny_sd)().save_pretrained(Path(model))


def first_pages():
    """Return the pages with examples that don't go on with those of another page."""
    return [page for page in PAGES if blocks(page) and page.name not in GOES_ON]


@pytest.mark.parametrize("page", first_pages(), ids=lambda page: page.stem)
def test_examples_run_as_printed(page, capsys):
    place_models(page)
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
