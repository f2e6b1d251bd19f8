"""`daam-bench faithfulness` from the outside, with a tiny pipeline."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from daam_bench import load_split
from daam_bench.analysis import measure_effects
from daam_bench.analysis.asked_words import ask
from daam_bench.analysis.effects_report import read_faithfulness
from daam_bench.attribution.intervene import Intervention
from daam_bench.cli import main
from daam_bench.datasets.write import write_dataset
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types import Noun
from daam_bench.types.errors import InputError

COLUMNS = {"another word's", "shifted", "blurred", "random", "centre", "weights shuffled"}


def run(dataset: Path, output: Path, *more: str) -> int:
    options = ["--split", "coco_gen", "--limit", "2", "--device", "cpu"]
    return main(["faithfulness", "--dataset", str(dataset), *options, *more, "--output", str(output)])


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert main(["faithfulness", *argv]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
    return line


@pytest.fixture(scope="module")
def output(generated_dataset, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faithfulness")
    assert run(generated_dataset, folder, "--method", "daam", "random") == 0
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "words.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_soft_and_hard_methods_stand_in_tables_of_their_own_beside_their_controls(output, generated_dataset):
    report = read_faithfulness(output / "faithfulness.json")
    assert (report.dataset, report.words, report.partial) == (str(generated_dataset), ("nouns",), True)
    assert report.environment.limit == 2
    split = report.splits["coco_gen"]
    assert (split.images, split.left_out) == (2, 0)
    daam, random = (split.methods[name].groups["noun"] for name in ("daam", "random"))
    assert set(daam.soft) == {"map", *COLUMNS}
    assert set(daam.hard) == {"0.4"}
    assert random.soft == {}
    assert set(random.hard["none"]) == {"map", "ground truth", *COLUMNS} - {"random"}
    assert daam.words + daam.undefined == 4
    assert daam.soft["random"].mean == 0
    assert "daam - random" in split.differences_hard
    assert split.differences == {}


def test_every_word_and_map_has_a_row_that_the_report_is_the_mean_of(output):
    rows = [row for row in rows_of(output) if (row["method"], row["map"]) == ("daam", "map")]
    soft = [float(row["f_or_j"]) for row in rows if row["tau"] == ""]
    hard = [float(row["f_or_j"]) for row in rows if row["tau"] == "0.4"]
    scores = read_faithfulness(output / "faithfulness.json").splits["coco_gen"].methods["daam"].groups["noun"]
    assert scores.soft["map"].mean == pytest.approx(np.mean(soft), abs=1e-5)
    assert scores.hard["0.4"]["map"].mean == pytest.approx(np.mean(hard), abs=1e-5)
    assert {row["text"] for row in rows} <= {"cat", "pizza", "dog", "tree"}
    for row in rows:
        if row["tau"]:
            j = float(row["n"]) - float(row["area"])
            assert float(row["f_or_j"]) == pytest.approx(j, abs=1e-5)


def test_page_and_figure_are_written(output):
    page = (output / "faithfulness.md").read_text()
    assert "| **daam** |" in page
    assert "| random: ground truth |" in page
    assert "too narrow" in page
    with Image.open(output / "faithfulness.png") as figure:
        assert len(figure.convert("RGB").getcolors(1 << 20)) > 10


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(output, generated_dataset, tmp_path):
    # The last digits of sums on a CPU depend on how many threads share them.
    workers = ("--workers", "2", "--threads", str(torch.get_num_threads()))
    assert run(generated_dataset, tmp_path, "--method", "daam", "random", *workers) == 0
    for path in sorted(output.glob("coco_gen/*.jsonl")):
        assert (tmp_path / path.relative_to(output)).read_bytes() == path.read_bytes()
    one, two = (read_faithfulness(folder / "faithfulness.json") for folder in (output, tmp_path))
    assert one.splits == two.splits


def test_shards_are_no_option(generated_dataset, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(generated_dataset, tmp_path, "--shard", "1/2")
    assert "unrecognized arguments: --shard" in capsys.readouterr().err


def test_the_cost_is_said_before_it_begins(generated_dataset, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure_effects, "generate", interrupt)
    assert run(generated_dataset, tmp_path, "--method", "whole") == 130
    error = capsys.readouterr().err
    # 3 calls, of the whole prompt and for the shuffled control; a word: 1, and at 3 calls it is absent
    # everywhere, in 3 controls' 6 parts, in the ground truth, and in a mask with its 5 controls.
    rows = 2 * (2 * 3 + 2 * (1 + 3 * (1 + 3 * 6 + 1 + 6)))
    assert f"2 images to generate again, then up to {rows} rows of the denoiser for 4 words" in error
    assert "the same command resumes" in error


def test_a_killed_run_resumes_and_another_method_is_added(generated_dataset, output, tmp_path, monkeypatch):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "coco_gen" / "daam.effects.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    generated = []

    def spying(pipeline, prompts, seeds, generation):
        generated.extend(prompts)
        return generate(pipeline, prompts, seeds, generation)

    monkeypatch.setattr(measure_effects, "generate", spying)
    assert run(generated_dataset, tmp_path, "--method", "daam", "random") == 0
    assert len(generated) == 1
    assert rows_of(tmp_path) == rows_of(output)
    whole, resumed = (
        read_faithfulness(folder / "faithfulness.json").environment.wall_seconds
        for folder in (output, tmp_path)
    )
    assert (whole > 0, resumed) == (True, None)
    assert run(generated_dataset, tmp_path, "--method", "daam", "whole") == 0
    assert len(generated) == 3
    whole = [row for row in rows_of(tmp_path) if (row["method"], row["map"]) == ("whole", "map")]
    assert all(float(row["n"]) == pytest.approx(1, abs=1e-4) for row in whole)
    assert all(float(row["f_or_j"]) == pytest.approx(0, abs=1e-4) for row in whole)


def test_the_folder_of_a_run_gives_the_same_scores(generated_dataset, output, tmp_path):
    runs = tmp_path / "run"
    options = ["--split", "coco_gen", "--limit", "2", "--device", "cpu", "--output", str(runs)]
    assert main(["run", "--method", "daam", "--dataset", str(generated_dataset), *options]) == 0
    assert run(generated_dataset, tmp_path / "out", "--method", str(runs)) == 0
    names = ("id", "start", "map", "tau", "f_or_j")
    mine, theirs = (
        [[row[name] for name in names] for row in rows_of(folder) if row["method"] == "daam"]
        for folder in (tmp_path / "out", output)
    )
    assert mine == theirs


def test_a_part_that_two_methods_have_is_measured_once(generated_dataset, tmp_path, monkeypatch):
    measured = []
    original = Intervention.blended

    def counting(self, word, masks, *rest):
        measured.append(len(masks))
        return original(self, word, masks, *rest)

    monkeypatch.setattr(Intervention, "blended", counting)
    assert run(generated_dataset, tmp_path / "alone", "--method", "daam") == 0
    alone = sum(measured)
    twin = shutil.copytree(tmp_path / "alone" / "runs" / "daam", tmp_path / "twin")
    measured.clear()
    assert run(generated_dataset, tmp_path / "both", "--method", "daam", "random", str(twin)) == 0
    both = sum(measured)
    measured.clear()
    assert run(generated_dataset, tmp_path / "other", "--method", "daam", "random") == 0
    assert alone < sum(measured) == both
    methods = read_faithfulness(tmp_path / "both" / "faithfulness.json").splits["coco_gen"].methods
    assert len(methods) == 3
    one, two = (methods[name].groups for name in methods if name != "random")
    assert one == two


def test_other_words_are_scored_by_part_of_speech(generated_dataset, tmp_path):
    assert run(generated_dataset, tmp_path, "--words", "all", "--limit", "1") == 0
    groups = read_faithfulness(tmp_path / "faithfulness.json").splits["coco_gen"].methods["daam"].groups
    assert set(groups) == {"noun", "X"}
    assert groups["X"].words + groups["X"].undefined == 3


def test_an_image_that_comes_out_otherwise_is_left_out_and_counted(generated_dataset, tmp_path, capsys):
    split = load_split(str(generated_dataset), "coco_gen")
    first, *others = split.examples
    grey = replace(first, query=replace(first.query, image=Image.new("RGB", first.image.size, "grey")))
    write_dataset(tmp_path / "data", {"coco_gen": [grey, *others]}, "# One image is another\n")
    assert run(tmp_path / "data", tmp_path / "out") == 0
    assert "1 images came out unlike the dataset's" in capsys.readouterr().err
    found = read_faithfulness(tmp_path / "out" / "faithfulness.json").splits["coco_gen"]
    assert (found.images, found.left_out) == (1, 1)
    assert {row["id"] for row in rows_of(tmp_path / "out")} == {"coco_gen-1"}


def test_a_word_past_the_text_encoders_limit_is_left_out_and_said(
    generated_dataset, tiny_model, tmp_path, caplog
):
    example = load_split(str(generated_dataset), "coco_gen")[0]
    prompt = f"{example.prompt} and a {'red ' * 10}hat"
    start = prompt.index("hat")
    nouns = (*example.query.nouns, Noun("hat", "hat", start, start + 3, None))
    generation = example.query.generation
    (image,) = generate(load_pipeline(str(tiny_model), device="cpu"), [prompt], [0], generation)
    query = replace(example.query, prompt=prompt, nouns=nouns, seed=0, image=image.image)
    longer = replace(example, query=query, masks=(*example.masks, None), annotation=None, tokens=())
    write_dataset(tmp_path / "data", {"coco_gen": [longer]}, "# A long prompt\n")
    assert run(tmp_path / "data", tmp_path / "out", "--method", "whole") == 0
    assert "the word is left out" in caplog.text
    assert {row["text"] for row in rows_of(tmp_path / "out")} == {"cat", "pizza"}


def test_what_is_left_behind_of_other_settings_is_not_mixed_in(generated_dataset, output, capsys):
    usual = ["--dataset", str(generated_dataset), "--split", "coco_gen", "--device", "cpu"]
    message = error_of(capsys, *usual, "--words", "all", "--output", str(output))
    assert "--restart" in message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--words", "nuns"], "verbs; did you mean 'nouns'?"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--batch-size", "0"], "batch size must be at least 1"),
        (["--tau", "1.5"], "tau is a share"),
        (["--method", "dam"], "did you mean 'daam'"),
        (["--method", "./gone"], "no predictions.jsonl in ./gone"),
        (["--dataset", "/gone"], "no dataset '/gone'"),
        (["--split", "gone"], "gone"),
        (["--device", "toaster"], "device 'toaster' can't be used"),
    ],
)
def test_bad_input_is_one_line(argv, message, generated_dataset, tmp_path, capsys):
    usual = ["--dataset", str(generated_dataset), "--split", "coco_gen"]
    assert message in error_of(capsys, *usual, *argv, "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_split_that_no_model_generated_is_refused(tiny_dataset, tmp_path, capsys):
    message = error_of(capsys, "--dataset", str(tiny_dataset), "--output", str(tmp_path / "out"))
    assert "choose generated splits" in message


def test_a_run_of_the_nouns_has_no_maps_of_other_words(generated_dataset, output, tmp_path, capsys):
    folder = output / "runs" / "daam"
    usual = ["--dataset", str(generated_dataset), "--split", "coco_gen", "--limit", "2"]
    argv = [*usual, "--method", str(folder), "--words", "all", "--output", str(tmp_path / "out")]
    assert "give --words nouns" in error_of(capsys, *argv)


def test_a_run_that_lacks_words_is_refused(generated_dataset, output, tmp_path, capsys):
    folder = output / "runs" / "daam"
    usual = ["--dataset", str(generated_dataset), "--split", "coco_gen", "--limit", "3"]
    argv = [*usual, "--method", str(folder), "--output", str(tmp_path / "out")]
    assert "lacks 2 of 6 words at tau 0.4" in error_of(capsys, *argv)


def test_a_report_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "faithfulness.json"
    path.write_text(json.dumps({"measure": "1"}))
    with pytest.raises(InputError, match='no report of faithfulness: "dataset": is missing'):
        read_faithfulness(path)


def test_asked_words_stand_in_the_nouns_place(generated_dataset):
    split = load_split(str(generated_dataset), "coco_gen")
    asked = ask(split[1:3], ("nouns",))
    assert asked.split.fingerprint == split.fingerprint
    assert [len(example.query.nouns) for example in asked.split] == [2, 2]
    every = ask(split[1:3], ("all",))
    assert every.split.fingerprint != split.fingerprint
    assert [example.id for example in every.split] == [example.id for example in split[1:3]]
    assert every.split.partial
    example = every.split[0]
    assert " ".join(noun.text for noun in example.query.nouns) == example.prompt
    assert [mask is None for mask in example.masks] == [True, False, True, True, False]
    assert every.groups[0] == ("X", "noun", "X", "X", "noun")
