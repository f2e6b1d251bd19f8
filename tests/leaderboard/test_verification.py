"""`daam-bench leaderboard verify`: a host runs the author's code on a dataset that was not public."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.evaluation import evaluate
from daam_bench.leaderboard.entries import load_entry
from daam_bench.leaderboard.site.write_site import build_site
from daam_bench.leaderboard.verification import submitted_hash
from daam_bench.scoring import report as reports
from tests.segmenters.methods import Gradient
from tests.tiny_dataset import generated_example

METHOD = "tests.segmenters.methods:Gradient"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def commit(monkeypatch):
    """Set what git says of this checkout: clean at `COMMIT`, or with changes."""
    describe = reports.describe_environment

    def set_commit(*, dirty: bool = False) -> None:
        here = lambda **known: replace(describe(**known), commit=COMMIT, dirty=dirty)  # noqa: E731
        monkeypatch.setattr(reports, "describe_environment", here)

    set_commit()
    return set_commit


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A dataset of one split, `scenes`, that nobody has seen."""
    folder = tmp_path_factory.mktemp("data") / "fresh"
    pairs = (("cat", "kite"), ("dog", "pizza"), ("moon", "boat"))
    scenes = [generated_example(f"scenes-{index}", *pair) for index, pair in enumerate(pairs)]
    write_dataset(folder, {"scenes": scenes}, "# Fresh\n")
    return folder


@pytest.fixture
def entries(soft_zip, hard_zip, tiny_dataset, tmp_path) -> Path:
    """The entries "gradient" and "random-half"."""
    folder = tmp_path / "leaderboard" / "entries"
    for submission in (soft_zip, hard_zip):
        options = ["--dataset", str(tiny_dataset), "--entries", str(folder)]
        assert main(["submit", "accept", str(submission), *options]) == 0
    return folder


def verify(entries, dataset, *options, entry="gradient", method=METHOD) -> int:
    given = ["--entries", str(entries), "--method", method, "--dataset", str(dataset)]
    return main(["leaderboard", "verify", entry, *given, *options])


def test_the_fresh_score_is_recorded_beside_the_claimed_one(entries, fresh, capsys):
    capsys.readouterr()
    assert verify(entries, fresh, "--by", "A. Host") == 0
    record = json.loads((entries.parent / "verified" / "gradient.json").read_text())
    scores = evaluate(Gradient(), load_split(fresh, "scenes"), tau=(0.3, 0.4))
    assert {tau: found["miou_inf"] for tau, found in record["fresh"]["scenes"].items()} == {
        "0.3": scores[0.3].miou_inf,
        "0.4": scores[0.4].miou_inf,
    }
    report = load_entry(entries / "gradient").report
    assert record["claimed"]["coco_gen"]["0.3"]["miou_80"] == report.splits["coco_gen"]["0.3"].miou_80
    assert record["fingerprint"] == {"scenes": load_split(fresh, "scenes").fingerprint}
    assert record["sha256"] == submitted_hash(entries / "gradient")
    assert (record["by"], record["method"], record["parameters"]) == ("A. Host", METHOD, {"gain": 1.0})
    assert record["commit"] == COMMIT
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said[:-1]] == [
        ["claimed", "coco_gen"],
        ["claimed", "coco_gen"],
        ["claimed", "unreal_gen"],
        ["claimed", "unreal_gen"],
        ["fresh", "scenes"],
        ["fresh", "scenes"],
    ]
    assert said[-1].endswith("gradient.json: commit it; it holds as long as the entry stays as it is")


def test_a_verified_entry_shows_its_badge_and_both_scores(entries, fresh, tiny_dataset, tmp_path):
    assert verify(entries, fresh) == 0
    build_site([load_entry(entries / "gradient")], str(tiny_dataset), tmp_path / "site")
    assert ">verified</span>" in (tmp_path / "site" / "index.html").read_text()
    page = (tmp_path / "site" / "methods" / "gradient.html").read_text()
    assert "claimed: coco_gen, τ 0.3" in page
    assert "fresh: scenes, τ 0.4" in page
    assert COMMIT[:12] in page


def test_an_entry_is_verified_by_a_method_of_hard_masks_too(entries, fresh):
    assert verify(entries, fresh, entry="random-half", method="random") == 0
    record = load_entry(entries / "random-half").verification
    assert list(record.fresh["scenes"]) == ["none"]


def test_entries_of_the_package_s_own_methods_need_only_their_names(entries, fresh, tmp_path, capsys):
    other = json.loads((entries / "random-half" / "submission.json").read_text())
    names = ["random-half"]
    given = ["--entries", str(entries), "--dataset", str(fresh), "--verified", str(tmp_path / "records")]
    assert main(["leaderboard", "verify", *names, *given]) == 0
    record = json.loads((tmp_path / "records" / "random-half.json").read_text())
    assert (record["method"], record["parameters"]) == ("random", other["parameters"])
    capsys.readouterr()
    assert main(["leaderboard", "verify", "gradient", *given]) == 2
    assert (
        "gradient runs with gain = nothing, the entry says 1.0" in capsys.readouterr().err
    )  # ours is another method of that name
    path = entries / "gradient" / "submission.json"
    path.write_text(path.read_text().replace('"gradient"', '"slope"'))
    assert main(["leaderboard", "verify", "gradient", *given]) == 2
    assert "the method 'slope' of gradient is none of this package; install its authors'" in (
        capsys.readouterr().err
    )
    assert main(["leaderboard", "verify", "random-half", "gradient", "--seed", "1", *given]) == 2
    assert "--method and its options are one entry's; give the entries one by one" in capsys.readouterr().err


def test_other_parameters_than_the_entry_s_are_told(entries, fresh, capsys):
    capsys.readouterr()
    assert verify(entries, fresh, "--seed", "3", entry="random-half", method="random") == 0
    assert "note: random-half runs with seed = 3, the entry says 0" in capsys.readouterr().err
    assert verify(entries, fresh, entry="random-half", method="random") == 0
    assert "note:" not in capsys.readouterr().err


def test_a_checkout_with_changes_verifies_nothing(entries, fresh, commit, capsys):
    commit(dirty=True)
    capsys.readouterr()
    assert verify(entries, fresh) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "this checkout has uncommitted changes" in line
    assert not (entries.parent / "verified").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"entry": "random-half"}, "the method calls itself 'gradient', the entry's is 'random'"),
        ({"entry": "nobody"}, "no entry 'nobody'"),
        ({"entry": "../entries/gradient"}, "no entry '../entries/gradient'"),
        ({"method": "nothing:Nothing"}, "needs the module 'nothing'"),
    ],
)
def test_what_can_not_be_verified_is_one_line_and_leaves_no_record(entries, fresh, capsys, options, expected):
    capsys.readouterr()
    assert verify(entries, fresh, **options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (entries.parent / "verified").exists()


def test_a_dataset_that_is_no_folder_here_is_told_so(entries, capsys):
    capsys.readouterr()
    assert verify(entries, "owner/fresh") == 2
    assert capsys.readouterr().err == (
        "error: there is no folder owner/fresh; give the folder of the fresh dataset with --dataset\n"
    )


def test_a_public_dataset_verifies_nothing(entries, tiny_dataset, capsys):
    assert verify(entries, tiny_dataset) == 2
    assert "which is public; make a fresh dataset: python -m tools.emoji scenes" in capsys.readouterr().err
    assert not (entries.parent / "verified").exists()


class Hardened(Gradient):
    """The same method, but with hard masks."""

    def segment(self, queries):
        return [
            [found.resize(query.image).threshold(0.3) for found in items]
            for query, items in zip(queries, super().segment(queries), strict=True)
        ]


def test_heat_maps_are_not_verified_by_masks(entries, fresh, capsys):
    assert verify(entries, fresh, method=f"{__name__}:Hardened") == 2
    assert "on scenes the method has scores at tau none, the entry at 0.3, 0.4" in capsys.readouterr().err


def test_a_damaged_record_is_named(entries, fresh, tiny_dataset, capsys):
    assert verify(entries, fresh) == 0
    path = entries.parent / "verified" / "gradient.json"
    path.write_text(path.read_text().replace('"by"', '"By"'))
    capsys.readouterr()
    assert main(["leaderboard", "check", "--entries", str(entries), "--dataset", str(tiny_dataset)]) == 2
    assert (
        'gradient.json: "by": is missing; `daam-bench leaderboard verify` writes it'
        in capsys.readouterr().out
    )
