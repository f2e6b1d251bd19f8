"""How and where a number came to be."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import daam_bench
from daam_bench.types import Environment

_LIBRARIES = (
    "accelerate",
    "datasets",
    "diffusers",
    "mmdet",
    "numpy",
    "pillow",
    "pycocotools",
    "scipy",
    "spacy",
    "torch",
    "transformers",
)
_PACKAGE = Path(daam_bench.__file__).parent


def describe_environment(
    *, device: str | None = None, wall_seconds: float | None = None, seeds: Mapping[str, int] | None = None
) -> Environment:
    """Describe the package, its libraries and the machine, importing none of the libraries.

    Args:
        device: What the method ran on.
        wall_seconds: Wall-clock time of the run.
        seeds: What was seeded -> seed.
    """
    commit = _git("rev-parse", "HEAD") if _is_checkout() else None
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return Environment(
        version=daam_bench.__version__,
        commit=commit,
        dirty=None if changes is None else bool(changes),
        python=platform.python_version(),
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
        platform=platform.platform(),
        device=device,
        wall_seconds=wall_seconds,
        seeds=dict(seeds or {}),
    )


def _is_checkout() -> bool:
    """Tell whether git tracks the package: an installed copy may lie in someone else's checkout."""
    return _git("ls-files", "--error-unmatch", "__init__.py") is not None


def _git(*arguments: str) -> str | None:
    """Return what git says in the package's folder; None if it fails or isn't there."""
    # Inside a hook these variables point git to the repository of the hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=_PACKAGE, env=environment, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
