"""`submission.json`, untrusted."""

import json
import shutil
from dataclasses import replace

import pytest

from daam_bench.leaderboard.names import slug_of
from daam_bench.leaderboard.packing import describe_run
from daam_bench.leaderboard.reading import MAX_LISTED, Problems
from daam_bench.leaderboard.submission import Claims, parse_submission, submission_to_json
from daam_bench.scoring.saved_report import read_report

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

ENVIRONMENT = {
    "version": "0.1.0",
    "commit": None,
    "dirty": None,
    "python": "3.11.0",
    "libraries": {},
    "platform": "Linux",
}


def problems_of(record: object) -> list[str]:
    content = record if isinstance(record, bytes) else json.dumps(record).encode()
    problems = Problems()
    submission, _ = parse_submission(content, problems)
    assert submission is None
    return problems.lines()


def test_what_is_written_is_read_back(soft_members):
    problems = Problems()
    submission, claims = parse_submission(json.dumps(RECORD).encode(), problems)
    assert submission.taus == (0.3, 0.4)
    assert claims == Claims(method="gradient", parameters=RECORD["parameters"], taus=(0.3, 0.4))
    assert parse_submission(submission_to_json(submission).encode(), problems) == (submission, claims)
    packed, _ = parse_submission(soft_members["submission.json"], problems)
    assert packed.environment.seeds == {"bootstrap": 0}
    assert len(problems) == 0


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("daam_bench", 2, "must be 1"),
        ("daam_bench", True, "must be 1"),
        ("name", "", "must not be empty"),
        ("name", "x" * 81, "should have at most 80 characters"),
        ("name", "方法", "needs a letter a-z or a digit"),
        ("name", "a\x1b[2Jb", "holds the character U+001B, which no screen shows"),
        ("name", "a\u202eb", "holds the character U+202E"),
        ("name", "a\nb", "holds the character U+000A"),
        ("name", "a\ud800", "holds the character U+D800"),
        ("authors", [], "must not be empty"),
        ("authors", "A. Person", "should be a valid array, not 'A. Person'"),
        ("authors", ["a", 3], '"authors[1]": input should be a valid string, not 3'),
        ("authors", ["a"] * 101, "at most 100 items"),
        ("link", "javascript:alert(1)", "must be an http or https address"),
        ("link", 'https://a.example/"onclick="x', "must be an http or https address"),
        ("link", "https://", "must be an http or https address"),
        ("link", "http://[::1", "must be an http or https address"),
        ("licence", " ", "must not be empty"),
        ("licence", None, "should be a valid string, not None"),
        ("description", "a\x00b", "holds the character U+0000"),
        ("parameters", [], "should be an object, not []"),
        ("parameters", {"\u2028": 1}, "holds the character U+2028"),
        ("parameters", {"a": "x" * 20_000}, "20000 at most"),
        ("taus", 0.4, "should be a valid array, not 0.4"),
        ("taus", [1.5], '"taus[0]": input should be less than or equal to 1, not 1.5'),
        ("taus", [0.3, True], '"taus[1]": input should be a valid number, not True'),
        ("taus", [0.3, 0.30000000001], "holds a threshold twice"),
        ("taus", [i / 100 for i in range(21)], "at most 20 items"),
        ("truth", "some", "should be 'none', 'thresholds' or 'training', not 'some'"),
        ("truth", [], "should be 'none', 'thresholds' or 'training', not []"),
        ("supervised", 1, "should be a valid boolean, not 1"),
        ("open_vocabulary", None, "should be a valid boolean, not None"),
        (
            "environment",
            {**ENVIRONMENT, "version": 3},
            '"environment.version": input should be a valid string',
        ),
        ("environment", {**ENVIRONMENT, "libraries": {"a": "x" * 20_000}}, "20000 at most"),
        ("environment", [], "environment"),
        ("license", "MIT", "unknown key 'license'; did you mean 'licence'?"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(field, value, expected):
    (line,) = problems_of({**RECORD, field: value})
    assert expected in line
    assert field in line


def test_everything_is_said_at_once():
    record = {
        **RECORD,
        "name": "",
        "truth": "some",
        "taus": [7, 8],
        "extra": 1,
        "environment": {"version": 3},
    }
    places = [line.split(": ")[0] for line in problems_of(record)]
    assert places == [
        "submission.json",
        'submission.json, "name"',
        'submission.json, "taus[0]"',
        'submission.json, "taus[1]"',
        'submission.json, "truth"',
        *(f'submission.json, "environment.{name}"' for name in ENVIRONMENT),
    ]


def test_what_is_right_is_claimed_whatever_is_wrong_beside_it():
    record = {**RECORD, "name": "", "taus": [7]}
    _, claims = parse_submission(json.dumps(record).encode(), Problems())
    assert claims == Claims(method="gradient", parameters=RECORD["parameters"], taus=None)


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


SAID = {
    "name": "Gradient",
    "authors": ("A. Person",),
    "link": None,
    "licence": "CC-BY-4.0",
    "description": "Looks.",
    "truth": "none",
    "supervised": False,
    "open_vocabulary": True,
}


def test_a_run_is_described_by_its_own_files(soft_run, hard_run):
    soft, hard = describe_run(soft_run, **SAID), describe_run(hard_run, **SAID)
    assert (soft.method, dict(soft.parameters), soft.taus) == ("gradient", {"gain": 1.0}, (0.3, 0.4))
    assert soft.environment == read_report(soft_run / "report.json").environment
    assert hard.taus == ()


@pytest.mark.parametrize("other", [{"method": "other"}, {"parameters": {"gain": 2.0}}])
def test_the_report_of_another_run_says_nothing_of_this_one(soft_run, tmp_path, other):
    run = shutil.copytree(soft_run, tmp_path / "run")
    (run / "report.json").write_text(json.dumps(json.loads((run / "report.json").read_text()) | other))
    assert describe_run(run, **SAID).environment is None
    (run / "report.json").unlink()
    assert describe_run(run, **SAID).environment is None


def test_problems_of_folders_are_gathered_under_their_names_up_to_the_most():
    folder, problems = Problems(), Problems()
    for number in range(MAX_LISTED + 3):
        folder.add("file", str(number))
    problems.add("first", "is wrong")
    problems.extend(folder, "entry")
    assert problems.lines()[:2] == ["first: is wrong", "entry/file: 0"]
    assert len(problems) == MAX_LISTED + 4
    assert problems.lines()[MAX_LISTED:] == ["... and 4 more"]


def test_as_many_problems_as_are_listed_need_no_count():
    problems = Problems()
    for number in range(MAX_LISTED):
        problems.add("file", str(number))
    assert len(problems.lines()) == MAX_LISTED


def test_masks_that_a_choice_was_made_on_put_a_method_in_the_track_of_the_tuned():
    submission, _ = parse_submission(json.dumps({**RECORD, "track": "generator"}).encode(), Problems())
    assert (submission.truth, submission.listed_track) == ("none", "generator")
    assert replace(submission, tuned_on="coco_gen").listed_track == "tuned on masks"
    assert replace(submission, truth="training").listed_track == "tuned on masks"
