"""The Hugging Face hub: what an id is, and in one line why something can't be had from it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daam_bench.types.errors import InputError

HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[^@\s]+))?")
"""An id on the hub, with or without a revision behind it."""


@contextmanager
def hub_errors(what: str, repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn the hub's errors in the block into one that says what to do, and silence its retries.

    Args:
        what: "dataset" or "model".
        repo_id: Id on the hub, "owner/name".
        revision: Its revision, None for the newest.

    Raises:
        InputError: The hub, or the cache of it here, does not have what was asked for.
    """
    from huggingface_hub import errors

    named = repo_id if revision is None else f"{repo_id}@{revision}"
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(
            f"the hub's {what} {repo_id!r} is gated; accept its terms on its page, then `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"no {what} {named!r}: no such folder, none on the hub (a private one needs `hf auth login`)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"the hub's {what} {repo_id!r} has no revision {revision!r}") from error
    # No copy in the cache, and being offline, are OSErrors as well.
    except (errors.HfHubHTTPError, OSError) as error:
        is_there = isinstance(error, errors.EntryNotFoundError)
        if is_there and not isinstance(error, errors.LocalEntryNotFoundError):
            raise InputError(f"the hub's {repo_id!r} is no {what} that can be read here: {error}") from error
        raise InputError(
            f"no {what} {named!r}: no such folder here, no copy in the hub's cache, and the hub can't be "
            "reached; check the spelling, or the network (and HF_HUB_OFFLINE)"
        ) from error
    finally:
        logger.setLevel(level)


def dataset_files(repo_id: str, revision: str | None) -> Path:
    """Download the splits and the card of a dataset on the hub; return their folder, see `hub_errors`."""
    from huggingface_hub import snapshot_download

    with hub_errors("dataset", repo_id, revision):
        folder = snapshot_download(
            repo_id, repo_type="dataset", revision=revision, allow_patterns=["*.parquet", "README.md"]
        )
    return Path(folder)
