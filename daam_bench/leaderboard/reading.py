"""Reading what others submit: bounded, through no link, and every problem gathered with its place."""

from __future__ import annotations

import errno
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from daam_bench.datasets.load import DEV
from daam_bench.files.outside import shown
from daam_bench.leaderboard import SUBMISSION, SUBMISSION_FILES
from daam_bench.types.errors import InputError, printable

# What is read, at most: bytes of a zip file, and files and folders in it; unpacked bytes a packed byte of it,
# once more than FREE_BYTES are unpacked.
MAX_ARCHIVE = 256 << 20
MAX_MEMBERS = 1000
MAX_RATIO = 250
FREE_BYTES = 4 << 20

# Bytes of a predictions file and of a file of heat maps, and of the files of one record; lines beyond one a
# pair and tau, since what they hold is a problem anyway. How long a line and how large a heat map may be is
# the same wherever they are written or read.
MAX_FILE = 512 << 20
MAX_JSON = 1 << 20
MAX_SPARE_LINES = 1000

HOSTS_RECORD = "verification.json"
HOSTS_RECORD_HELP = (
    "is no file of a submission; what hosts have verified lies apart, in leaderboard/verified; take it out"
)

DEV_HELP = (
    "is the split to choose settings on, which the leaderboard never scores; give a run over coco_gen, "
    "unreal_gen and, if you like, scenes"
)

MAX_LISTED = 200
"""Most problems that are listed; the others are counted."""

_DIRECTORY_ENTRY = b"PK\x01\x02"
_CHUNK = 1 << 20
_ENCRYPTED = 1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass
class Problems:
    """Gathers what is wrong with a submission: the first `MAX_LISTED` printable lines "PLACE: TEXT"."""

    listed: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, place: str, text: str) -> None:
        """Add a problem: where it is, the file and within it the line or the field; and how to fix it."""
        self.count += 1
        if self.count <= MAX_LISTED:
            self.listed.append(printable(f"{place}: {' '.join(text.split())}"))

    def extend(self, others: Problems, folder: str) -> None:
        """Add the problems of a folder, whose name goes before their places."""
        self.listed += [printable(f"{folder}/{line}") for line in others.listed]
        del self.listed[MAX_LISTED:]
        self.count += others.count

    def __len__(self) -> int:
        return self.count

    def lines(self) -> list[str]:
        """Write the problems for a person, one a line, and how many more there are."""
        more = self.count - len(self.listed)
        return [*self.listed, *([f"... and {more} more"] if more else [])]


def is_plain_file(path: Path) -> bool:
    """Tell whether a path is a file, and no link to one."""
    return not path.is_symlink() and path.is_file()


def check_plain_file(path: Path, limit: int) -> None:
    """Refuse an untrusted file that is a link, a folder or a device, or has more than `limit` bytes."""
    if not is_plain_file(path):
        raise InputError("is a link, a folder or a device; put the file itself there")
    if (size := path.stat().st_size) > limit:
        raise InputError(f"has {size} bytes, more than the {limit} that are read")


def read_bounded(path: Path) -> bytes:
    """Read an untrusted file of one record: no link, and at most `MAX_JSON` bytes."""
    try:
        path.lstat()
        check_plain_file(path, MAX_JSON)
        with path.open("rb") as file:
            return file.read(MAX_JSON)
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{path} {error}") from None


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """Give a submission as a folder: it itself, or a zip file's content in a temporary one.

    Raises:
        InputError: There is nothing, or it is no zip file, or one that must not be unpacked.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise InputError(f"no submission {source}; give a folder or a zip file with a {SUBMISSION}")
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as folder:
        unpack_zip(source, Path(folder))
        yield Path(folder)


def unpack_zip(archive: Path, target: Path) -> None:
    """Unpack a submission's files from an untrusted zip file into an empty folder; others are left in it.

    Raises:
        InputError: The archive is damaged or too large, or holds a link, a path out of its folder, the same
            file twice, or a file that is encrypted or packed in an unusual way. Files unpacked by then are
            left in `target`.
    """
    try:
        _check_size(archive)
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened)
            root = _root(members)
            if root / HOSTS_RECORD in members:
                raise InputError(f"{HOSTS_RECORD} {HOSTS_RECORD_HELP}")
            if any(root / DEV in path.parents for path in members):
                raise InputError(f"{DEV} {DEV_HELP}")
            left = max(FREE_BYTES, archive.stat().st_size * MAX_RATIO)
            for name in SUBMISSION_FILES:
                if (member := members.get(root / name)) is not None:
                    left -= _unpack(opened, member, target / name, left)
    except InputError as error:
        raise InputError(f"{archive}: {error}") from None
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(
                f"can't unpack {archive} to {target}: {error.strerror}; make room there"
            ) from None
        raise InputError(f"{archive} is no whole zip file ({shown(str(error))}); pack it again") from None


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
        if path.is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name:
            raise InputError(f"the path {shown(name)} leads out of the archive; pack it with plain names")
        if "\\" in name:
            raise InputError(
                f"the path {shown(name)} has backslashes, as some programs for Windows pack them; "
                "pack it with / between folders, as `daam-bench submit pack` does"
            )
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


def _root(members: Collection[PurePosixPath]) -> PurePosixPath:
    """Return where the submission begins: at the top, or in the one folder there that describes one."""
    found = sorted(path for path in members if path.name == SUBMISSION and len(path.parts) <= 2)
    at_top = [path for path in found if len(path.parts) == 1]
    if len(at_top or found) != 1:
        where = "no" if not found else "more than one"
        raise InputError(f"it holds {where} {SUBMISSION}; it belongs at the top, or in the only folder there")
    return (at_top or found)[0].parent


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, most: int) -> int:
    """Unpack a file of at most so many bytes, and return how many it has."""
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with opened.open(member) as packed, place.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > MAX_FILE:
                raise InputError(f"{shown(member.filename)} has more than the {MAX_FILE} bytes that are read")
            if size > most:
                raise InputError(f"it unpacks to more than {MAX_RATIO} times its size; give a folder instead")
            file.write(chunk)
    return size
