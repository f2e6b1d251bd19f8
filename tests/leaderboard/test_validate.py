"""What is wrong with a submission's files is said: all of it, each with its place."""

import base64
import json
import zlib

import numpy as np
import pytest

from daam_bench.leaderboard import checking, reading
from daam_bench.leaderboard.checking import validate
from daam_bench.leaderboard.reading import Problems, read_bounded
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, encode
from tests.leaderboard.packed import edited, write_folder

FILE = "coco_gen/predictions.jsonl"
MAPS = "coco_gen/heat_maps.jsonl"


def lines_for(members, splits, folder) -> list[str]:
    problems = Problems()
    checked = validate(write_folder(folder, members), splits, problems)
    assert (checked is None) == bool(len(problems))
    return problems.lines()


@pytest.fixture
def said(soft_members, tiny_splits, tmp_path):
    """What is said of the soft submission with one line of one file edited."""

    def said(file, line, edit):
        return lines_for(
            {**soft_members, file: edited(soft_members[file], line, edit)}, tiny_splits, tmp_path
        )

    return said


def setting(**values):
    return lambda record: record.update(values)


def test_nothing_is_wrong_with_what_was_packed(soft_members, hard_members, tiny_splits, tmp_path):
    assert lines_for(soft_members, tiny_splits, tmp_path / "soft") == []
    assert lines_for(hard_members, tiny_splits, tmp_path / "hard") == []


def test_a_whole_run_folder_with_a_submission_json_is_a_submission(
    soft_run, soft_members, tiny_splits, tmp_path
):
    files = {path.relative_to(soft_run).as_posix(): path for path in soft_run.rglob("*") if path.is_file()}
    members = {name: path.read_bytes() for name, path in files.items()}
    members["submission.json"] = soft_members["submission.json"]
    assert lines_for(members, tiny_splits, tmp_path) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"id": "coco-9"}, "coco_gen has no example with the id 'coco-9'"),
        ({"id": 3}, '"id" must be a string'),
        ({"noun": 2}, "noun 2 of an example that has 2"),
        ({"noun": -1}, '"noun" must be the index of a noun'),
        ({"noun": True}, '"noun" must be the index of a noun'),
        ({"tau": 0.35}, "tau 0.35 is not among those of submission.json: 0.3, 0.4"),
        ({"tau": 0.30000000000000004}, "tau 0.30000000000000004 is not among"),
        ({"tau": None}, "tau null is not among those of submission.json"),
        ({"tau": 1.5}, '"tau" must be null or a number from 0 to 1, not 1.5'),
        ({"mask": []}, '"mask" must be an object'),
        ({"mask": {"size": [32, 31], "counts": "P1"}}, "[32, 31] for an image of [32, 32]"),
        ({"mask": {"size": [True, 1024], "counts": "PP1"}}, "for an image of [32, 32]"),
        ({"mask": {"size": [32, 32], "counts": "PPP1"}}, "do not add up"),
        ({"mask": {"size": [32, 32], "counts": "P"}}, "not COCO's compressed RLE"),
        ({"mask": {"size": [32, 32], "counts": "0" * 9999}}, "longer than those of any mask of this size"),
        ({"mask": {"size": [32, 32], "counts": ""}}, "not COCO's compressed RLE"),
    ],
)
def test_a_wrong_line_is_named_and_leaves_its_pair_missing(said, values, expected):
    wrong, missing = said(FILE, 4, setting(**values))
    assert wrong.startswith(f"{FILE}, line 4")
    assert expected in wrong
    assert missing == f"{FILE}: no prediction of id 'coco-0', noun 1 at tau 0.3"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"fingerprint": "0" * 64}, "it was made on other content"),
        ({"split": "unreal_gen"}, "\"split\" is 'unreal_gen', not 'coco_gen'"),
        ({"dataset": "emoji"}, "\"dataset\" is 'emoji', not 'tiny'"),
        ({"method": "other"}, "as submission.json says; one of the two is wrong"),
        ({"parameters": {"gain": True}}, "as submission.json says; one of the two is wrong"),
        ({"daam_bench": 1}, '"daam_bench" is 1, not 2'),
    ],
)
def test_a_wrong_header_is_named(said, values, expected):
    for file in (FILE, MAPS):
        (line,) = said(file, 1, setting(**values))
        assert line.startswith(f"{file}, line 1: the header's ")
        assert expected in line


@pytest.mark.parametrize(
    ("claimed", "found"),
    [
        ({"sizes": [1, 2]}, {"sizes": [1, 3]}),
        ({"sizes": [1, 2]}, {"sizes": [1]}),
        ({"sizes": [1, 2]}, {"sizes": {"0": 1, "1": 2}}),
        ({"sizes": [1, True]}, {"sizes": [1, 1]}),
        ({"sizes": {"a": 1}}, {"sizes": {"a": 1, "b": 2}}),
        ({"sizes": {"a": 1}}, {"sizes": {"b": 1}}),
        ({"sizes": {"a": 1}}, {"sizes": 1}),
        ({"sizes": None}, {"sizes": False}),
    ],
)
def test_parameters_are_the_same_down_to_their_last_value(
    soft_members, tiny_splits, tmp_path, claimed, found
):
    names = [name for name in soft_members if name != "submission.json"]

    def with_parameters(parameters):
        members = {
            name: edited(soft_members[name], 1, lambda head: head.update(parameters=parameters))
            for name in names
        }
        return {
            **members,
            "submission.json": edited_json(soft_members["submission.json"], parameters=claimed),
        }

    assert lines_for(with_parameters(claimed), tiny_splits, tmp_path / "same") == []
    said = lines_for(with_parameters(found), tiny_splits, tmp_path / "other")
    assert len(said) == len(names)
    assert all('the header\'s "parameters" is' in line for line in said)


def test_double_and_missing_pairs_are_named(soft_members, tiny_splits, tmp_path):
    rows = soft_members[FILE].splitlines(keepends=True)
    rows[5] = rows[2]
    said = lines_for({**soft_members, FILE: b"".join(rows)}, tiny_splits, tmp_path)
    assert said == [
        f"{FILE}, line 6 (id 'coco-0', noun 0): a second prediction at tau 0.4, after line 3",
        f"{FILE}: no prediction of id 'coco-1', noun 0 at tau 0.3",
    ]


def test_a_torn_last_line_is_no_prediction(soft_members, tiny_splits, tmp_path):
    torn = {**soft_members, FILE: soft_members[FILE][:-10]}
    first, second = lines_for(torn, tiny_splits, tmp_path)
    assert "line 21: not JSON" in first
    assert "no prediction of id 'coco-4', noun 1 at tau 0.4" in second


def test_everything_wrong_is_said_at_once(soft_members, tiny_splits, tmp_path):
    members = dict(soft_members)
    members["submission.json"] = edited_json(members["submission.json"], truth="some")
    members[FILE] = edited(members[FILE], 2, setting(id="nobody"))
    members[MAPS] = edited(members[MAPS], 3, setting(map=None))
    members["unreal_gen/predictions.jsonl"] = b"{"
    places = [line.split(": ")[0] for line in lines_for(members, tiny_splits, tmp_path)]
    assert places[:6] == [
        'submission.json, "truth"',
        f"{FILE}, line 2 (id 'nobody', noun 0)",
        f"{FILE}",
        f"{MAPS}, line 3 (id 'coco-0', noun 1)",
        "unreal_gen/predictions.jsonl, line 1",
        "unreal_gen/predictions.jsonl",
    ]
    assert len(places) == 5 + 10


def test_what_depends_on_a_wrong_field_alone_is_not_checked(soft_members, tiny_splits, tmp_path):
    members = dict(soft_members)
    members["submission.json"] = edited_json(members["submission.json"], taus=[7])
    members[FILE] = edited(members[FILE], 2, lambda record: record.update(tau=0.9))
    (line,) = lines_for(members, tiny_splits, tmp_path)
    assert line.startswith('submission.json, "taus[0]"')


def edited_json(content: bytes, **values) -> bytes:
    return json.dumps({**json.loads(content), **values}).encode()


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, '"map" must be an object'),
        ({"shape": [0, 3], "data": ""}, 'the "shape" of a map'),
        (
            {"shape": [2000, 2000], "data": ""},
            "a heat map of 2000 x 2000 for an image of 32 x 32; 262144 pixels",
        ),
        ({"shape": [8, 8], "data": "!"}, "is not base64 of zlib"),
        ({"shape": [8, 8], "data": ""}, "does not hold 8 x 8"),
    ],
)
def test_a_wrong_heat_map_is_named(said, record, expected):
    (line,) = said(MAPS, 2, setting(map=record))
    assert line.startswith(f"{MAPS}, line 2 (id 'coco-0', noun 0): ")
    assert expected in line


def test_a_second_heat_map_is_named(soft_members, tiny_splits, tmp_path):
    rows = soft_members[MAPS].splitlines(keepends=True)
    said = lines_for({**soft_members, MAPS: b"".join([*rows, rows[1]])}, tiny_splits, tmp_path)
    assert said == [f"{MAPS}, line 12 (id 'coco-0', noun 0): a second heat map, after line 2"]


def test_a_bomb_in_a_heat_map_is_not_inflated(said):
    data = base64.b64encode(zlib.compress(bytes(1 << 26))).decode()
    (line,) = said(MAPS, 2, setting(map={"shape": [8, 8], "data": data}))
    assert "does not hold 8 x 8 float32 values" in line


def test_heat_maps_are_for_both_splits_or_none(soft_members, tiny_splits, tmp_path):
    without = {name: content for name, content in soft_members.items() if name != MAPS}
    assert lines_for(without, tiny_splits, tmp_path / "one") == [
        f"{MAPS}: is missing, but unreal_gen has one; give every split's or none"
    ]
    del without["unreal_gen/heat_maps.jsonl"]
    assert lines_for(without, tiny_splits, tmp_path / "none") == []


def test_heat_maps_of_hard_masks_are_refused(hard_members, soft_members, tiny_splits, tmp_path):
    said = lines_for({**hard_members, MAPS: soft_members[MAPS]}, tiny_splits, tmp_path)
    assert any("heat maps of a method of hard masks" in line for line in said)


@pytest.mark.parametrize("name", ["submission.json", FILE])
def test_a_missing_file_is_named(soft_members, tiny_splits, tmp_path, name):
    members = {key: content for key, content in soft_members.items() if key != name}
    assert any(name in line for line in lines_for(members, tiny_splits, tmp_path))


@pytest.mark.parametrize("name", ["submission.json", FILE, MAPS, "coco_gen"])
def test_links_are_not_followed(soft_members, tiny_splits, tmp_path, name):
    folder = write_folder(tmp_path / "submission", soft_members)
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    problems = Problems()
    assert validate(folder, tiny_splits, problems) is None
    assert "link" in problems.lines()[0]


def test_sizes_and_lines_are_bounded(soft_members, tiny_splits, tmp_path, monkeypatch):
    folder = write_folder(tmp_path, soft_members)
    monkeypatch.setattr(checking, "MAX_FILE", 1000)
    problems = Problems()
    assert validate(folder, tiny_splits, problems) is None
    assert "more than the 1000 that are read" in problems.lines()[0]
    monkeypatch.undo()
    monkeypatch.setattr(checking, "MAX_LINE", 100)
    problems = Problems()
    assert validate(folder, tiny_splits, problems) is None
    assert "line 1: has more than the 100 bytes that are read" in problems.lines()[0]


def test_a_file_of_too_many_lines_is_not_read_to_its_end(soft_members, tiny_splits, tmp_path):
    flooded = {**soft_members, FILE: soft_members[FILE] + b"{}\n" * 100_000}
    said = lines_for(flooded, tiny_splits, tmp_path)
    assert "... and " in said[-1]
    assert int(said[-1].split()[2]) < 1000


@pytest.mark.parametrize("mask", [None, as_record(encode(np.zeros((32, 32), bool)))])
def test_another_valid_mask_is_another_score_not_a_problem(hard_members, tiny_splits, tmp_path, mask):
    changed = edited(hard_members[FILE], 4, setting(mask=mask))
    assert lines_for({**hard_members, FILE: changed}, tiny_splits, tmp_path) == []


def test_a_file_may_be_as_large_as_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "submission.json"
    path.write_bytes(b"{}")
    monkeypatch.setattr(reading, "MAX_JSON", 2)
    assert read_bounded(path) == b"{}"
    path.write_bytes(b"{ }")
    with pytest.raises(InputError, match=f"^{path} has 3 bytes, more than the 2 that are read"):
        read_bounded(path)


def test_what_can_not_be_read_as_a_file_is_named(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path} is a link, a folder or a device"):
        read_bounded(tmp_path)
    with pytest.raises(InputError, match=f"^can't read {tmp_path / 'x'}: No such file"):
        read_bounded(tmp_path / "x")
