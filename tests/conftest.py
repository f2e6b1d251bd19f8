"""Fixtures that several test modules share."""

from pathlib import Path

import hypothesis
import pytest

from tests.tiny_dataset import make_dataset

hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny hand-drawn dataset. Read it, don't change it."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny")
