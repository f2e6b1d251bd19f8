"""Unpacking archives that nobody vouches for: within one folder, and within bounds."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path, PurePosixPath

from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold at most.

    Attributes:
        members: Files and folders.
        file_bytes: Bytes of an unpacked file.
        bytes: Bytes of everything in it, unpacked, whether it is kept or not.
        ratio: Unpacked bytes a packed byte, once more than `free_bytes` are unpacked.
        free_bytes: Bytes that may be unpacked at any ratio.
    """

    members: int = 1_000_000
    file_bytes: int = 64 << 20
    bytes: int = 16 << 30
    ratio: int = 100
    free_bytes: int = 64 << 20


_HEADER_BYTES = 1 << 16
_GLOBAL_HEADERS = 100
_BLOCK = 512
_CHUNK = 1 << 20
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


def unpack(
    archive: Path, target: Path, *, wanted: Callable[[PurePosixPath], bool], bounds: Bounds | None = None
) -> None:
    """Unpack the wanted files of a .tar.gz into a folder; the others are never written.

    Only regular files are written, and only below `target`: a link, a device, an absolute path or one with
    ".." makes the whole archive an error.

    Args:
        archive: The archive; nobody need vouch for it.
        target: An empty folder.
        wanted: Tells by a file's path in the archive whether it is unpacked.
        bounds: What the archive may hold at most.

    Raises:
        InputError: The archive can't be read, is torn, holds what it must not, or more than `bounds`. Files
            unpacked by then are left in `target`.
    """
    bounds = bounds or Bounds()
    try:
        packed = archive.stat().st_size
        with gzip.open(archive) as stream:
            _unpack(_Bounded(stream, packed, bounds), target, wanted, bounds)
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise InputError(f"{archive}: {error}") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{archive} is no whole .tar.gz ({reason:.120}); pack or download it again"
        ) from error
    except OSError as error:
        raise InputError(f"can't unpack {archive}: {error.strerror or error}") from error


class _TarInfo(tarfile.TarInfo):
    """A member whose extended headers, which are read as a whole, are bounded."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        member = super().frombuf(buf, encoding, errors)
        if member.type in (*_EXTENDED, *_LONG_NAMES) and not 0 <= member.size <= _HEADER_BYTES:
            raise InputError(f"a header of {member.size} bytes; the archive is damaged or a trap")
        return member


class _Bounded(RawIOBase):
    """An unpacking stream that raises an error once it has given too much; `last` is what it gave last."""

    def __init__(self, stream: gzip.GzipFile, packed: int, bounds: Bounds) -> None:
        self._stream, self._packed, self._bounds = stream, packed, bounds
        self._given = 0
        self.last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._given += len(data)
        self.last = data
        if self._given > self._bounds.bytes:
            raise InputError(f"it unpacks to more than {self._bounds.bytes} bytes; import it in parts")
        free, ratio = self._bounds.free_bytes, self._bounds.ratio
        if self._given > free and self._given > ratio * self._packed:
            raise InputError(
                f"it unpacks to more than {ratio} times its size, as a trap would; unpack it yourself "
                "and import the folder"
            )
        return data


def _unpack(stream: _Bounded, target: Path, wanted: Callable[[PurePosixPath], bool], bounds: Bounds) -> None:
    count = 0
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK, tarinfo=_TarInfo) as tar:
        while (member := tar.next()) is not None:
            count += 1
            if count > bounds.members:
                raise InputError(f"it holds more than {bounds.members} files; import it in parts")
            if len(tar.pax_headers) > _GLOBAL_HEADERS:
                raise InputError("too many global headers; the archive is damaged or a trap")
            tar.members = []  # type: ignore[attr-defined]  # it would keep every member it has met
            path = _safe_path(member.name)
            if member.isdir():
                continue
            if not member.isreg() or member.sparse is not None:
                raise InputError(
                    f"{_shown(member.name)} is {_kind(member)}, which such an archive has no need of; "
                    "pack it without"
                )
            if wanted(path):
                _write(tar, member, target / path, bounds)
    # A damaged header looks like the end to `tarfile`; the true end is a block of zeros, and zeros follow it.
    if len(stream.last) != _BLOCK or any(stream.last):
        raise tarfile.ReadError("it breaks off in the middle")
    while data := stream.read(_CHUNK):  # to the end, where the checksum stands
        if data.strip(b"\0"):
            raise tarfile.ReadError("it goes on behind its end")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path, bounds: Bounds) -> None:
    if not 0 <= member.size <= bounds.file_bytes:
        raise InputError(
            f"{_shown(member.name)} has {member.size} bytes, more than the {bounds.file_bytes} that are read"
        )
    source = tar.extractfile(member)
    data = b"" if source is None else source.read()
    if len(data) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            file.write(data)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"it holds {_shown(member.name)} twice; pack it again") from None


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise InputError(f"the path {_shown(name)} leads out of the archive; pack it with plain names")
    return path


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "a link"
    return "a sparse file" if member.sparse is not None else "a device or the like"


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")
