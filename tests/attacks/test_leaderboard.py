# ruff: noqa: RUF001 (letters that look like others are the attack)
"""Attacks on the leaderboard: badges that nobody gave, others' names, files that cost or hide, copies."""

import base64
import json
import shutil
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import locate
from daam_bench.evaluation import evaluate
from daam_bench.files.predictions import HeatMapsWriter, NounHeatMap, read_heat_maps, read_predictions
from daam_bench.leaderboard.checking import validate
from daam_bench.leaderboard.entries import accept, load_entry, load_splits
from daam_bench.leaderboard.flags import find_flags, proposed_splits
from daam_bench.leaderboard.packing import write_checked
from daam_bench.leaderboard.reading import Problems
from daam_bench.leaderboard.site.write_site import build_site
from daam_bench.leaderboard.verification import (
    Verification,
    read_verification,
    submitted_hash,
    write_verification,
)
from daam_bench.scoring.score import score
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import as_record, encode
from tests.leaderboard.packed import SPLITS, edited, pack_run, run_method, write_folder, write_zip
from tests.segmenters.methods import left_to_right

FILE, MAPS = "coco_gen/predictions.jsonl", "coco_gen/heat_maps.jsonl"
RECORD = json.dumps({"by": "A. Host", "how": "ran it", "date": "2026-01-31"}).encode()


def problems_of(members, splits, folder) -> list[str]:
    problems = Problems()
    checked = validate(write_folder(folder, members), splits, problems)
    assert (checked is None) == bool(len(problems))
    return problems.lines()


@pytest.fixture
def entries(soft_zip, tiny_dataset, tmp_path) -> Path:
    """A folder of one entry, "gradient"."""
    folder = tmp_path / "leaderboard" / "entries"
    assert accept_with(soft_zip, tiny_dataset, folder) == 0
    return folder


def accept_with(submission, dataset, entries, *options) -> int:
    given = ["--dataset", str(dataset), "--entries", str(entries)]
    return main(["submit", "accept", str(submission), *given, *options])


def check(dataset, entries, *options) -> int:
    return main(["leaderboard", "check", "--dataset", str(dataset), "--entries", str(entries), *options])


def verify(entry) -> Path:
    """Record what a host would have."""
    return write_verification(
        entry.folder.parents[1] / "verified",
        Verification(
            entry=entry.slug,
            sha256=submitted_hash(entry.folder),
            by="A. Host",
            how="ran it",
            date="2026-01-31",
            method="mine:Mine",
            parameters={},
            dataset="fresh",
            fingerprint={"scenes": "0" * 64},
            fresh={},
            claimed={},
        ),
    )


# A badge that nobody gave


def test_a_record_inside_a_submission_is_refused(soft_members, tiny_dataset, tmp_path, capsys):
    members = {**soft_members, "verification.json": RECORD}
    for source in (write_folder(tmp_path / "folder", members), write_zip(tmp_path / "a.zip", members)):
        for command in ("check", "accept"):
            options = ["--entries", str(tmp_path / "entries")] if command == "accept" else []
            assert main(["submit", command, str(source), "--dataset", str(tiny_dataset), *options]) == 2
            printed = capsys.readouterr()
            assert "verification.json" in printed.out + printed.err
            assert "is no file of a submission" in printed.out + printed.err
    assert not (tmp_path / "entries").exists()


def test_a_record_inside_an_entry_is_no_badge_and_fails(entries, tiny_dataset, capsys):
    (entries / "gradient" / "verification.json").write_bytes(RECORD)
    assert load_entry(entries / "gradient").verification is None
    assert check(tiny_dataset, entries) == 2
    assert "gradient/verification.json: is no file of an entry; remove it" in capsys.readouterr().out


def test_a_host_s_record_is_a_badge(entries, tiny_dataset, capsys):
    verify(load_entry(entries / "gradient"))
    assert load_entry(entries / "gradient").verification.by == "A. Host"
    assert check(tiny_dataset, entries) == 0
    assert "note" not in capsys.readouterr().out


def test_a_replaced_entry_with_the_same_files_keeps_its_badge(entries, soft_zip, tiny_dataset):
    verify(load_entry(entries / "gradient"))
    assert accept_with(soft_zip, tiny_dataset, entries, "--replace") == 0
    assert load_entry(entries / "gradient").verification is not None


@pytest.mark.parametrize("claim", [{"supervised": True}, {"authors": ["B. Person"]}, {"truth": "training"}])
def test_other_claims_keep_no_badge(entries, soft_members, tiny_dataset, tmp_path, claim, capsys):
    verify(load_entry(entries / "gradient"))
    claims = json.dumps({**json.loads(soft_members["submission.json"]), **claim}).encode()
    other = write_zip(tmp_path / "other.zip", {**soft_members, "submission.json": claims})
    assert accept_with(other, tiny_dataset, entries, "--replace") == 0
    assert load_entry(entries / "gradient").verification is None
    assert check(tiny_dataset, entries) == 0
    assert "gradient: changed since a host verified it" in capsys.readouterr().out


@pytest.mark.parametrize("file", [FILE, "unreal_gen/heat_maps.jsonl"])
def test_other_files_keep_no_badge(entries, file):
    verify(load_entry(entries / "gradient"))
    path = entries / "gradient" / file
    path.write_bytes(edited(path.read_bytes(), 2, lambda record: record.update(x=1)))
    assert load_entry(entries / "gradient").verification is None


def test_a_file_taken_away_keeps_no_badge(entries):
    verify(load_entry(entries / "gradient"))
    for split in SPLITS:
        (entries / "gradient" / split / "heat_maps.jsonl").unlink()
    assert load_entry(entries / "gradient").verification is None


def test_the_record_of_another_entry_is_refused(entries):
    path = verify(load_entry(entries / "gradient"))
    path.rename(path.with_name("other.json"))
    with pytest.raises(InputError, match="it is of the entry 'gradient'"):
        read_verification(path.parent, "other")


# Another's name


@pytest.mark.parametrize(
    "name",
    [
        "Gradient", "gradient", "GRADIENT", "Gradient ", " Gradient", "Ｇradient", "Gr\u0430dient",
        "Gr\u03b1dient", "Grad\u200dient", "Gradient\u200c", "Gradient\u3000", "G\u034fradient",
        "Gradient\ufe0f", "GR\u0410DIE\u039dT", "Grad\u0131ent", "Gradi\u0435nt", "gradient-",
        "\u115fGradient",
    ],
)  # fmt: skip
def test_a_name_that_looks_the_same_is_refused(entries, soft_members, tiny_dataset, tmp_path, name, capsys):
    claims = json.dumps({**json.loads(soft_members["submission.json"]), "name": name}).encode()
    twin = write_zip(tmp_path / "twin.zip", {**soft_members, "submission.json": claims})
    assert accept_with(twin, tiny_dataset, entries, "--slug", "twin") == 2
    assert [path.name for path in entries.iterdir()] == ["gradient"]
    shutil.copytree(entries / "gradient", entries / "twin")
    (entries / "twin" / "submission.json").write_bytes(claims)
    capsys.readouterr()
    assert check(tiny_dataset, entries) == 2
    assert "twin/submission.json: the name" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Gradient 2", "Gradients", "Pente", "DAAM, τ = 0.4"])
def test_another_name_is_another_entry(entries, soft_members, tiny_dataset, tmp_path, name):
    claims = json.dumps({**json.loads(soft_members["submission.json"]), "name": name}).encode()
    other = write_zip(tmp_path / "other.zip", {**soft_members, "submission.json": claims})
    assert accept_with(other, tiny_dataset, entries) == 0
    assert check(tiny_dataset, entries) == 0


def test_the_slug_of_another_name_is_taken_too(entries, soft_members, tiny_dataset, tmp_path):
    claims = json.dumps({**json.loads(soft_members["submission.json"]), "name": "Other"}).encode()
    other = write_zip(tmp_path / "other.zip", {**soft_members, "submission.json": claims})
    assert accept_with(other, tiny_dataset, entries, "--slug", "first") == 0
    claims = json.dumps({**json.loads(soft_members["submission.json"]), "name": "Third"}).encode()
    third = write_zip(tmp_path / "third.zip", {**soft_members, "submission.json": claims})
    assert accept_with(third, tiny_dataset, entries, "--slug", "other") == 2


@pytest.mark.parametrize("name", ["CON", "nul", "Lpt1", "com0", "aux."])
def test_a_device_of_windows_is_no_name(soft_members, tiny_splits, tmp_path, name):
    claims = json.dumps({**json.loads(soft_members["submission.json"]), "name": name}).encode()
    (line,) = problems_of({**soft_members, "submission.json": claims}, tiny_splits, tmp_path)
    assert line.startswith('submission.json, "name": is a device on Windows')


def test_a_device_of_windows_is_no_folder(entries, soft_zip, tiny_dataset, capsys):
    assert accept_with(soft_zip, tiny_dataset, entries, "--slug", "aux") == 2
    (entries / "gradient").rename(entries / "prn")
    assert check(tiny_dataset, entries) == 2
    assert "entry 'prn': must be a folder" in capsys.readouterr().out


# Files that cost, hide or fail later


def packed(values: np.ndarray, after: bytes = b"") -> dict:
    data = zlib.compress(np.ascontiguousarray(values, "<f4").tobytes()) + after
    return {"shape": list(values.shape), "data": base64.b64encode(data).decode()}


def with_map(members, record) -> dict:
    return {**members, MAPS: edited(members[MAPS], 2, lambda line: line.update(map=record))}


def test_bytes_after_a_heat_map_are_refused(soft_members, tiny_splits, tmp_path):
    record = packed(left_to_right(8, 8), after=b"hidden")
    (line,) = problems_of(with_map(soft_members, record), tiny_splits, tmp_path)
    assert 'the "data" of a map goes on after its end' in line


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_heat_map_that_overflows_when_resized_is_refused_by_the_check(soft_members, tiny_splits, tmp_path):
    values = np.zeros((8, 8), np.float32)
    values[::2, ::2] = np.finfo(np.float32).max
    (line,) = problems_of(with_map(soft_members, packed(values)), tiny_splits, tmp_path)
    assert line.startswith(f"{MAPS}, line 2 (id 'coco-0', noun 0): a map whose values get too large")


@pytest.mark.parametrize("shape", [(5000, 8), (1100, 1100), (513, 512)])
def test_a_heat_map_that_could_not_be_entered_is_refused_wherever_it_comes(
    shape, tiny_splits, soft_members, tmp_path
):
    split, values = tiny_splits[0], np.zeros(shape, np.float32)
    header = PredictionsHeader("m", {}, split.dataset, split.name, split.fingerprint)
    for given in (values, HeatMap(values)):
        with pytest.raises(InputError, match=r"example 'coco-0', noun 'cat': .* resize it to the image"):
            evaluate(lambda query, given=given: [given for _ in query.nouns], split)
    (line,) = problems_of(with_map(soft_members, packed(values)), tiny_splits, tmp_path / "check")
    assert "a heat map of" in line or '"shape" of a map' in line
    folder = tmp_path / "run" / split.name
    shutil.copytree(write_folder(tmp_path / "soft", soft_members) / split.name, folder)
    (folder / "heat_maps.jsonl").write_bytes(with_map(soft_members, packed(values))[MAPS])
    with pytest.raises(InputError):
        score(split, folder)
    if max(shape) > 4096:
        with (
            HeatMapsWriter(tmp_path / "maps.jsonl", header) as writer,
            pytest.raises(InputError, match="4096 a side at most"),
        ):
            writer.append([NounHeatMap("coco-0", 0, values)])


def test_a_line_too_long_to_be_read_is_not_written(tiny_splits, tmp_path, monkeypatch):
    split, path = tiny_splits[0], tmp_path / "maps.jsonl"
    header = PredictionsHeader("m", {}, split.dataset, split.name, split.fingerprint)
    with HeatMapsWriter(path, header) as writer:
        monkeypatch.setattr("daam_bench.files.json_lines.MAX_LINE", 300)
        writer.append([NounHeatMap("coco-0", 0, np.zeros((2, 2), np.float32))])
        with pytest.raises(InputError, match="more than the 300 that are read"):
            writer.append([NounHeatMap("coco-0", 1, np.random.default_rng(0).random((64, 64), np.float32))])
    assert [found.noun for found in read_heat_maps(path)[1]] == [0]


def test_the_largest_heat_map_that_runs_is_packed_checked_and_scored(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.segmenters.methods.left_to_right", lambda *_: left_to_right(512, 512))
    run = run_method(tiny_dataset, tmp_path / "run")
    assert pack_run(tiny_dataset, run, tmp_path / "large.zip") == 0
    assert main(["submit", "check", str(tmp_path / "large.zip"), "--dataset", str(tiny_dataset)]) == 0
    assert main(["score", str(run), "--dataset", str(tiny_dataset)]) == 0


def test_zero_maps_are_read_one_at_a_time(soft_members, tiny_splits, tmp_path):
    zeros = packed(np.zeros((512, 512), np.float32))
    empty = {"size": [32, 32], "counts": "PP1"}
    members = {}
    for name, content in soft_members.items():
        if name != "submission.json":
            key, value = ("map", zeros) if name.endswith("heat_maps.jsonl") else ("mask", empty)
            head, *lines = content.splitlines()
            rows = [json.dumps({**json.loads(line), key: value}).encode() for line in lines]
            content = b"\n".join([head, *rows]) + b"\n"
        members[name] = content
    folder = write_folder(tmp_path / "zeros", members)
    (tmp_path / "written").mkdir()
    tracemalloc.start()
    try:
        checked = validate(folder, tiny_splits, Problems())
        write_checked(tmp_path / "written", checked)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 6 << 20  # a map has 1 MB, all of them 20


# Masks that the heat maps don't give


def ground_truth_masks(split):
    return {
        (example.id, noun): None if mask is None else as_record(mask)
        for example in split
        for noun, mask in enumerate(example.masks)
    }


def with_masks(members, splits, masks_of=ground_truth_masks) -> dict:
    """The submission with other masks at every tau."""
    members = dict(members)
    for split in splits:
        masks = masks_of(split)
        head, *lines = members[f"{split.name}/predictions.jsonl"].splitlines()
        records = [json.loads(line) for line in lines]
        rows = [
            json.dumps({**record, "mask": masks.get((record["id"], record["noun"]))}).encode()
            for record in records
        ]
        members[f"{split.name}/predictions.jsonl"] = b"\n".join([head, *rows]) + b"\n"
    return members


def test_masks_of_the_ground_truth_beside_other_heat_maps_are_refused(soft_members, tiny_splits, tmp_path):
    lines = problems_of(with_masks(soft_members, tiny_splits), tiny_splits, tmp_path)
    assert len(lines) == 20
    assert all("is not what this heat map gives" in line or "is null" in line for line in lines)


@pytest.mark.parametrize("line", [2, 3])
def test_one_wrong_pixel_at_any_tau_is_refused(soft_members, tiny_splits, tmp_path, line):
    record = json.loads(soft_members[FILE].splitlines()[line - 1])
    mask = np.zeros((32, 32), bool)
    mask[:, -1] = True
    change = edited(soft_members[FILE], line, lambda found: found.update(mask=record_of(mask)))
    (said,) = problems_of({**soft_members, FILE: change}, tiny_splits, tmp_path)
    assert f"the mask at tau {record['tau']} is not what this heat map gives" in said


def record_of(mask):
    return as_record(encode(mask))


def test_a_mask_without_a_heat_map_beside_others_is_refused(soft_members, tiny_splits, tmp_path):
    lines = soft_members[MAPS].splitlines(keepends=True)
    said = problems_of({**soft_members, MAPS: b"".join(lines[:1] + lines[2:])}, tiny_splits, tmp_path)
    assert said == [
        f"{FILE}, line {line} (id 'coco-0', noun 0): a mask at tau {tau} of a noun without a heat map; "
        "add the map, or make the mask null"
        for line, tau in ((2, "0.3"), (3, "0.4"))
    ]


def test_last_digits_of_another_machine_are_no_lie(soft_members, tiny_splits, tmp_path):
    values = left_to_right(32, 32).copy()
    values[:, 10] = np.float32(0.4) + np.float32(1e-6)
    change = with_map(soft_members, packed(values))
    for line, tau in ((2, 0.3), (3, 0.4)):
        mask = values >= np.float32(tau)
        mask[5, 10] = False if tau == 0.4 else mask[5, 10]
        change[FILE] = edited(change[FILE], line, lambda found, mask=mask: found.update(mask=record_of(mask)))
    assert problems_of(change, tiny_splits, tmp_path) == []


def test_no_more_than_a_hundredth_of_the_pixels_may_be_last_digits(soft_members, tiny_splits, tmp_path):
    values = left_to_right(32, 32).copy()
    values[:, 10] = np.float32(0.4) + np.float32(1e-6)
    for wrong, problems in ((10, 0), (11, 1)):
        change = with_map(soft_members, packed(values))
        for line, tau in ((2, 0.3), (3, 0.4)):
            mask = values >= np.float32(tau)
            if tau == 0.4:
                mask[:wrong, 10] = False
            record = record_of(mask)
            change[FILE] = edited(change[FILE], line, lambda found, record=record: found.update(mask=record))
        assert len(problems_of(change, tiny_splits, tmp_path / str(wrong))) == problems


# Copies


def test_a_copy_of_the_ground_truth_is_flagged(hard_members, tiny_dataset, tiny_splits, tmp_path, capsys):
    copy = write_folder(tmp_path / "copy", with_masks(hard_members, tiny_splits))
    assert accept_with(copy, tiny_dataset, tmp_path / "entries") == 0
    capsys.readouterr()
    assert check(tiny_dataset, tmp_path / "entries") == 0
    said = capsys.readouterr().out
    assert "flag   random-half: Its masks agree with the ground truth of coco_gen, which is public" in said
    build_site([load_entry(tmp_path / "entries" / "random-half")], str(tiny_dataset), tmp_path / "site")
    assert ">flagged</span>" in (tmp_path / "site" / "index.html").read_text()
    page = (tmp_path / "site" / "methods" / "random-half.html").read_text()
    assert "Its masks agree with the ground truth of coco_gen" in page


def test_heat_maps_of_the_ground_truth_are_flagged_at_whatever_tau(entries, tiny_splits):
    entry = load_entry(entries / "gradient")
    by_tau = {
        tau: replace(scores, miou_over_tau={"0.9": replace(scores.miou_over_tau["0.9"], miou_inf=0.96)})
        for tau, scores in entry.report.splits["coco_gen"].items()
    }
    report = replace(entry.report, splits={**entry.report.splits, "coco_gen": by_tau})
    (said,) = find_flags(replace(entry, report=report), tiny_splits, {})
    assert said.startswith("Its heat maps agree with the ground truth of coco_gen")


def test_a_split_that_a_report_adds_without_scores_is_no_flag(entries, tiny_splits):
    entry = load_entry(entries / "gradient")
    report = replace(entry.report, splits={**entry.report.splits, "scenes": {}})
    assert find_flags(replace(entry, report=report), tiny_splits, {}) == ()


def test_honest_entries_are_not_flagged(entries, tiny_dataset, tiny_splits, capsys):
    assert find_flags(load_entry(entries / "gradient"), tiny_splits, {}) == ()
    assert check(tiny_dataset, entries) == 0
    assert "flag" not in capsys.readouterr().out


def test_masks_of_the_shipped_annotator_are_flagged(entries, tmp_path):
    proposals = proposed_splits("emoji", load_splits("emoji"))
    assert list(proposals) == ["coco_gen", "unreal_gen"]
    splits = [split for split in load_splits("emoji") if split.name in proposals]
    folder = tmp_path / "copy"
    for split in splits:
        (folder / split.name).mkdir(parents=True)
        copied = locate("emoji") / "proposals" / f"{split.name}.jsonl"
        shutil.copyfile(copied, folder / split.name / "predictions.jsonl")
        assert 0.85 < score(split, read_predictions(copied)[1])["none"].miou_inf < 0.95
    copy = replace(load_entry(entries / "gradient"), folder=folder)
    said = find_flags(copy, splits, proposals)
    assert [text.split(" at a ")[0] for text in said] == [
        f"Its masks agree with the proposals of the dataset's annotator for {split.name}" for split in splits
    ]


def test_a_copy_of_the_proposals_is_flagged_in_the_check(hard_members, tiny_dataset, tmp_path, capsys):
    dataset = shutil.copytree(tiny_dataset, tmp_path / "tiny")
    (dataset / "proposals").mkdir()
    (dataset / "proposals" / "coco_gen.jsonl").write_bytes(hard_members[FILE])
    submission = write_folder(tmp_path / "copy", hard_members)
    assert accept_with(submission, dataset, tmp_path / "entries") == 0
    assert check(dataset, tmp_path / "entries") == 0
    assert (
        "proposals of the dataset's annotator for coco_gen at a mean IoU of 1.000" in capsys.readouterr().out
    )


def test_an_entry_is_accepted_from_a_plain_folder_all_the_same(soft_members, tiny_splits, tmp_path):
    checked = validate(write_folder(tmp_path / "a", soft_members), tiny_splits, Problems())
    assert accept(checked, tmp_path / "entries").verification is None
