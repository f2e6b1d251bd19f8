"""A dataset folder is read by `datasets` where daam-bench is not installed."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset

from daam_bench.datasets.caption_sources import read_captions
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset

SHIPPED = Path(__file__).parents[2] / "annotations" / "emoji"

CODE = """
import json, sys
sys.modules["daam_bench"] = None  # importing it is an ImportError
from datasets import load_dataset

folder = sys.argv[1]
every, one = load_dataset(folder), load_dataset(folder, split="unreal_gen")
first = one[0]
print(json.dumps({
    "splits": {name: len(split) for name, split in every.items()},
    "prompts": one["prompt"][:],
    "size": first["image"].size,
    "nouns": [noun["text"] for noun in first["nouns"]],
    "counts": [noun["mask"] and noun["mask"]["counts"] for noun in first["nouns"]],
}))
"""


@pytest.mark.parametrize("which", ["tiny", "shipped"])
def test_load_dataset_works_without_this_package(tiny_dataset, tmp_path, which):
    folder = SHIPPED if which == "shipped" else tiny_dataset
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    split = load_split(folder, "unreal_gen")
    assert record["splits"]["unreal_gen"] == len(split)
    assert "coco_gen" in record["splits"]
    assert record["prompts"] == [example.query.prompt for example in split]
    assert tuple(record["size"]) == split[0].query.image.size
    assert record["nouns"] == [noun.text for noun in split[0].query.nouns]
    assert record["counts"] == [mask and mask.counts for mask in split[0].masks]


def test_what_is_kept_of_another_folder_of_that_name_is_not_taken_for_it(tiny_dataset, tmp_path):
    """`datasets` knows a local folder by its name and its card alone."""
    whole = load_whole(tiny_dataset)
    for place, ids in (("first", "one"), ("second", "two")):
        examples = [
            replace(example, query=replace(example.query, id=f"{ids}-{example.id}"))
            for example in whole.splits["coco_gen"]
        ]
        write_dataset(tmp_path / place / "same", {"coco_gen": examples}, "# The same card\n")
        loaded = load_dataset(
            str(tmp_path / place / "same"), split="coco_gen", cache_dir=str(tmp_path / "cache")
        )
        assert loaded["id"][0] == f"{ids}-coco-0"


def test_captions_are_read_from_the_folder_as_it_is_now(tmp_path):
    for text in ("a cat on a mat", "a dog in the fog"):
        folder = tmp_path / text[2:5] / "captions"
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: a.jsonl\n---\n"
        )
        (folder / "a.jsonl").write_text(json.dumps({"caption": text}) + "\n")
        assert [caption.text for caption in read_captions(f"{folder}:caption")] == [text]
