"""An archive that nobody vouches for leaves its folder in no way."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from daam_bench.annotate.archive import Bounds, unpack
from daam_bench.types.errors import InputError
from tests.annotate.experiments import experiments, odd_member, write_archive


def unpacked(archive: Path, bounds: Bounds | None = None) -> set[str]:
    """Unpack into a folder "out" beside the archive; return what is there afterwards."""
    target = archive.parent / "out"
    target.mkdir()
    unpack(archive, target, wanted=lambda path: path.suffix != ".pt", bounds=bounds)
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}


def error_of(archive: Path, bounds: Bounds | None = None) -> str:
    beside = set(archive.parent.iterdir())
    with pytest.raises(InputError) as caught:
        unpacked(archive, bounds)
    assert set(archive.parent.iterdir()) == beside | {archive.parent / "out"}
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wanted_files_alone_are_written(tmp_path):
    files = experiments(2)
    archive = write_archive(tmp_path / "a.tar.gz", files)
    assert unpacked(archive) == {name for name in files if not name.endswith(".pt")}
    assert (tmp_path / "out" / "output/0/prompt.txt").read_bytes() == b"a cat and two dogs"


@pytest.mark.parametrize("name", ["../up.png", "a/../../up.png", "/tmp/up.png", "..\\up.png", "a/.."])
def test_a_path_that_leads_out(tmp_path, name):
    archive = write_archive(tmp_path / "a.tar.gz", {name: b"x"})
    assert "leads out of the archive" in error_of(archive)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices(tmp_path, kind, word):
    archive = write_archive(tmp_path / "a.tar.gz", {}, (odd_member("x/cat.gt.png", kind),))
    assert f"'x/cat.gt.png' is {word}" in error_of(archive)


def test_a_file_named_twice(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"x/a.png": b"1", "x/./a.png": b"2"})
    assert "holds 'x/./a.png' twice" in error_of(archive)


def test_a_file_that_is_a_folder_too(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"x": b"1", "x/a.png": b"2"})
    assert "holds 'x/a.png' twice" in error_of(archive)


@pytest.mark.parametrize(
    ("bounds", "line"),
    [
        (Bounds(members=3), "more than 3 files"),
        (Bounds(file_bytes=10), "has 18 bytes, more than the 10"),
        (Bounds(bytes=5_000), "more than 5000 bytes"),
    ],
)
def test_more_than_the_bounds(tmp_path, bounds, line):
    assert line in error_of(write_archive(tmp_path / "a.tar.gz", experiments(2)), bounds)


def test_a_bomb(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"x/big.pt": bytes(70 << 20)})
    assert archive.stat().st_size < 1 << 20
    assert "unpacks to more than 100 times its size" in error_of(archive)


def test_a_file_that_claims_to_be_larger_than_it_is(tmp_path):
    member = tarfile.TarInfo("x/a.png")
    member.size = 1 << 40
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf() + bytes(1024)))
    assert f"has {1 << 40} bytes" in error_of(tmp_path / "a.tar.gz")
    member.size = 5_000
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.tar.gz").write_bytes(gzip.compress(member.tobuf() + bytes(1024)))
    assert "is no whole .tar.gz" in error_of(tmp_path / "b" / "b.tar.gz")


def test_a_header_that_would_fill_the_memory(tmp_path):
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf() + bytes(1 << 20)))
    assert f"a header of {1 << 32} bytes" in error_of(tmp_path / "a.tar.gz")


def test_headers_without_end(tmp_path):
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x" * 2_000})
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header * 3_000))
    assert "is no whole .tar.gz" in error_of(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("content", [b"", b"hello", gzip.compress(b"hello" * 1_000), gzip.compress(b"")])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    assert "is no whole .tar.gz" in error_of(tmp_path / "a.tar.gz")


def test_a_torn_archive(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", experiments(1))
    archive.write_bytes(archive.read_bytes()[:-20])
    assert "is no whole .tar.gz" in error_of(archive)


def test_an_archive_that_breaks_off_within_a_whole_gzip_file(tmp_path):
    plain = gzip.decompress(write_archive(tmp_path / "a.tar.gz", experiments(1)).read_bytes())
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        headers = [member.offset for member in tar][1:]
    for number, spoiled in enumerate(
        [
            *(plain[:end] for end in (headers[0], headers[1] + 100, headers[2] + 600)),
            plain[: headers[1]] + bytes([7]) * 512 + plain[headers[1] + 512 :],
            plain + b"more",
        ]
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.tar.gz").write_bytes(gzip.compress(spoiled))
        assert "is no whole .tar.gz" in error_of(tmp_path / str(number) / "a.tar.gz")


def test_a_damaged_checksum_is_noticed_behind_the_last_file(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"a.png": b"x"})
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1
    archive.write_bytes(content)
    assert "is no whole .tar.gz (CRC" in error_of(archive)


def test_an_archive_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"can't unpack .*nowhere.tar.gz: No such file"):
        unpack(tmp_path / "nowhere.tar.gz", tmp_path, wanted=lambda path: True)


def test_an_uncompressed_tar(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    assert "Not a gzipped file" in error_of(tmp_path / "a.tar.gz")
