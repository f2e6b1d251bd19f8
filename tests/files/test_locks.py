"""One process at a time in an output folder, and no lock that outlives its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daam_bench.files.locks import locked
from daam_bench.types.errors import InputError

HOLD = (
    "import sys, time; from pathlib import Path; from daam_bench.files.locks import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "out"`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path, holder):
    with (
        pytest.raises(InputError, match=f"is in use by process {holder.pid} on .*; wait"),
        locked(tmp_path / "out"),
    ):
        pytest.fail("both hold the lock")


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs a list of the open files")
def test_a_refusal_leaves_no_file_open(tmp_path, holder):
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(InputError), locked(tmp_path / "out"):
            pytest.fail("both hold the lock")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_the_lock_of_a_killed_process_is_in_nobodys_way(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "out" / ".lock").exists()
    with locked(tmp_path / "out"):
        assert f"process {os.getpid()} " in (tmp_path / "out" / ".lock").read_text()


def test_one_process_does_not_get_it_twice(tmp_path):
    with locked(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} "), locked(tmp_path):
        pytest.fail("held twice")


def test_nothing_is_left_behind(tmp_path):
    with locked(tmp_path / "new" / "out"):
        pass
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "new" / "out"):
        (tmp_path / "new" / "out" / "report.json").touch()
    assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == ["report.json"]


def test_a_lock_file_that_was_deleted_meanwhile_is_made_again(tmp_path, monkeypatch):
    from daam_bench.files import locks

    lock, calls = locks._lock, []

    def deleted_before_the_first_lock(file):
        calls.append(file)
        if len(calls) == 1:
            (tmp_path / ".lock").unlink()
        lock(file)

    monkeypatch.setattr(locks, "_lock", deleted_before_the_first_lock)
    with locked(tmp_path):
        assert len(calls) == 2
        assert (tmp_path / ".lock").exists()


def test_a_disk_without_room_for_the_lock_is_left_as_it_was(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with (
        pytest.raises(InputError, match=r"can't write .*No space left"),
        locked(tmp_path / "new" / "out"),
    ):
        pytest.fail("held")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match=r"can't write .*give another --output"), locked(folder):
            pytest.fail("held")
