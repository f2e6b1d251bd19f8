"""`submission.json`, read from a stranger."""

import json

import pytest

from daam_bench.leaderboard.problems import MAX_LISTED, Problems
from daam_bench.leaderboard.submission import parse_submission, slug_of, to_json

RECORD = {
    "daam_bench": 1,
    "name": "Gradient",
    "authors": ["A. Person"],
    "link": "https://method.example/paper?id=1",
    "licence": "CC-BY-4.0",
    "description": "Looks from left to right.\nNothing else.",
    "method": "gradient",
    "parameters": {"gain": 1.0, "steps": [1, None, True]},
    "taus": [0.4, 0.3],
    "truth": "none",
    "supervised": False,
    "open_vocabulary": True,
}


def problems_of(record: object) -> list[str]:
    content = record if isinstance(record, bytes) else json.dumps(record).encode()
    problems = Problems()
    assert parse_submission(content, problems) is None
    return problems.lines()


def test_what_is_written_is_read_back(soft_members):
    problems = Problems()
    submission = parse_submission(json.dumps(RECORD).encode(), problems)
    assert submission.taus == (0.3, 0.4)
    assert parse_submission(to_json(submission).encode(), problems) == submission
    assert parse_submission(soft_members["submission.json"], problems).environment.seeds == {"bootstrap": 0}
    assert len(problems) == 0


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("daam_bench", 2, "must be 1"),
        ("daam_bench", True, "must be 1"),
        ("name", "", "must be a text"),
        ("name", "x" * 81, "has 81 characters; 80 at most"),
        ("name", "方法", "needs a letter a-z or a digit"),
        ("name", "a\x1b[2Jb", "holds the character U+001B, which no screen shows"),
        ("name", "a\u202eb", "holds the character U+202E"),
        ("name", "a\nb", "holds the character U+000A"),
        ("name", "a\ud800", "holds the character U+D800"),
        ("authors", [], "must be a list of 1 to 100 names"),
        ("authors", "A. Person", "must be a list"),
        ("authors", [3], "a name is a text"),
        ("link", "javascript:alert(1)", "must be an http or https address"),
        ("link", 'https://a.example/"onclick="x', "must be an http or https address"),
        ("link", "https://", "must be an http or https address"),
        ("link", "http://[::1", "must be an http or https address"),
        ("licence", None, "must be a text"),
        ("description", "a\x00b", "holds the character U+0000"),
        ("parameters", [], "must be an object"),
        ("parameters", {"\u2028": 1}, "holds the character U+2028"),
        ("parameters", {"a": "x" * 20_000}, "20000 at most"),
        ("taus", 0.4, "must be a list"),
        ("taus", [1.5], "a threshold is a number from 0 to 1"),
        ("taus", [True], "a threshold is a number from 0 to 1"),
        ("taus", [0.3, 0.30000000001], "holds a threshold twice"),
        ("taus", [i / 100 for i in range(21)], "at most 20 thresholds"),
        ("truth", "some", "must be one of none, thresholds, training"),
        ("truth", [], "must be one of none, thresholds, training"),
        ("supervised", 1, "must be true or false"),
        ("open_vocabulary", None, "must be true or false"),
        (
            "environment",
            {"version": 3},
            'must be null or the environment of a report.json: "environment.version"',
        ),
        ("license", "MIT", "unknown key 'license'; did you mean 'licence'?"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(field, value, expected):
    (line,) = problems_of({**RECORD, field: value})
    assert expected in line
    assert field in line


def test_everything_is_said_at_once():
    lines = problems_of({**RECORD, "name": "", "truth": "some", "taus": [7], "extra": 1})
    assert len(lines) == 4


@pytest.mark.parametrize("field", RECORD)
def test_a_missing_field_is_named(field):
    assert f'submission.json: "{field}" is missing' in problems_of(
        {key: value for key, value in RECORD.items() if key != field}
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff{}", "not JSON"),
        (b'{"a": 1, "a": 2}', "an object has a key twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e999}', "a number too large for a double"),
        (b'{"a": 1000000000000000000000000}', "a whole number too large"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not JSON"),
        (b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}", "nested more than 16 deep"),
        (b"[" * 100_000, "nested more than 16 deep"),
    ],
)
def test_what_no_two_readers_agree_on_is_refused(content, expected):
    (line,) = problems_of(content)
    assert expected in line


def test_a_flood_of_problems_is_counted_not_listed():
    problems = Problems()
    for number in range(1000):
        problems.add("file", f"{number}\x1b")
    assert len(problems) == 1000
    assert len(problems.lines()) == MAX_LISTED + 1
    assert problems.lines()[0] == r"file: 0\x1b"
    assert problems.lines()[-1] == "... and 800 more"


def test_a_slug_is_a_plain_folder_name():
    assert slug_of("../../etc/passwd") == "etc-passwd"
    assert slug_of("DAAM, τ = 0.4") == "daam-0-4"
    assert slug_of("方法") == ""
