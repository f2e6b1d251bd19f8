"""Weights that a model publishes beside its plain ones: `--variant fp16`."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.files import PREDICTIONS
from daam_bench.files.predictions import read_predictions
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_sd


@pytest.fixture(scope="module")
def half_only(tmp_path_factory) -> Path:
    """A pipeline that was saved with variant="fp16" alone, its weights unlike `tiny_sd`'s."""
    folder = tmp_path_factory.mktemp("half") / "tiny"
    pipeline = tiny_sd()
    with torch.no_grad():
        pipeline.unet.conv_out.bias += 1
    pipeline.save_pretrained(folder, variant="fp16")
    return folder


@pytest.fixture(scope="module")
def both(half_only, tmp_path_factory) -> Path:
    """The same folder with plain weights beside them."""
    folder = tmp_path_factory.mktemp("both") / "tiny"
    shutil.copytree(half_only, folder)
    tiny_sd().save_pretrained(folder)
    return folder


def bias(pipeline) -> torch.Tensor:
    return pipeline.unet.conv_out.bias.detach()


def test_a_variant_loads_its_own_weights(both):
    plain, half = (load_pipeline(str(both), device="cpu", variant=name) for name in (None, "fp16"))
    torch.testing.assert_close(bias(half), bias(plain) + 1)


@pytest.mark.parametrize(
    ("folder", "variant", "expected"),
    [
        ("both", "fp15", "has no weights of the variant 'fp15'; give --variant fp16 (it has fp16), or leave"),
        ("half_only", None, "has weights of variants alone; give --variant fp16 (it has fp16)"),
        ("tiny_model", "fp16", "has no weights of the variant 'fp16'; leave --variant out"),
    ],
)
def test_a_wrong_variant_is_one_line_that_says_which_there_are(folder, variant, expected, request):
    path = request.getfixturevalue(folder)
    with pytest.raises(InputError) as raised:
        load_pipeline(str(path), device="cpu", variant=variant)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_built_with_a_variant_is_recorded_and_run_with_it(both, tmp_path, capsys):
    captions = tmp_path / "captions.txt"
    captions.write_text("a cat and a dog\ntwo dogs on the grass\na red hat on a cat\n")
    dataset, common = tmp_path / "mine", ["--size", "2", "--steps", "2", "--device", "cpu"]
    given = ["build", "--captions", str(captions), "--model", str(both), "--variant", "fp16", *common]
    assert main([*given, "--output", str(dataset)]) == 0
    assert ", float32, variant fp16" in capsys.readouterr().err
    stored = pq.read_schema(dataset / "coco_gen.parquet").field("generation").type
    assert stored.get_field_index("variant") >= 0
    generations = {example.query.generation.variant for example in load_split(dataset, "coco_gen")}
    assert generations == {"fp16"}
    assert "weights of the variant `fp16`" in (dataset / "README.md").read_text()
    given = ["propose", str(dataset), "--method", "whole"]
    assert main(given) == 0
    for options, drifted in (([], 0), (["--model", str(both)], 4)):
        output = tmp_path / f"run-{drifted}"
        given = ["run", "--dataset", str(dataset), "--device", "cpu", *options, "--output", str(output)]
        assert main(given) == 0
        report = json.loads((output / "report.json").read_text())
        assert report["environment"]["drifted"] == drifted
        header, _ = read_predictions(output / "coco_gen" / PREDICTIONS)
        assert "variant" not in header.parameters


def test_a_dataset_without_variants_has_no_such_field(generated_dataset):
    stored = pq.read_schema(generated_dataset / "coco_gen.parquet").field("generation").type
    assert stored.get_field_index("variant") == -1
    assert stored.get_field_index("arguments") >= 0


def test_a_variant_that_is_given_goes_before_the_recorded_one(both, generated_dataset):
    query = load_split(generated_dataset, "coco_gen")[0].query
    method = get_segmenter("daam", model=str(both), variant="fp16", device="cpu")
    assert method.parameters["variant"] == "fp16"
    torch.testing.assert_close(bias(method.pipeline_of(query)), bias(tiny_sd()) + 1)


def test_show_takes_a_variant(half_only, tmp_path, capsys):
    given = ["show", "a cat on the grass", "--model", str(half_only), "--steps", "1", "--device", "cpu"]
    assert main([*given, "--output", str(tmp_path / "cat.png")]) == 2
    assert "give --variant fp16" in capsys.readouterr().err
    assert main([*given, "--variant", "fp16", "--output", str(tmp_path / "cat.png")]) == 0
    assert (tmp_path / "cat.png").exists()


def test_a_demo_takes_a_variant(half_only):
    from daam_bench.analysis.looking import Looker

    assert Looker(str(half_only), device="cpu", variant="fp16").generation.variant == "fp16"
