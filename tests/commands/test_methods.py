"""`daam-bench methods` and `queries`."""

import json

import numpy as np
import pytest
from PIL import Image

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.scoring.saved_report import read_report


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_methods_are_listed_by_track_with_options_cost_and_paper(capsys):
    listed = printed(capsys, "methods")
    generator, rest = listed.split("Track 'other weights'")
    assert generator.startswith("Track 'generator': nothing but the model that generated the images")
    assert "options of those with a *: model=null, " in generator
    assert "  iseg*: iSeg's recipe" in generator
    assert "    denoiser calls an image: 1\n    paper: arXiv 2409.03209\n" in generator
    assert 'weights={"2": 0.3, "4": 0.7}, iterations=8, entropy=0.015' in generator
    assert "  clipseg*: CLIPSeg" in rest
    assert "needs: MMDetection" in rest.split("Track 'closed vocabulary'")[1]
    assert "precomputed: " in rest.split("no track")[1]
    assert "source (required)" in rest


def test_one_method_in_full(capsys):
    told = printed(capsys, "methods", "daam-self")
    assert "made by: daam_bench.segmenters.daam_self:DaamSelf" in told
    assert "track: generator (nothing but" in told
    assert "power: How often the map is multiplied with A." in told
    assert "blocks: Parts of the denoiser that are added up" in told
    assert "seed: Seed of the noise added to images." in told
    assert "Attributes" not in told


def test_a_method_of_an_outsider(capsys):
    told = printed(capsys, "methods", "tests.segmenters.methods:Gradient")
    assert "options: gain=1.0" in told
    assert "track" not in told


def test_an_unknown_method(capsys):
    assert main(["methods", "DAAM"]) == 2
    assert "did you mean 'daam'?" in capsys.readouterr().err


def test_queries_hold_all_that_a_method_is_asked_and_no_mask(generated_dataset, tmp_path, capsys):
    output = tmp_path / "queries"
    printed(capsys, "queries", "--dataset", str(generated_dataset), "--output", str(output), "--limit", "2")
    for name in ("coco_gen", "unreal_gen"):
        split = load_split(generated_dataset, name)
        lines = (output / name / "queries.jsonl").read_text().splitlines()
        assert len(lines) == 2
        for line, query in zip(map(json.loads, lines), split.queries(), strict=False):
            assert (line["id"], line["prompt"], line["seed"]) == (query.id, query.prompt, query.seed)
            assert line["generation"]["steps"] == query.generation.steps
            assert line["generation"]["model"] == query.generation.model
            assert [line["prompt"][one["start"] : one["end"]] for one in line["nouns"]] == [
                noun.text for noun in query.nouns
            ]
            assert "mask" not in json.dumps(line)
            image = Image.open(output / name / line["image"])
            np.testing.assert_array_equal(np.asarray(image), np.asarray(query.image.convert("RGB")))


def test_the_command_that_queries_print_asks_for_the_same(tiny_dataset, tmp_path, capsys):
    options = ["queries", "--dataset", str(tiny_dataset), "--output"]
    whole = printed(capsys, *options, str(tmp_path / "whole"))
    assert whole.endswith(f"--from DIR --dataset {tiny_dataset}\n")
    part = printed(capsys, *options, str(tmp_path / "part"), "--split", "coco_gen", "--limit", "2")
    assert part.endswith(f"--dataset {tiny_dataset} --split coco_gen --limit 2\n")


def test_what_another_program_makes_of_queries_comes_back(tiny_dataset, tmp_path, capsys):
    asked, made = tmp_path / "asked", tmp_path / "made"
    printed(capsys, "queries", "--dataset", str(tiny_dataset), "--split", "coco_gen", "--output", str(asked))
    for line in (asked / "coco_gen" / "queries.jsonl").read_text().splitlines():
        query = json.loads(line)
        dark = np.asarray(Image.open(asked / "coco_gen" / query["image"]).convert("L")) < 200
        (made / "coco_gen" / query["id"]).mkdir(parents=True)
        for noun in range(len(query["nouns"])):
            np.save(made / "coco_gen" / query["id"] / f"{noun}.npy", dark)
    options = ["--dataset", str(tiny_dataset), "--split", "coco_gen", "--output", str(tmp_path / "run")]
    printed(capsys, "run", "--method", "precomputed", "--from", str(made), *options)
    report = read_report(tmp_path / "run" / "report.json")
    assert report.splits["coco_gen"]["none"].coverage == 1
    assert report.splits["coco_gen"]["none"].miou_inf > 0.2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--split", "nowhere"], "nowhere"),
        (["--limit", "0"], "limit"),
        (["--dataset", "no/such/place"], "no/such/place"),
    ],
)
def test_queries_that_cannot_be_written(options, expected, tiny_dataset, tmp_path, capsys):
    given = ["queries", "--dataset", str(tiny_dataset), "--output", str(tmp_path / "out"), *options]
    assert main(given) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_already(tiny_dataset, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("")
    assert main(["queries", "--dataset", str(tiny_dataset), "--output", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
