"""Replacing a file or a folder: whatever fails at whatever call, the old one or the new one is there."""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest

from daam_bench.files import folders
from daam_bench.files.folders import put_all_right, put_right, replacing_folder
from daam_bench.files.replacing import replacing_file, write_text
from daam_bench.types.errors import InputError
from tests.files.injections import Injection, fail, inject, interrupt, no_exchange

OLD = {"data": "old", "LICENCE": "ours"}
NEW = {"data": "new", "more": "new", "LICENCE": "ours"}


def write(folder: Path) -> None:
    with replacing_folder(folder, keep=lambda name: name == "LICENCE") as fresh:
        (fresh / "data").write_text("new")
        (fresh / "more").write_text("new")


def start(top: Path) -> Path:
    shutil.rmtree(top, ignore_errors=True)
    (top / "set").mkdir(parents=True)
    for name, text in OLD.items():
        (top / "set" / name).write_text(text)
    return top / "set"


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(folders, "_exchange", no_exchange)
    return request.param


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", [fail, interrupt])
def test_a_failure_or_an_interrupt_at_any_call_leaves_the_old_or_the_new_folder(
    act, after, way, monkeypatch, tmp_path
):
    for at in range(1, 1000):
        folder = start(tmp_path / "top")
        injection = Injection(act, at, after=after)
        with suppress(OSError, KeyboardInterrupt):
            inject(monkeypatch, injection, partial(write, folder))
        put_right(folder)
        assert contents(folder) in (OLD, NEW), f"call {at}"
        assert names(folder.parent) == ["set"], f"call {at}"
        if injection.count < at:
            break
    assert contents(folder) == NEW
    assert at > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_what_a_kill_at_any_call_leaves_is_put_right_by_the_next_one(after, way, monkeypatch, tmp_path):
    for at in range(1, 1000):
        folder = start(tmp_path / "top")
        child = os.fork()
        if child == 0:
            inject(monkeypatch, Injection(lambda: os._exit(9), at, after=after), partial(write, folder))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if way == "exchange":
            assert contents(folder) in (OLD, NEW), f"call {at}"
        put_right(folder)
        assert contents(folder) in (OLD, NEW), f"call {at}"
        assert names(folder.parent) == ["set"], f"call {at}"
        if status == 0:
            break
    assert contents(folder) == NEW
    assert at > 20


def test_the_next_write_puts_right_what_a_kill_left(tmp_path):
    folder = start(tmp_path / "top")
    scratch = tmp_path / "top" / ".set.abcdefgh.replacing"
    scratch.mkdir()
    folder.rename(scratch / "old")
    with replacing_folder(folder) as fresh:
        assert contents(folder) == OLD
        (fresh / "data").write_text("new")
    assert contents(folder) == {"data": "new"}
    assert names(tmp_path / "top") == ["set"]


def test_all_that_a_kill_left_in_a_folder_is_put_right(tmp_path):
    for name in ("one", "two.three"):
        (tmp_path / f".{name}.abcdefgh.replacing" / "old").mkdir(parents=True)
    (tmp_path / "...abcdefgh.replacing").touch()
    put_all_right(tmp_path)
    assert names(tmp_path) == ["...abcdefgh.replacing", "one", "two.three"]
    put_all_right(tmp_path / "no folder")


def test_the_scratch_of_a_process_at_work_and_of_another_folder_stay(tmp_path):
    folder = start(tmp_path / "top")
    other = tmp_path / "top" / ".set.b.abcdefgh.replacing"
    other.mkdir()
    with replacing_folder(folder) as fresh:
        put_right(folder)
        assert fresh.is_dir()
    assert other.is_dir()


def test_a_link_to_the_folder_stays_one(tmp_path):
    folder = start(tmp_path / "top")
    (tmp_path / "link").symlink_to(folder)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert contents(folder) == NEW


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", [fail, interrupt])
def test_a_file_is_the_old_or_the_new_one(act, after, monkeypatch, tmp_path):
    file = tmp_path / "file"

    def write_file() -> None:
        with replacing_file(file) as place:
            place.write_text("new")

    for at in range(1, 100):
        file.write_text("old")
        injection = Injection(act, at, after=after)
        with suppress(OSError, KeyboardInterrupt):
            inject(monkeypatch, injection, write_file)
        assert file.read_text() in ("old", "new")
        if injection.count < at:
            break
    assert file.read_text() == "new"
    assert names(tmp_path) == ["file"]


def test_what_is_replaced_is_on_the_disk_before_and_after(monkeypatch, tmp_path):
    """A crash of the machine may neither show a new name with old bytes nor lose the name."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_replace(one: str, other: str) -> None:
        steps.append("replace")
        replace(one, other)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("looks up the names of open files in /proc")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with replacing_file(tmp_path / "file") as place:
        place.write_text("new")
    assert steps == [f"fsync {place.name}", "replace", f"fsync {tmp_path.name}"]


def test_two_processes_that_write_one_file_leave_one_of_the_two(tmp_path):
    code = (
        "import sys; from pathlib import Path; from daam_bench.files.replacing import replacing_file\n"
        "with replacing_file(Path(sys.argv[1])) as place:\n"
        "    place.write_text(sys.argv[2]); print(place, flush=True); sys.stdin.readline()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    one, two = (
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "file"), text], **pipes)
        for text in ("one", "two")
    )
    # Both write at the same time, and each what it was told to.
    places = [Path(process.stdout.readline().strip()) for process in (one, two)]
    assert [place.read_text() for place in places] == ["one", "two"]
    for process, text in ((two, "two"), (one, "one")):
        process.communicate("\n")
        assert process.returncode == 0
        assert (tmp_path / "file").read_text() == text
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_a_killed_process_left_of_a_file_is_taken_away(tmp_path):
    killed = os.fork()
    if not killed:
        with replacing_file(tmp_path / "[file]*") as place:
            place.write_text("half")
            os._exit(1)
    os.waitpid(killed, 0)
    assert len(names(tmp_path)) == 1
    with replacing_file(tmp_path / "[file]*") as place:
        place.write_text("new")
    assert names(tmp_path) == ["[file]*"]


def test_a_disk_that_fails_to_write_is_an_error_but_a_folder_that_can_not_be_synced_is_none(
    monkeypatch, tmp_path
):
    for number, fails in ((errno.EIO, True), (errno.EINVAL, False)):

        def fsync(descriptor, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)
        with (
            pytest.raises(OSError, match="error") if fails else nullcontext(),
            replacing_file(tmp_path / "file") as place,
        ):
            place.write_text("new")
        assert (tmp_path / "file").exists() != fails


def test_a_failed_exchange_says_why(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError):
        folders._exchange(tmp_path / "one", tmp_path / "gone")


def test_folders_above_are_made_and_without_them_nothing_is_to_be_put_right(tmp_path):
    put_right(tmp_path / "a" / "b" / "folder")
    with replacing_folder(tmp_path / "a" / "b" / "folder") as fresh:
        (fresh / "x").touch()
    assert names(tmp_path / "a" / "b") == ["folder"]


def test_a_place_that_can_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"^can't write {tmp_path}/file/x: .*; give another --output"):
        write_text(tmp_path / "file" / "x", "text")
