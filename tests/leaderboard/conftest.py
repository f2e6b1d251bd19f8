"""Submissions that several modules start from."""

from pathlib import Path

import pytest

from daam_bench.leaderboard.rescoring import load_splits
from daam_bench.types import Split
from tests.leaderboard.packed import members_of, pack_run, run_method


@pytest.fixture(scope="session")
def soft_run(tiny_dataset, tmp_path_factory) -> Path:
    """The output folder of a soft method at two taus."""
    return run_method(tiny_dataset, tmp_path_factory.mktemp("soft") / "run")


@pytest.fixture(scope="session")
def hard_run(tiny_dataset, tmp_path_factory) -> Path:
    """The output folder of a method of hard masks."""
    return run_method(tiny_dataset, tmp_path_factory.mktemp("hard") / "run", "random")


@pytest.fixture(scope="session")
def soft_zip(tiny_dataset, soft_run) -> Path:
    """A submission of a soft method. Read it, don't change it."""
    assert pack_run(tiny_dataset, soft_run, soft_run.parent / "soft.zip") == 0
    return soft_run.parent / "soft.zip"


@pytest.fixture(scope="session")
def hard_zip(tiny_dataset, hard_run) -> Path:
    """A submission of a method of hard masks. Read it, don't change it."""
    assert pack_run(tiny_dataset, hard_run, hard_run.parent / "hard.zip", name="Random half") == 0
    return hard_run.parent / "hard.zip"


@pytest.fixture(scope="session")
def soft_members(soft_zip) -> dict[str, bytes]:
    """The files of `soft_zip`: name -> content."""
    return members_of(soft_zip)


@pytest.fixture(scope="session")
def hard_members(hard_zip) -> dict[str, bytes]:
    """The files of `hard_zip`: name -> content."""
    return members_of(hard_zip)


@pytest.fixture(scope="session")
def tiny_splits(tiny_dataset) -> list[Split]:
    """The splits that submissions are checked against."""
    return load_splits(str(tiny_dataset))
