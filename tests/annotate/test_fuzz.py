"""Broken files: a clear error or a correct dataset, never anything else.

`DAAM_BENCH_FUZZ=10000` in the environment tries that many of each kind.
"""

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from daam_bench.annotate.export_files import coco_record, label_ids, tasks
from daam_bench.annotate.findings import put_in
from daam_bench.annotate.import_files import find_masks
from daam_bench.cli import main
from daam_bench.datasets.coco_json import category_ids, coco_json
from daam_bench.datasets.columns import check_examples
from daam_bench.datasets.load import Whole, load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.types import Split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode_runs
from tests.annotate.datasets import IMPORTED, bare
from tests.annotate.mutate import broken_bytes, broken_structure

CASES = int(os.environ.get("DAAM_BENCH_FUZZ", "150"))
CASES_OF_COMMAND = 15


@pytest.fixture(scope="module")
def unannotated(tiny_dataset, tmp_path_factory) -> Path:
    whole = load_whole(tiny_dataset)
    folder = tmp_path_factory.mktemp("fuzz") / "unannotated"
    write_dataset(folder, bare(whole.splits), whole.card)
    return folder


@pytest.fixture(scope="module", params=["coco", "coco of classes", "label-studio"])
def valid(request, tiny_dataset) -> bytes:
    """A file with every way to say a mask that its format has."""
    return json.dumps(content_of(request.param, load_split(tiny_dataset, "coco_gen"))).encode()


def content_of(kind: str, split: Split) -> object:
    if kind == "label-studio":
        content = json.loads(json.dumps(list(tasks(split))))
        (annotation,) = content[0]["annotations"]
        content[0]["annotations"] += [
            annotation | {"id": 2, "updated_at": "2024-05-03T00:00:00Z"},
            annotation | {"id": 3, "was_cancelled": True},
        ]
        return content
    content = coco_record(split, label_ids([split]))
    if kind == "coco of classes":
        content = coco_json(split.examples, category_ids(split.examples), "")
    content = json.loads(json.dumps(content))
    for annotation in content["annotations"][::3]:
        annotation["segmentation"] = [[2, 2, 20, 3, 20.5, 30], [25, 25, 31, 25, 31, 31]]
    for annotation in content["annotations"][1::3]:
        annotation["segmentation"] = {"size": [32, 32], "counts": [100, 200, 300, 400, 24]}
    return content


def check_same_but_for_masks(whole: Whole, splits) -> None:
    for name, split in whole.splits.items():
        for before, after in zip(split, splits[name], strict=True):
            check_examples([after])
            assert (after.query.id, after.query.nouns) == (before.query.id, before.query.nouns)
            for mask in after.masks:
                assert mask is None or decode_runs([mask]).areas[0] > 0
            assert after.masks == before.masks or after.annotation is not None


@pytest.mark.parametrize("broken", [broken_bytes, broken_structure])
def test_a_broken_file_is_an_error_or_gives_valid_masks(broken, valid, unannotated, tmp_path):
    whole = load_whole(unannotated)
    file = tmp_path / "file.json"
    outcomes: Counter[str] = Counter()
    for seed in range(CASES):
        file.write_bytes(broken(valid, random.Random(seed)))
        try:
            findings = find_masks([file], whole.splits, complete=seed % 2 == 0)
        except InputError as error:
            outcomes["error"] += 1
            longest = len(str(error))
        else:
            check_same_but_for_masks(whole, put_in(whole.splits, findings.found, IMPORTED))
            outcomes["some" if findings.found else "nothing"] += 1
            longest = max(map(len, findings.problems), default=0)
        assert longest < 1000
    print(dict(outcomes))
    assert outcomes["some"] > CASES // 20
    assert outcomes["error"] > CASES // 100


def test_the_command_exits_with_2_or_writes_a_whole_dataset(valid, unannotated, tmp_path, capsys):
    whole = load_whole(unannotated)
    file = tmp_path / "file.json"
    for seed in range(CASES_OF_COMMAND):
        target = tmp_path / f"new-{seed}"
        broken = (broken_bytes, broken_structure)[seed % 2]
        file.write_bytes(broken(valid, random.Random(seed)))
        status = main(["import", str(file), "--into", str(unannotated), "--output", str(target), "--by", "A"])
        lines = capsys.readouterr().err.splitlines()
        assert status in (0, 2)
        if status == 0:
            check_same_but_for_masks(whole, load_whole(target).splits)
        else:
            assert lines[-1].startswith("error: ")
            assert not target.exists()
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())
