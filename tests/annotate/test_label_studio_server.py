"""Masks through a real Label Studio, driven through its HTTP API.

It runs on request: install Label Studio in an environment of its own, and name its command.

    python3 -m venv /tmp/label-studio && /tmp/label-studio/bin/pip install label-studio
    LABEL_STUDIO=/tmp/label-studio/bin/label-studio pytest tests/annotate/test_label_studio_server.py
"""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daam_bench.annotate.brush import decode_brush, encode_brush
from daam_bench.cli import main
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.types import Annotation
from daam_bench.types.masks import decode
from tests.annotate.datasets import bare
from tests.annotate.label_studio_server import Server, running

EXECUTABLE = os.environ.get("LABEL_STUDIO")

pytestmark = pytest.mark.skipif(
    EXECUTABLE is None, reason="runs on request: LABEL_STUDIO=<its command> in the environment"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(EXECUTABLE, tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@pytest.fixture
def unannotated(tiny_dataset, tmp_path) -> Path:
    whole = load_whole(tiny_dataset)
    write_dataset(tmp_path / "unannotated", bare(whole.splits), whole.card)
    return tmp_path / "unannotated"


def project_of(server: Server, dataset: Path, folder: Path) -> int:
    """Export a split, and import it as a project: what an annotator does in the browser."""
    options = ["--format", "label-studio", "--split", "coco_gen", "--output", str(folder)]
    assert main(["export", str(dataset), *options]) == 0
    config = (folder / "labeling_config.xml").read_text()
    project = server.post("/api/projects", {"title": "masks", "label_config": config})["id"]
    tasks = json.loads((folder / "coco_gen.tasks-1.json").read_text())
    answer = server.post(f"/api/projects/{project}/import", tasks)
    assert answer["task_count"] == len(tasks)
    return project


def paint(server: Server, task: dict, example) -> None:
    """Submit what an annotator's browser would: a brush a depicted noun, a tick for each other."""
    labels = [noun["value"] for noun in task["data"]["nouns"]]
    size = {"original_width": example.query.image.width, "original_height": example.query.image.height}
    result = [
        {"type": "brushlabels", "from_name": "mask", "to_name": "image", "image_rotation": 0}
        | size
        | {"value": {"format": "rle", "rle": encode_brush(decode(mask)), "brushlabels": [label]}}
        for label, mask in zip(labels, example.masks, strict=True)
        if mask is not None
    ]
    ticked = [label for label, mask in zip(labels, example.masks, strict=True) if mask is None]
    if ticked:
        value = {"choices": ticked}
        result.append({"type": "choices", "from_name": "not_drawn", "to_name": "image", "value": value})
    server.post(f"/api/tasks/{task['id']}/annotations", {"result": result, "lead_time": 1.0})


def export_of(server: Server, project: int, file: Path) -> str:
    exported = server.get(f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    file.write_text(json.dumps(exported))
    return str(file)


def test_painted_masks_come_back(server, tiny_dataset, unannotated, tmp_path, capsys):
    project = project_of(server, unannotated, tmp_path / "exported")
    truth = load_split(tiny_dataset, "coco_gen")
    examples = {example.query.id: example for example in truth}
    tasks = server.get(f"/api/tasks?project={project}&fields=all&page_size=100")["tasks"]
    assert len(tasks) == len(truth)
    *painted, left = tasks
    for task in painted:
        paint(server, task, examples[task["data"]["id"]])
    file = export_of(server, project, tmp_path / "export.json")
    assert main(["import", file, "--into", str(unannotated), "--by", "Ann"]) == 0
    assert capsys.readouterr().err == ""
    for example in load_split(unannotated, "coco_gen"):
        if example.query.id == left["data"]["id"]:
            assert example.annotation is None
        else:
            assert example.masks == examples[example.query.id].masks
            assert example.annotation.by == "Ann"


def test_proposals_arrive_as_predictions_and_masks_as_annotations(server, tiny_dataset, tmp_path):
    whole = load_whole(tiny_dataset)
    first, *others = whole.splits["coco_gen"]
    proposal = replace(first, annotation=Annotation("a method", "proposal: at tau 0.4", "2024-01-01"))
    write_dataset(tmp_path / "mixed", {"coco_gen": [proposal, *others]}, whole.card)
    project = project_of(server, tmp_path / "mixed", tmp_path / "exported")
    tasks = server.get(f"/api/tasks?project={project}&fields=all&page_size=100")["tasks"]
    counts = {task["data"]["id"]: (task["total_predictions"], task["total_annotations"]) for task in tasks}
    assert counts == {first.query.id: (1, 0)} | {example.query.id: (0, 1) for example in others}
    file = export_of(server, project, tmp_path / "export.json")
    assert main(["import", file, "--into", str(tmp_path / "mixed"), "--by", "Ann"]) == 0
    again = load_split(tmp_path / "mixed", "coco_gen")
    assert again[0].annotation == proposal.annotation
    assert [example.masks for example in again] == [example.masks for example in whole.splits["coco_gen"]]


def test_its_own_library_reads_and_writes_the_same_brush():
    masks = [np.random.default_rng(seed).random((17, 23)) < seed / 8 for seed in range(9)]
    script = (
        "import json, sys, numpy as np\n"
        "from label_studio_sdk.converter.brush import decode_rle, mask2rle\n"
        "given = json.load(sys.stdin)\n"
        "masks = [decode_rle(rle).reshape(17, 23, 4)[..., 3] for rle in given]\n"
        "print(json.dumps([[mask.tolist(), mask2rle(mask)] for mask in masks]))\n"
    )
    answer = subprocess.run(
        [Path(EXECUTABLE).with_name("python"), "-c", script],
        input=json.dumps([encode_brush(mask) for mask in masks]),
        capture_output=True,
        text=True,
        check=True,
    )
    for mask, (theirs, rle) in zip(masks, json.loads(answer.stdout), strict=True):
        assert np.array_equal(np.array(theirs), 255 * mask)
        assert np.array_equal(decode_brush(rle, 17, 23), mask)
