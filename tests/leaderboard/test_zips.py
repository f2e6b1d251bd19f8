"""Zip files from others: nothing leaves the folder, nothing grows without bound."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from daam_bench.leaderboard import SUBMISSION, reading
from daam_bench.leaderboard.reading import unpack_zip
from daam_bench.types.errors import InputError
from tests.leaderboard.packed import write_zip

FILE = "coco_gen/predictions.jsonl"
MEMBERS = {SUBMISSION: b"{}", FILE: b"lines\n", "notes.txt": b"not wanted"}


def unpack(archive: Path, target: Path) -> set[str]:
    target.mkdir(exist_ok=True)
    unpack_zip(archive, target)
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}


def error(archive: Path, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(InputError) as caught:
        unpack(archive, folder / "target")
    assert not [path for path in folder.rglob("evil*") if path != archive]
    return str(caught.value)


def with_member(folder: Path, name: str, **attributes) -> Path:
    path = write_zip(folder / "submission.zip", MEMBERS)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("placeholder")
        for key, value in attributes.items():
            setattr(info, key, value)
        info.filename = name
        archive.writestr(info, b"evil")
    return path


@pytest.mark.parametrize("prefix", ["", "gradient/"])
def test_only_what_is_wanted_is_unpacked(tmp_path, prefix):
    path = write_zip(tmp_path / "a.zip", {prefix + name: content for name, content in MEMBERS.items()})
    assert unpack(path, tmp_path / "target") == {SUBMISSION, FILE}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_path_out_of_the_folder_is_refused(tmp_path, name):
    assert "leads out of the archive" in error(with_member(tmp_path, name), tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, kind):
    path = with_member(tmp_path, "link", external_attr=(kind | 0o777) << 16)
    assert "is a link or a device" in error(path, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_file_twice_is_refused(tmp_path):
    assert f"holds '{FILE}' twice" in error(with_member(tmp_path, FILE), tmp_path)
    assert f"holds './{FILE}' twice" in error(with_member(tmp_path, f"./{FILE}"), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing_is_refused(tmp_path, method):
    assert "packed in an unusual way" in error(with_member(tmp_path, "x", compress_type=method), tmp_path)


def test_a_password_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(signature) + offset
        data[at] |= 1
    path.write_bytes(data)
    assert "is encrypted; pack it without a password" in error(path, tmp_path)


def test_a_bomb_is_stopped_early(tmp_path):
    path = write_zip(tmp_path / "bomb.zip", {SUBMISSION: b"{}", FILE: bytes(64 << 20)})
    assert path.stat().st_size < 100_000
    assert "unpacks to more than 250 times its size" in error(path, tmp_path)
    assert (tmp_path / "target" / FILE).stat().st_size < 32 << 20


def test_a_bomb_that_nobody_wants_is_not_unpacked(tmp_path):
    path = write_zip(tmp_path / "a.zip", {**MEMBERS, "zeros": bytes(64 << 20)})
    assert unpack(path, tmp_path / "target") == {SUBMISSION, FILE}


def test_a_lie_about_the_size_is_no_way_around(tmp_path):
    path = write_zip(tmp_path / "a.zip", {SUBMISSION: b"{}", FILE: bytes(64 << 20)})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(InputError):
        unpack(path, tmp_path / "target")
    assert (tmp_path / "target" / FILE).stat().st_size < 32 << 20


def test_thousands_of_members_are_refused_unread(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {**MEMBERS, **{f"{number}": b"" for number in range(1000)}})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "holds more than 1000 files" in error(path, tmp_path)


def test_as_many_members_as_are_allowed_are_read_and_not_one_more(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    monkeypatch.setattr(reading, "MAX_MEMBERS", len(MEMBERS))
    # The names of the directory lie across the pieces that are read.
    monkeypatch.setattr(reading, "_CHUNK", 5)
    assert unpack(path, tmp_path / "target") == {SUBMISSION, FILE}
    monkeypatch.setattr(reading, "MAX_MEMBERS", len(MEMBERS) - 1)
    assert "holds more than 2 files" in error(path, tmp_path)


def test_an_archive_and_its_files_may_be_as_large_as_the_limits_say(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    monkeypatch.setattr(reading, "MAX_ARCHIVE", path.stat().st_size)
    monkeypatch.setattr(reading, "MAX_FILE", len(MEMBERS[FILE]))
    monkeypatch.setattr(reading, "FREE_BYTES", len(MEMBERS[FILE]) + len(MEMBERS[SUBMISSION]))
    monkeypatch.setattr(reading, "MAX_RATIO", 0)
    assert unpack(path, tmp_path / "target") == {SUBMISSION, FILE}
    monkeypatch.setattr(reading, "FREE_BYTES", len(MEMBERS[FILE]) + len(MEMBERS[SUBMISSION]) - 1)
    assert "unpacks to more than 0 times its size" in error(path, tmp_path / "ratio")
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MAX_FILE", len(MEMBERS[FILE]) - 1)
    assert f"'{FILE}' has more than the 5 bytes that are read" in error(path, tmp_path / "file")


def test_the_ratio_holds_over_all_files_together(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {SUBMISSION: bytes(5000), FILE: bytes(5000)})
    monkeypatch.setattr(reading, "FREE_BYTES", 9_999)
    monkeypatch.setattr(reading, "MAX_RATIO", 1)
    assert "unpacks to more than" in error(path, tmp_path)


def test_a_submission_at_the_top_goes_before_one_in_a_folder(tmp_path):
    members = {SUBMISSION: b"{}", f"old/{SUBMISSION}": b"[]"}
    assert unpack(write_zip(tmp_path / "a.zip", members), tmp_path / "target") == {SUBMISSION}
    assert (tmp_path / "target" / SUBMISSION).read_bytes() == b"{}"


def test_a_large_archive_is_refused_unread(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    monkeypatch.setattr(reading, "MAX_ARCHIVE", 10)
    assert "more than the 10 that are read" in error(path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6" + bytes(18), b"{}" * 1000])
def test_what_is_no_zip_file(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    message = error(path, tmp_path)
    assert str(path) in message
    assert "\n" not in message


def test_a_torn_zip_file(tmp_path):
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    for size in range(0, path.stat().st_size, 7):
        torn = tmp_path / "torn.zip"
        torn.write_bytes(path.read_bytes()[:size])
        assert str(torn) in error(torn, tmp_path)


@pytest.mark.parametrize(
    "names", [["notes.txt"], ["a/submission.json", "b/submission.json"], ["a/b/submission.json"]]
)
def test_where_a_submission_begins_must_be_plain(tmp_path, names):
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(names, b"{}"))
    assert "submission.json; it belongs at the top" in error(path, tmp_path)
