"""From captions to a report and every analysis, with models that are diffusion transformers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.generate import reproduce
from daam_bench.diffusion.pipelines import load_pipeline
from tests.tiny_diffusion_transformers import ALL

CAPTIONS = "a cat and a dog\ntwo dogs on the grass\na red ball and a pizza\n"
OPTIONS = {
    "sd3": ["--argument", "max_sequence_length=24", "--argument", "negative_prompt=a dog"],
    "flux": ["--argument", "max_sequence_length=24", "--height", "32", "--width", "48"],
}
BATCH = ["--batch-size", "3"]


@pytest.fixture(scope="module", params=OPTIONS)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(family, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / family
    ALL[family]().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def built(model, family, tmp_path_factory) -> Path:
    """A dataset as it is built and proposed, all defaults being the pipeline's but for the steps."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "captions.txt").write_text(CAPTIONS)
    command = ["build", "--captions", str(folder / "captions.txt"), "--model", str(model), "--size", "3"]
    command += ["--steps", "2", "--output", str(folder / "mine"), "--device", "cpu", *BATCH]
    assert main([*command, *OPTIONS[family]]) == 0
    assert main(["propose", str(folder / "mine"), "--method", "daam", "--device", "cpu", *BATCH]) == 0
    return folder / "mine"


def test_what_the_user_left_out_is_the_pipelines_own_and_the_rest_is_recorded(built, family):
    generation = load_split(built, "coco_gen")[0].query.generation
    assert generation.scheduler == "FlowMatchEulerDiscreteScheduler"
    assert generation.guidance_scale == {"sd3": 7.0, "flux": 3.5}[family]
    assert (generation.height, generation.width) == {"sd3": (64, 64), "flux": (32, 48)}[family]
    arguments = json.loads(generation.arguments)
    assert arguments["max_sequence_length"] == 24
    assert arguments.get("negative_prompt") == {"sd3": "a dog", "flux": None}[family]
    assert '"max_sequence_length": 24' in (built / "README.md").read_text()


def test_images_come_out_the_same_to_the_bit(built, model):
    for name in ("coco_gen", "unreal_gen"):
        queries = load_split(built, name).queries()
        pipeline = load_pipeline(str(model), device="cpu")
        assert set(reproduce(pipeline, queries, queries[0].generation).values()) == {0.0}


def test_the_recorded_arguments_matter(built, model):
    queries = load_split(built, "coco_gen").queries()
    pipeline = load_pipeline(str(model), device="cpu")
    without = replace(queries[0].generation, arguments=None)
    assert min(reproduce(pipeline, queries, without).values()) > 0


def test_daam_runs_on_it(built, tmp_path):
    output = tmp_path / "out"
    command = ["run", "--method", "daam", "--dataset", str(built), "--device", "cpu", *BATCH]
    assert main([*command, "--output", str(output)]) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["environment"]["drifted"] == 0
    assert report["splits"]["coco_gen"]["0.4"]["coverage"] == 1
    drift = [json.loads(line) for line in (output / "coco_gen" / "drift.jsonl").read_text().splitlines()[1:]]
    assert {line["difference"] for line in drift} == {0.0}


def test_pos_traces_it_and_prompts_of_a_file(built, model, family, tmp_path):
    output = tmp_path / "out"
    assert main(["pos", "--dataset", str(built), "--device", "cpu", *BATCH, "--output", str(output)]) == 0
    lines = [json.loads(line) for line in (output / "tokens.jsonl").read_text().splitlines()[1:]]
    assert len(lines) == 6
    assert all(line["difference"] == 0 for line in lines)
    assert all(line["covered"]["truncated"] + line["covered"]["torn"] == 0 for line in lines)
    (tmp_path / "prompts.txt").write_text("a cat on the grass\n")
    command = ["pos", "--prompts", str(tmp_path / "prompts.txt"), "--model", str(model), "--steps", "1"]
    assert main([*command, *OPTIONS[family], "--output", str(tmp_path / "more")]) == 0


def test_layers_scores_each_block(built, family, tmp_path):
    output = tmp_path / "out"
    command = ["layers", "--dataset", str(built), "--split", "coco_gen", "--bins", "2", "--device", "cpu"]
    assert main([*command, *BATCH, "--output", str(output)]) == 0
    with (output / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = [row for row in rows if row["kind"] == "layer"]
    assert len(layers) == {"sd3": 3, "flux": 4}[family]
    shares = {row["start_token_share"] for row in rows}
    if family == "flux":  # T5 puts no token before the prompt
        assert shares == {""}
    else:
        assert all(0 < float(share) < 1 for share in shares)


def test_show_generates_and_looks_at_an_image(model, family, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["show", "a cat and a red ball", "--model", str(model), "--words", "cat,red ball"]
    assert main([*command, "--steps", "1", *OPTIONS[family], "--output", "a.png", "--html", "a.html"]) == 0
    assert "a.png: cat, red ball\n" in capsys.readouterr().out
    if family == "flux":
        return  # its default size is that of the real one: minutes
    Image.fromarray(np.full((30, 50, 3), 90, np.uint8)).save("photo.png")
    assert main([*command, "--image", "photo.png", "--output", "b.png"]) == 0
    assert "resized to" in capsys.readouterr().err


def test_cases_measure_its_maps(model, family, tmp_path):
    command = ["cases", "swapped", "--model", str(model), "--seeds", "1", "--steps", "1", "--device", "cpu"]
    assert main([*command, *OPTIONS[family], "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "swapped.json").read_text())
    assert json.loads(report["generation"]["arguments"])["max_sequence_length"] == 24


WRONG = {
    "max_sequence_lenght=24": "no argument 'max_sequence_lenght'; did you mean 'max_sequence_length'?",
    "num_inference_steps=2": "num_inference_steps is no further argument: give --steps",
    "prompt_embeds=1": "no argument 'prompt_embeds'",
    "max_sequence_length=9999": "can't generate with these settings: ",
}


@pytest.mark.parametrize("argument", WRONG)
def test_a_wrong_argument_is_told_in_one_line(model, tmp_path, argument, capsys):
    command = ["show", "a cat", "--model", str(model), "--steps", "1", "--height", "32", "--width", "32"]
    assert main([*command, "--argument", argument, "--output", str(tmp_path / "a.png")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert WRONG[argument] in line
    assert not (tmp_path / "a.png").exists()
