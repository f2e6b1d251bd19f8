"""One reader of JSON lines, asked in two ways: to stop at the first problem, or to list them all."""

import dataclasses
import json
import logging
from pathlib import Path

import pytest

from daam_bench.files import json_lines
from daam_bench.files.json_lines import LinesWriter, check_lines, read_lines
from daam_bench.types.errors import InputError
from tests.scoring.tiny_split import HEADER

WRONG = [b"[1]", b"nonsense", b"\xff", b"{", b"1" * 5000, b"[" * 100_000]


@pytest.fixture
def path(tmp_path):
    with LinesWriter(tmp_path / "lines", HEADER) as writer:
        writer.write([{"id": "a"}, {"id": "b"}])
    return tmp_path / "lines"


def listed(path, *, most=1000, longest=1000):
    """Return the numbers of the lines that are right, and the problems."""
    problems = []
    lines = check_lines(path, lambda *problem: problems.append(problem), most=most, longest=longest)
    return [line.number for line in lines], problems


def test_both_ways_give_the_same_lines(path):
    header, lines = read_lines(path)
    read = list(lines)
    assert header == HEADER
    assert [line.record for line in read] == [{"id": "a"}, {"id": "b"}]
    assert [line.number for line in read] == [2, 3]
    checked = list(check_lines(path, pytest.fail, most=10, longest=1000))
    assert checked[1:] == read
    assert checked[0].record["fingerprint"] == HEADER.fingerprint
    assert sum(line.size for line in checked) == path.stat().st_size


@pytest.mark.parametrize("wrong", WRONG)
def test_a_run_stops_at_the_first_problem_and_a_check_lists_them_all(path, wrong):
    path.write_bytes(path.read_bytes() + wrong + b"\n" + b'{"id": "c"}\n' + wrong + b"\n")
    _, lines = read_lines(path)
    read = []
    with pytest.raises(InputError, match=f"^{path}, line 4: not") as caught:
        read += lines
    assert "\n" not in str(caught.value)
    numbers, problems = listed(path, longest=200_000)
    assert numbers == [1, 2, 3, 5]
    assert [number for number, _ in problems] == [4, 6]
    assert all(text.startswith("not ") for _, text in problems)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1, "a": 2}', "an object has a key twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e999}', "a number too large for a double"),
        (b'{"a": 9007199254740993}', "a whole number too large for a double"),
        (b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}", "nested more than 16 deep"),
    ],
)
def test_what_readers_of_json_disagree_on_is_a_problem_in_an_untrusted_file(path, line, problem):
    path.write_bytes(path.read_bytes() + line + b"\n")
    ((number, text),) = listed(path)[1]
    assert number == 4
    assert problem in text


def test_a_torn_last_line_is_dropped_by_a_run_and_a_problem_to_a_check(path, caplog):
    path.write_bytes(path.read_bytes()[:-3])
    with caplog.at_level(logging.WARNING):
        assert [line.number for line in read_lines(path)[1]] == [2]
    assert "line 3: dropped a torn last line" in caplog.text
    assert listed(path)[1][0][0] == 3


def test_a_line_that_is_too_long_is_the_last_that_is_read(path):
    path.write_bytes(path.read_bytes() + b" " * 1001 + b"\n" + b'{"id": "c"}\n')
    assert listed(path) == ([1, 2, 3], [(4, "has more than the 1000 bytes that are read; read no further")])
    path.write_bytes(path.read_bytes().replace(b" " * 1001, b"{}" + b" " * 997))
    assert listed(path) == ([1, 2, 3, 4, 5], [])


def test_a_run_does_not_read_a_line_without_end_into_memory(path, monkeypatch):
    monkeypatch.setitem(json_lines._iterate.__kwdefaults__, "longest", 500)
    path.write_bytes(path.read_bytes() + b" " * 501 + b"\n")
    with pytest.raises(InputError, match="line 4: has more than the 500 bytes"):
        list(read_lines(path)[1])


def test_the_last_line_that_is_read_may_be_too_long(path):
    path.write_bytes(path.read_bytes() + b" " * 1001 + b"\n")
    (problem,) = listed(path, most=4)[1]
    assert problem == (4, "has more than the 1000 bytes that are read; read no further")


def test_lines_beyond_the_most_are_not_read(path):
    assert listed(path, most=2) == (
        [1, 2],
        [(3, "has more than the 2 lines that are read; read no further")],
    )
    assert listed(path, most=3) == ([1, 2, 3], [])


def test_a_resumed_file_shows_what_it_holds_and_goes_on_after_it(path):
    path.write_bytes(path.read_bytes() + b'{"id": "torn')
    seen = []
    with LinesWriter(path, HEADER, existing=seen.extend) as writer:
        writer.write([{"id": "c"}])
    assert [line.record["id"] for line in seen] == ["a", "b"]
    assert [line.record["id"] for line in read_lines(path)[1]] == ["a", "b", "c"]


def test_a_resumed_file_keeps_lines_that_nobody_looks_at(path):
    whole = path.read_bytes()
    with LinesWriter(path, HEADER, existing=next):
        pass
    assert path.read_bytes() == whole
    with LinesWriter(path, HEADER) as writer:
        writer.write([{"id": "c"}])
    assert path.read_bytes() == whole + b'{"id":"c"}\n'


def test_a_last_line_without_its_line_break_is_done_again(path):
    path.write_bytes(path.read_bytes()[:-1])
    seen = []
    with LinesWriter(path, HEADER, existing=seen.extend) as writer:
        writer.write([{"id": "c"}])
    assert [line.record["id"] for line in seen] == ["a"]
    assert [line.record["id"] for line in read_lines(path)[1]] == ["a", "c"]


def test_a_malformed_line_stops_a_resumed_run_and_leaves_the_file(path):
    damaged = path.read_bytes() + b"nonsense\n{}\n"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="line 4: not JSON"):
        LinesWriter(path, HEADER)
    assert path.read_bytes() == damaged


def test_a_header_of_tuples_is_the_same_after_reading(tmp_path):
    header = type(HEADER)("m", {"sizes": (1, 2)}, "d", "s", "f")
    LinesWriter(tmp_path / "lines", header).close()
    LinesWriter(tmp_path / "lines", header).close()
    assert json.loads((tmp_path / "lines").read_bytes())["parameters"] == {"sizes": [1, 2]}


@pytest.mark.parametrize(("version", "help_text"), [(1, "make it again"), (3, "upgrade daam-bench")])
def test_a_file_of_another_format_is_made_again_or_read_by_a_newer_version(path, version, help_text):
    path.write_bytes(path.read_bytes().replace(b'"daam_bench":2', f'"daam_bench":{version}'.encode()))
    with pytest.raises(InputError, match=f"line 1: format {version}, not the 2 that is read; {help_text}"):
        read_lines(path)


def test_a_writer_is_closed_at_the_end_of_its_block(path):
    with LinesWriter(path, HEADER) as writer:
        pass
    with pytest.raises(ValueError, match="closed file"):
        writer.write([{"id": "c"}])


def test_closing_twice_is_closing_once(path):
    writer = LinesWriter(path, HEADER)
    writer.close()
    writer.close()
    assert [line.record["id"] for line in read_lines(path)[1]] == ["a", "b"]


def test_another_header_without_lines_is_overwritten(path):
    header = dataclasses.replace(HEADER, parameters={"steps": 1, "dtype": "a long name that was mistyped"})
    for start in (b"", b'{"id": "torn'):
        path.unlink()
        LinesWriter(path, header).close()
        with path.open("ab") as file:
            file.write(start)
        with LinesWriter(path, HEADER) as writer:
            writer.write([{"id": "c"}])
        found, lines = read_lines(path)
        assert found == HEADER
        assert [line.record["id"] for line in lines] == ["c"]


def test_a_dataset_of_the_same_fingerprint_may_be_spelled_otherwise(path):
    before = path.read_bytes()
    other = dataclasses.replace(HEADER, dataset=f"./{HEADER.dataset}/")
    with LinesWriter(path, other) as writer:
        assert writer.header == HEADER
    assert path.read_bytes() == before
    # Without a fingerprint nothing says that it is the same.
    nameless = dataclasses.replace(HEADER, fingerprint="")
    with LinesWriter(path, nameless, restart=True) as writer:
        writer.write([{"id": "a"}])
    with pytest.raises(InputError, match="was made with dataset"):
        LinesWriter(path, dataclasses.replace(nameless, dataset="elsewhere"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_with_the_name_of_the_file():
    with pytest.raises(InputError, match="can't write /dev/full: No space left on device; what was written"):
        LinesWriter("/dev/full", HEADER, restart=True)
