import csv
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import daam_bench
from daam_bench.files.predictions import HeatMapsWriter, NounHeatMap
from daam_bench.scoring.report import (
    build_report,
    describe_environment,
    mask_shares,
    report_to_json,
    write_report,
)
from daam_bench.scoring.saved_report import read_report
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import format_markdown, format_table, report_notes
from daam_bench.types import Annotation, Environment, MaskShares, Prediction
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import HEADER, complete, left, make_split

SPLIT = make_split([[("cat", "cat", left(2)), ("a | b", None, left(4))], [("cat", "cat", left(3))]])
PREDICTIONS = complete(
    SPLIT, [Prediction("0", noun, tau, encode(left(4))) for noun in (0, 1) for tau in (0.3, 0.4)]
)
ENVIRONMENT = Environment(
    "0.1.0", "c0ffee", True, "3.11.0", {"numpy": "2.0"}, "Linux", "cpu", 12.5, {"bootstrap": 0}
)


def report_of(results):
    return build_report(
        results, method="method", parameters={"steps": 20}, dataset="tiny", environment=ENVIRONMENT
    )


@pytest.fixture
def soft_results(tmp_path):
    with HeatMapsWriter(tmp_path / "maps", HEADER) as writer:
        writer.append([NounHeatMap("0", 0, np.eye(4, 6, dtype=np.float32))])
    return [score(SPLIT, PREDICTIONS, tmp_path / "maps")]


def test_the_json_is_as_documented():
    record = json.loads(report_to_json(report_of([score(SPLIT, PREDICTIONS)])))
    assert record["protocol"] == "2"
    assert record["method"] == "method"
    assert record["parameters"] == {"steps": 20}
    assert record["dataset"] == "tiny"
    assert (record["track"], record["tuned_on"], record["partial"]) == (None, None, False)
    assert record["fingerprint"] == {"coco_gen": "f" * 64}
    assert record["annotation"]["coco_gen"]["unknown"] == 1
    assert record["environment"]["seeds"] == {"bootstrap": 0}
    scores = record["splits"]["coco_gen"]["0.4"]
    assert scores["miou_80"] == 0.25
    assert scores["miou_inf"] == 0.5
    assert scores["ci95_80"] == [0, 0.5]
    assert (scores["pairs_80"], scores["pairs_inf"]) == (2, 3)
    assert (scores["images_80"], scores["images_inf"]) == (2, 2)
    assert scores["coverage"] == pytest.approx(2 / 3)
    assert scores["per_class"] == {"cat": {"miou": 0.25, "pairs": 2}}


def test_what_is_written_is_read(tmp_path, soft_results):
    for results in (soft_results, [score(SPLIT, PREDICTIONS)], [score(make_split([]), [])], []):
        report = report_of(results)
        write_report(tmp_path / "report", report, results)
        assert read_report(tmp_path / "report" / "report.json") == report


def test_a_report_is_partial_if_any_of_its_splits_is():
    whole, part = score(SPLIT, PREDICTIONS), score(SPLIT, PREDICTIONS[:4], partial=True)
    assert report_of([whole, part]).partial
    assert report_of([part, whole]).partial
    assert not report_of([whole, whole]).partial
    page = format_markdown(report_of([whole, part]))
    assert "**Partial: scored over a part of the nouns" in page
    assert format_table(report_of([whole, part])).splitlines()[1].endswith("partial")
    assert "partial" not in format_table(report_of([whole]))


def test_a_score_that_does_not_exist_is_null_rather_than_nan():
    text = report_to_json(report_of([score(make_split([]), [])]))
    assert "NaN" not in text
    assert json.loads(text)["splits"]["coco_gen"]["none"]["miou_80"] is None


def test_what_is_no_number_is_not_written():
    environment = dataclasses.replace(ENVIRONMENT, wall_seconds=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        report_to_json(dataclasses.replace(report_of([]), environment=environment))


def test_the_pairs_as_csv(tmp_path):
    results = [score(SPLIT, PREDICTIONS)]
    write_report(tmp_path, report_of(results), results)
    with (tmp_path / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[2] == {
        "split": "coco_gen",
        "id": "0",
        "noun": "1",
        "text": "a | b",
        "coco_class": "",
        "tau": "0.3",
        "iou": "1.0",
        "iou_band": "1.0",
        "leakage": "0.0",
    }


def test_the_table_for_the_terminal():
    table = format_table(report_of([score(SPLIT, PREDICTIONS)])).splitlines()
    assert table[0].split() == [
        "split",
        "tau",
        "mIoU_80",
        "mIoU_inf",
        "mIoU_band",
        "leakage",
        "coverage",
        "pairs",
    ]
    assert table[2] == (
        "coco_gen  0.4  25.0 [0.0, 50.0]  50.0 [0.0, 75.0]  50.0       25.0     66.7      2 / 3"
    )


def test_the_markdown_page(soft_results):
    page = format_markdown(report_of(soft_results))
    assert "| coco_gen | 0.3 | 25.0 [0.0, 50.0] |" in page
    assert "| cat | 2 | 25.0 | 25.0 |" in page
    assert "## Heat maps" in page
    assert "c0ffee, with uncommitted changes" in page
    for line in page.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    assert "## Heat maps" not in format_markdown(report_of([score(SPLIT, PREDICTIONS)]))


def test_the_page_says_how_the_numbers_came_to_be():
    report = report_of([score(SPLIT, PREDICTIONS)])
    known = dataclasses.replace(ENVIRONMENT, commit="0123456789abcdef", dirty=False, limit=2, drifted=0)
    rows = format_markdown(dataclasses.replace(report, environment=known)).splitlines()
    for row in (
        "| protocol | 2 |",
        "| parameters | steps = 20 |",
        f"| fingerprint | coco_gen {'f' * 12} |",
        "| daam-bench | 0.1.0 |",
        "| commit | 0123456789ab |",
        "| python | 3.11.0 |",
        "| libraries | numpy 2.0 |",
        "| platform | Linux |",
        "| device | cpu |",
        "| limit | first 2 examples of each split |",
        "| drifted images | 0 |",
        "| wall time | 12 s |",
        "| seeds | bootstrap = 0 |",
    ):
        assert row in rows


def test_what_is_not_known_is_a_dash_on_the_page():
    report = report_of([score(SPLIT, PREDICTIONS)])
    unknown = Environment("0.1.0", None, None, "3.11.0", {}, "Linux")
    page = format_markdown(dataclasses.replace(report, parameters={}, annotation={}, environment=unknown))
    for what in (
        "parameters", "dataset revision", "masks", "commit", "device", "limit", "drifted images", "wall time",
        "seeds",
    ):  # fmt: skip
        assert f"| {what} | - |" in page


def test_the_page_names_the_best_tau_of_the_heat_maps(tmp_path):
    with HeatMapsWriter(tmp_path / "maps", HEADER) as writer:
        heat = np.linspace(1, 0, 6, dtype=np.float32)[np.newaxis].repeat(4, axis=0)
        writer.append([NounHeatMap("0", 0, heat)])
    results = [score(SPLIT, PREDICTIONS, tmp_path / "maps")]
    # The two hottest of six columns are those of the mask: at a tau above 0.6, up to 0.8.
    assert "| coco_gen | 33.3 | 33.3 | 33.3 | 0.65 | 33.3 |" in format_markdown(report_of(results))


def test_pages_of_a_report_without_scores():
    for report in (report_of([]), report_of([score(make_split([]), [])])):
        assert format_table(report)
        assert format_markdown(report)


REPORT = json.loads(report_to_json(report_of([score(SPLIT, PREDICTIONS, resamples=10)])))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["protocol"], "1"),
        (["partial"], None),
        (["annotation"], {"coco_gen": {"own": 2}}),
        (["method"], None),
        (["parameters"], []),
        (["environment"], {}),
        (["fingerprint"], {}),
        (["splits"], []),
        (["splits", "coco_gen", "0.4", "miou_80"], 64.7),
        (["splits", "coco_gen", "0.4", "miou_80"], "0.5"),
        (["splits", "coco_gen", "0.4", "miou_80"], True),
        (["splits", "coco_gen", "0.4", "miou_80"], float("nan")),
        (["splits", "coco_gen", "0.4", "ci95_inf"], [0.1]),
        (["splits", "coco_gen", "0.4", "pairs_80"], 5),
        (["splits", "coco_gen", "0.4", "pairs_80"], -1),
        (["splits", "coco_gen", "0.4", "per_class"], {"cat": 0.5}),
        (["splits", "coco_gen", "0.4", "miou_over_tau"], {"abc": {"miou_80": 0.1, "miou_inf": 0.1}}),
        (["splits", "coco_gen", "0.4", "miou_over_tau"], {"0.42": {"miou_80": 0.1, "miou_inf": 0.1}}),
    ],
)
def test_a_damaged_report_is_an_error(tmp_path, keys, value):
    record = json.loads(json.dumps(REPORT))
    *way, last = keys
    place = record
    for key in way:
        place = place[key]
    place[last] = value
    path = tmp_path / "report.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"report\.json is not"):
        read_report(path)


@pytest.mark.parametrize("pairs_80", [0, 3])
def test_none_or_all_pairs_may_be_of_the_80_classes(tmp_path, pairs_80):
    record = json.loads(json.dumps(REPORT))
    record["splits"]["coco_gen"]["0.4"]["pairs_80"] = pairs_80
    (tmp_path / "report.json").write_text(json.dumps(record))
    assert read_report(tmp_path / "report.json").splits["coco_gen"]["0.4"].pairs_80 == pairs_80


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "[" * 100_000, "\udcff"])
def test_a_file_that_is_no_report_is_an_error(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match="is not"):
        read_report(path)
    with pytest.raises(InputError, match="can't read"):
        read_report(tmp_path / "absent.json")


class TestEnvironment:
    """What a report says of the package and the machine."""

    def test_versions(self):
        environment = describe_environment(device="cpu", wall_seconds=1.5, seeds={"bootstrap": 0})
        assert environment.version == daam_bench.__version__
        assert environment.libraries["numpy"] == np.__version__
        assert environment.python == sys.version.split()[0]
        assert (environment.device, environment.wall_seconds, environment.seeds) == (
            "cpu",
            1.5,
            {"bootstrap": 0},
        )

    @pytest.fixture
    def checkout(self, tmp_path):
        """A git repository that holds a copy of what `describe_environment` needs."""
        source = Path(daam_bench.__file__).parent
        for name in ("__init__.py", "types", "files", "engine", "scoring"):
            target = tmp_path / "checkout" / "daam_bench" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
            copy(source / name, target)
        self.git(tmp_path / "checkout", "init", "--quiet")
        self.git(tmp_path / "checkout", "commit", "--quiet", "--allow-empty", "--message", "Start")
        return tmp_path / "checkout"

    def git(self, folder, *arguments) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    def describe(self, folder, cwd) -> dict:
        script = (
            "import sys, json, dataclasses; sys.path.insert(0, sys.argv[1]);"
            "from daam_bench.scoring.report import describe_environment;"
            "print(json.dumps(dataclasses.asdict(describe_environment())))"
        )
        command = [sys.executable, "-c", script, str(folder)]
        return json.loads(subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout)

    def test_commit_and_changes_of_the_packages_own_checkout(self, checkout, tmp_path):
        self.git(checkout, "add", "daam_bench")
        self.git(checkout, "commit", "--quiet", "--message", "Add")
        clean = self.describe(checkout, tmp_path)
        assert clean["commit"] == self.git(checkout, "rev-parse", "HEAD")
        assert clean["dirty"] is False
        with (checkout / "daam_bench" / "__init__.py").open("a") as file:
            file.write("# changed\n")
        assert self.describe(checkout, tmp_path)["dirty"] is True

    def test_a_copy_that_git_does_not_track_has_no_commit(self, checkout):
        found = self.describe(checkout, checkout)
        assert (found["commit"], found["dirty"]) == (None, None)


def test_reports_compare_by_value():
    report = report_of([score(SPLIT, PREDICTIONS)])
    assert report == report_of([score(SPLIT, PREDICTIONS)])
    assert report != dataclasses.replace(report, method="other")


def proposed(split, count):
    """The split with the masks of its first `count` images proposed, the others made by a person."""
    annotations = [Annotation("daam", "proposal: at tau 0.4", "2026-01-31")] * count
    annotations += [Annotation("a person", "by hand", "2026-02-01")] * (len(split) - count)
    examples = [
        dataclasses.replace(example, annotation=annotation)
        for example, annotation in zip(split.examples, annotations, strict=True)
    ]
    return dataclasses.replace(split, examples=tuple(examples))


def test_a_report_says_which_masks_are_unchecked_proposals(tmp_path):
    report = report_of([score(proposed(SPLIT, 1), PREDICTIONS)])
    assert json.loads(report_to_json(report))["proposals"] == {
        "coco_gen": {"images": 1, "of": 2, "by": "daam"}
    }
    assert "nobody has checked yet: coco_gen (1 of 2 images, by daam)" in format_markdown(report)
    write_report(tmp_path, report, [])
    assert read_report(tmp_path / "report.json") == report


def test_a_report_of_checked_masks_speaks_of_no_proposals():
    report = report_of([score(proposed(SPLIT, 0), PREDICTIONS)])
    assert report.proposals == {}
    assert "nobody has checked" not in format_markdown(report)


def test_a_report_of_a_dataset_from_the_hub_names_its_commit():
    split = dataclasses.replace(SPLIT, revision="0123456789" * 4)
    report = report_of([score(split, PREDICTIONS)])
    assert report.environment.dataset_revision == split.revision
    assert f"| dataset revision | {split.revision} |" in format_markdown(report)


def test_what_others_call_a_method_is_text_on_the_page():
    name, parameters = "<script>\n# [x](javascript:1) `a`", {"a|b": "![](https://x)\x1b"}
    report = build_report(
        [score(SPLIT, PREDICTIONS)],
        method=name,
        parameters=parameters,
        dataset="tiny",
        environment=ENVIRONMENT,
    )
    page = format_markdown(report)
    assert page.startswith("# \\<script\\> \\# \\[x\\](javascript:1) \\`a\\` on tiny\n")
    assert "| parameters | a\\|b = !\\[\\](https://x)\\x1b |" in page.replace("\\\\x1b", "\\x1b")
    assert "\x1b" not in page


def kinds(split, *by_example, proposal="daam"):
    """The split with the kinds of its masks, example by example."""
    examples = [
        dataclasses.replace(
            example, annotation=Annotation("A. Person", "by hand", "2026-02-01", masks, proposal)
        )
        for example, masks in zip(split.examples, by_example, strict=True)
    ]
    return dataclasses.replace(split, examples=tuple(examples))


class TestMaskShares:
    """How the masks that were scored against came to be."""

    def test_the_share_of_each_kind_and_what_a_method_proposed_that_stands(self, tmp_path):
        split = kinds(SPLIT, ("accepted", "edited"), ("proposed",))
        report = report_of([score(split, PREDICTIONS)])
        assert report.annotation == {
            "coco_gen": MaskShares(proposed=1 / 3, accepted=1 / 3, edited=1 / 3, unchanged={"daam": 2 / 3})
        }
        assert "| masks | coco_gen: 33.3 % proposed 33.3 % accepted 33.3 % edited |" in format_markdown(
            report
        )
        write_report(tmp_path, report, [])
        assert read_report(tmp_path / "report.json") == report

    def test_nouns_that_are_not_depicted_do_not_count(self):
        split = make_split([[("cat", "cat", left(2)), ("dog", "dog", None)]])
        assert mask_shares(kinds(split, ("own", "edited"), proposal=None)) == MaskShares(own=1)

    def test_a_dataset_that_does_not_say_is_unknown(self):
        assert mask_shares(SPLIT) == MaskShares(unknown=1)
        assert mask_shares(proposed(SPLIT, 0)) == MaskShares(unknown=1)
        assert mask_shares(make_split([])) == MaskShares()

    @pytest.mark.parametrize(
        ("by_example", "share"),
        [
            ((("accepted", "accepted"), ("accepted",)), "100.0"),
            ((("accepted", "edited"), ("own",)), "33.3"),
            ((("edited", "edited"), ("edited",)), "0.0"),
        ],
    )
    def test_a_method_scored_against_its_own_proposals_is_warned_about_always(self, by_example, share):
        split = kinds(SPLIT, *by_example, proposal="method")
        report = report_of([score(split, PREDICTIONS)])
        (note,) = (note for note in report_notes(report) if "own proposals" in note)
        assert f"coco_gen ({share} % of the masks left unchanged)" in note
        assert note[1:] in format_markdown(report)

    def test_another_methods_proposals_and_own_masks_are_no_such_case(self):
        for split in (
            kinds(SPLIT, ("accepted", "accepted"), ("accepted",), proposal="other"),
            kinds(SPLIT, ("own", "own"), ("own",), proposal="method"),
        ):
            assert not any("own" in note for note in report_notes(report_of([score(split, PREDICTIONS)])))


def test_a_report_of_protocol_1_is_refused_for_that_and_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT | {"protocol": "1", "splits": {}, "environment": {}}))
    with pytest.raises(InputError, match="is not a report: protocol '1', not '2'; make it again"):
        read_report(path)


def test_intervals_over_thirty_images_are_not_said_to_be_too_narrow():
    for images, narrow in ((29, True), (30, False)):
        split = make_split([[("cat", "cat", left(2))]] * images)
        report = report_of([score(split, complete(split, []))])
        assert any("too narrow" in note for note in report_notes(report)) == narrow
