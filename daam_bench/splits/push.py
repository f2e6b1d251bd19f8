"""Uploading a dataset folder to the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from daam_bench.errors import InputError
from daam_bench.splits.whole import load_whole

_REPO = re.compile(r"([\w-][\w.-]*/)?[\w-][\w.-]*")


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where a dataset lies on the hub.

    Attributes:
        repo: Its id, "owner/name".
        commit: Hash of the commit.
        url: Page of the commit.
    """

    repo: str
    commit: str
    url: str


def files_of(folder: Path) -> list[Path]:
    """Return the files of a dataset folder that belong to the dataset, after loading all of it.

    Those are the card, and a Parquet file and a COCO JSON for each split; other files in the folder are not.

    Raises:
        InputError: The folder is no dataset, or a split of it is damaged, or it has no card.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; give a dataset folder")
    names = list(load_whole(folder).splits)
    card = folder / "README.md"
    if not card.is_file():
        raise InputError(f"{folder} has no card; write a README.md that tells what the dataset is")
    candidates = [card, *(folder / f"{name}{end}" for name in names for end in (".parquet", ".coco.json"))]
    return [path for path in candidates if path.is_file()]


def push(folder: Path, repo: str, *, private: bool = False, revision: str | None = None) -> Pushed:
    """Upload a dataset folder in one commit; the repository is made if it isn't there.

    Args:
        folder: The dataset folder.
        repo: Id of the dataset on the hub: "owner/name", or "name" for one of the logged-in user's.
        private: Make a new repository private; one that is there stays as it is.
        revision: Branch to upload to, made if needed; None for the main one.

    Raises:
        InputError: The folder is no dataset, nobody is logged in, or the hub can't be reached or refuses.
    """
    check_repo(repo)
    files = files_of(folder)
    from huggingface_hub import HfApi, errors, get_token
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of requests, or of httpx

    if get_token() is None:
        raise InputError("not logged in to the hub; run `hf auth login`, or set HF_TOKEN")
    api = HfApi()
    try:
        made = api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id=made.repo_id, repo_type="dataset", branch=revision, exist_ok=True)
        info = api.upload_folder(
            repo_id=made.repo_id,
            repo_type="dataset",
            folder_path=folder,
            revision=revision,
            allow_patterns=[path.name for path in files],
            commit_message="Upload with daam-bench",
        )
    except errors.OfflineModeIsEnabled:
        raise InputError("the hub is switched off by HF_HUB_OFFLINE; unset it to push") from None
    except errors.HFValidationError as error:
        raise InputError(f"{repo!r} is no name for a dataset on the hub: {error}") from None
    except (errors.HfHubHTTPError, HTTPError, OSError) as error:
        raise InputError(f"can't push to {repo}: {_reason(error)}") from error
    return Pushed(made.repo_id, info.oid, info.commit_url)


def check_repo(repo: str) -> None:
    """Check the form of a dataset's id on the hub.

    Raises:
        InputError: It is no such id.
    """
    if not _REPO.fullmatch(repo):
        raise InputError(f"{repo!r} is no name for a dataset on the hub; give owner/name")


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return "your login may not write there; run `hf auth login` with a token that may"
    if status is None:
        return "the hub can't be reached; check the network (and HF_ENDPOINT)"
    message = getattr(error, "server_message", None) or str(error)
    return f"the hub answers {status} ({' '.join(message.split()):.200})"
