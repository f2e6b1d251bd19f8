"""What a refresh runs."""

import subprocess
from pathlib import Path

import pytest

from daam_bench.datasets import load as loading
from daam_bench.emoji import SIBLINGS
from daam_bench.segmenters.other_weights import methods_with_other_weights
from daam_bench.segmenters.registry import OURS
from daam_bench.types.errors import InputError
from tools.refresh.measuring import BY_WORD, FAITHFULNESS
from tools.refresh.orders import RANKS
from tools.refresh.planned_jobs import (
    COSTLY,
    COSTLY_SCENES,
    METHODS,
    ROOT,
    SPLITS,
    Job,
    built_datasets,
    generated_splits,
    jobs,
)


def test_every_method_of_the_package_is_run_or_said_not_to_be():
    needs_what_a_user_brings = {"mmdet", "precomputed"}
    elsewhere = set(methods_with_other_weights())
    assert set(METHODS) | elsewhere | needs_what_a_user_brings == set(OURS)
    assert not set(METHODS) & elsewhere


def test_all_splits_that_are_scored_are_run_the_cheap_before_the_costly():
    planned = [job for job in jobs() if job.dataset == "emoji"]
    assert [job.split for job in planned] == [*SPLITS, *SPLITS]
    assert {job.methods for job in planned[3:]} == {COSTLY}
    assert "dev" not in built_datasets()["emoji"]


def test_costly_methods_take_some_of_the_scenes_and_all_generated_images():
    limits = {job.split: job.limit for job in jobs() if job.methods == COSTLY and job.dataset == "emoji"}
    assert limits == {"scenes": COSTLY_SCENES, "coco_gen": None, "unreal_gen": None}
    assert {job.limit for job in jobs(limit=5)} == {5}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
@pytest.mark.parametrize("dataset", ["", *SIBLINGS])
def test_git_ignores_nothing_that_is_published(dataset):
    folder = Path("baselines", "results", dataset)
    names = [f"{name}.{kind}" for name in (FAITHFULNESS, "daam/report") for kind in ("json", "md")]
    names += [f"table.{kind}" for kind in ("md", "csv", "tex", "png", "svg", "pdf")]
    paths = [
        str(folder / name) for name in (*names, *(() if dataset else (f"{BY_WORD}.json", f"{RANKS}.json")))
    ]
    ignored = subprocess.run(["git", "check-ignore", "--no-index", *paths], cwd=ROOT, capture_output=True)
    assert ignored.stdout.decode().split() == []
    assert ignored.returncode == 1


def test_a_refresh_keeps_to_what_is_named():
    assert list(jobs(["emoji/coco_gen"], ["whole", "jvp"])) == [
        Job("emoji", "coco_gen", ("whole",), None),
        Job("emoji", "coco_gen", ("jvp",), None),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["imagenet"],), "no dataset 'imagenet'"),
        ((["emoji/dev"],), "no split 'dev' of emoji"),
        (([], ["sam3"]), "no method 'sam3'"),
    ],
)
def test_what_is_not_in_the_plan_is_one_line(arguments, said):
    with pytest.raises(InputError, match=said):
        list(jobs(*arguments))


@pytest.mark.parametrize("name", SIBLINGS)
def test_a_sibling_that_is_named_and_not_built_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_PACKAGE", tmp_path / "daam_bench")
    with pytest.raises(InputError, match=f"the dataset '{name}' is not at .*tools.emoji sibling"):
        list(jobs([name]))


def test_all_methods_are_planned_on_generated_splits_alone():
    planned = generated_splits(jobs())["emoji"]
    assert list(planned) == ["coco_gen", "unreal_gen"]
    assert set(planned["coco_gen"]) == set(METHODS)
    assert generated_splits(jobs(["emoji/scenes"])) == {}
