"""Unpacking a submission's zip file: only what a submission is made of, and within bounds."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from daam_bench.leaderboard.limits import FREE_BYTES, MAX_ARCHIVE, MAX_FILE, MAX_MEMBERS, MAX_RATIO
from daam_bench.leaderboard.untrusted import shown
from daam_bench.types.errors import InputError

_DIRECTORY_ENTRY = b"PK\x01\x02"
_CHUNK = 1 << 20
_ENCRYPTED = 1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


def unpack_zip(archive: Path, target: Path, wanted: Collection[str], marker: str) -> None:
    """Unpack the wanted files of a zip file; all others are left in it.

    Args:
        archive: The zip file, from a stranger.
        target: An empty folder.
        wanted: The files, by their path below the folder that holds `marker`.
        marker: The file that says where a submission begins: at the top, or in one folder there.

    Raises:
        InputError: The archive is damaged or too large, or holds a link, a path out of its folder, the same
            file twice, or a file that is encrypted or packed in an unusual way. Files unpacked by then are
            left in `target`.
    """
    try:
        _check_size(archive)
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened)
            root = _root(members, marker)
            budget = _Budget(archive.stat().st_size)
            for name in wanted:
                member = members.get(root / name)
                if member is not None:
                    _unpack(opened, member, target / name, budget)
    except InputError as error:
        raise InputError(f"{archive}: {error}") from None
    except _BROKEN as error:
        raise InputError(f"{archive} is no whole zip file ({shown(str(error))}); pack it again") from None


class _Budget:
    """Counts what was unpacked."""

    def __init__(self, packed: int) -> None:
        self._left = max(FREE_BYTES, packed * MAX_RATIO)

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise InputError(f"it unpacks to more than {MAX_RATIO} times its size; give a folder instead")


def _check_size(archive: Path) -> None:
    size = archive.stat().st_size
    if size > MAX_ARCHIVE:
        raise InputError(f"it has {size} bytes, more than the {MAX_ARCHIVE} that are read")
    # The reader of zip files makes an object of every entry of the directory, so they are counted first.
    entries, tail = 0, b""
    with archive.open("rb") as file:
        while chunk := file.read(_CHUNK):
            entries += (tail + chunk).count(_DIRECTORY_ENTRY)
            tail = chunk[-len(_DIRECTORY_ENTRY) + 1 :]
    if entries > MAX_MEMBERS:
        raise InputError(f"it holds more than {MAX_MEMBERS} files; pack only the submission")


def _members(opened: zipfile.ZipFile) -> dict[PurePosixPath, zipfile.ZipInfo]:
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in opened.infolist():
        name = member.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise InputError(f"the path {shown(name)} leads out of the archive; pack it with plain names")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{shown(name)} is a link or a device; pack the file itself")
        if member.is_dir():
            continue
        if member.flag_bits & _ENCRYPTED:
            raise InputError(f"{shown(name)} is encrypted; pack it without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{shown(name)} is packed in an unusual way; use deflate")
        if path in members:
            raise InputError(f"it holds {shown(name)} twice; pack it again")
        members[path] = member
    return members


def _root(members: Collection[PurePosixPath], marker: str) -> PurePosixPath:
    found = sorted(path for path in members if path.name == marker and len(path.parts) <= 2)
    at_top = [path for path in found if len(path.parts) == 1]
    if len(at_top or found) != 1:
        where = "no" if not found else "more than one"
        raise InputError(f"it holds {where} {marker}; it belongs at the top, or in the only folder there")
    return (at_top or found)[0].parent


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, budget: _Budget) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with opened.open(member) as packed, place.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > MAX_FILE:
                raise InputError(f"{shown(member.filename)} has more than the {MAX_FILE} bytes that are read")
            budget.spend(len(chunk))
            file.write(chunk)
