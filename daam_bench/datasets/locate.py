"""From a dataset's name to the folder that holds it."""

from __future__ import annotations

import re
from pathlib import Path

from daam_bench.types.errors import InputError

SHIPPED = "emoji"
"""Name of the dataset that comes with the package."""

_PACKAGE = Path(__file__).resolve().parents[1]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[^@\s]+))?")


def locate(dataset: str) -> Path:
    """Return the folder of a dataset, downloading it first if it is on the hub.

    Args:
        dataset: "emoji" for the shipped one, the path of a folder, or a hub id ("owner/name" or
            "owner/name@revision").

    Raises:
        InputError: There is no such dataset, or the hub can't be reached and has left no copy here.
    """
    if dataset == SHIPPED:
        return _shipped()
    folder = Path(dataset).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"dataset {dataset!r} is a file; give the folder that holds the splits")
    match = _HUB_ID.fullmatch(dataset)
    if match is None:
        raise InputError(
            f"no dataset {dataset!r}: no such folder; give {SHIPPED!r}, a folder, or a hub id (owner/name)"
        )
    return _from_hub(match["id"], match["revision"])


def own_folder(dataset: str) -> Path:
    """Return the folder of a dataset that may be changed in its place.

    Raises:
        InputError: It is the shipped one, one of the hub, or not there.
    """
    folder = Path(dataset).expanduser()
    if dataset == SHIPPED or not folder.is_dir():
        raise InputError(f"{dataset} can't be changed in its place; name a new folder with --output")
    return folder


def hub_commit(folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache holds; None for any other folder.

    >>> hub_commit(Path("hub/datasets--someone--birds/snapshots") / ("0123456789" * 4))
    '0123456789012345678901234567890123456789'
    """
    is_snapshot = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name) is not None
    return folder.name if is_snapshot else None


def _shipped() -> Path:
    """Find the shipped dataset: inside an installed package, or beside it in a checkout."""
    places = (_PACKAGE / "annotations" / SHIPPED, _PACKAGE.parent / "annotations" / SHIPPED)
    for place in places:
        if place.is_dir():
            return place
    raise InputError(f"the shipped dataset is not at {places[1]}; install the package again")


def _from_hub(repo_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    named = repo_id if revision is None else f"{repo_id}@{revision}"
    try:
        folder = snapshot_download(
            repo_id, repo_type="dataset", revision=revision, allow_patterns=["*.parquet", "README.md"]
        )
    except GatedRepoError as error:
        raise InputError(
            f"the hub's dataset {repo_id!r} is gated; accept its terms on its page, then `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"no dataset {named!r}: no such folder, none on the hub (a private one needs `hf auth login`)"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"the hub's dataset {repo_id!r} has no revision {revision!r}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise InputError(
            f"no dataset {named!r}: no such folder here, no copy in the hub's cache, and the hub can't be "
            "reached; check the spelling, or the network (and HF_HUB_OFFLINE)"
        ) from error
    return Path(folder)
