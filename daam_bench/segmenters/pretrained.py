"""Loading models of transformers from a hub id or a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daam_bench.diffusion.pipelines import quietly
from daam_bench.types.errors import InputError


def load_pretrained(kind: str, model: str, revision: str | None = None) -> Any:
    """Load a class of transformers ("AutoConfig") from a path or hub id, from the hub's cache if it is there.

    Raises:
        InputError: No such model, no network and no copy, or another kind of model.
    """
    target = str(Path(model).expanduser()) if model.startswith("~") else model
    try:
        with quietly(target):
            import transformers

            return getattr(transformers, kind).from_pretrained(target, revision=revision)
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise InputError(
            f"the model {model!r} can't be loaded ({first_line[:200]}); download it "
            f"(`hf download {model}`), or name a copy of it with --model PATH"
        ) from error


def read_commit(config: Any) -> str | None:
    """Return the hub's commit that a config came from; None for a path."""
    commit = getattr(config, "_commit_hash", None)
    return commit if isinstance(commit, str) else None
