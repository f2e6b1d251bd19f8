"""Downloading a file that goes on where it was broken off."""

from __future__ import annotations

import hashlib
import re
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from daam_bench.types.errors import InputError

_CHUNK = 1 << 20
_DIGEST = re.compile(r"-(?=\d*[a-f])([0-9a-f]{8,64})\.[^.]+$")  # of digits alone, it may be a date


def file_name(url: str) -> str:
    """Return the name of the file at a URL.

    >>> file_name("https://example.org/zoo/model-0ebd1859.pth?x=1")
    'model-0ebd1859.pth'
    """
    return PurePosixPath(urlsplit(url).path).name


def download(url: str, path: Path) -> None:
    """Download a file, unless it is there; a download that was broken off goes on.

    A name that ends in the beginning of the file's SHA-256, as those of model zoos do, is checked.

    Args:
        url: An http or https address.
        path: Where to put the file.

    Raises:
        InputError: The file can't be had, or is not what its name says.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    try:
        _fetch(url, partial)
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(
            f"{url} can't be downloaded ({error}); try again to resume where it stopped, or put the file "
            f"at {path}"
        ) from error
    match = _DIGEST.search(path.name)
    if match and not sha256(partial).startswith(match[1]):
        partial.unlink()
        raise InputError(f"{url} came damaged: its SHA-256 doesn't begin with {match[1]}; download it again")
    partial.replace(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, partial: Path) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310
    try:
        response = urlopen(request, timeout=60)  # noqa: S310
    except HTTPError as error:
        if error.code == 416 and done:  # nothing is left to send
            return
        raise
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        done = done if resumed else 0
        total = None if length is None else done + int(length)
        with (
            partial.open("ab" if resumed else "wb") as file,
            tqdm(total=total, initial=done, desc=file_name(url), unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and partial.stat().st_size != total:
        raise OSError(f"{partial.stat().st_size} of {total} bytes came")
