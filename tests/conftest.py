"""Fixtures that several test modules share."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from daam_bench.types import Generation
from tests.browser import Opener, open_browser
from tests.tiny_dataset import make_dataset, make_generated_dataset

hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny hand-made dataset. Read it, don't change it."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Stable Diffusion pipeline with random weights."""
    from tests.tiny_pipelines import tiny_sd

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_sd().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def generated_dataset(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dataset that `tiny_model` drew, 24 pixels wide and 16 high."""
    from daam_bench.diffusion.pipelines import load_pipeline

    generation = Generation(str(tiny_model), None, "EulerDiscreteScheduler", 2, 5.0, 16, 24, "float32")
    folder = tmp_path_factory.mktemp("data") / "tiny"
    return make_generated_dataset(folder, load_pipeline(str(tiny_model), device="cpu"), generation)


@pytest.fixture(scope="session")
def opener() -> Iterator[Opener]:
    """Opens pages in a real browser."""
    with open_browser() as opener:
        yield opener


@pytest.fixture(scope="session")
def violations():
    """What axe-core finds wrong with a page: its rules with the places that break them."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-core: pip install 'daam-bench[dev]'"
    ).Axe()

    def find(page):
        # Without "preload", axe would fetch the style sheet, which a page on a disk may not.
        found = axe.run(page, options={"preload": False}).response["violations"]
        return [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]

    return find
