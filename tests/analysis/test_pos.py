"""`daam-bench pos` from the outside, with a tiny pipeline."""

import csv
import json
from pathlib import Path

import pytest

from daam_bench.analysis import pos
from daam_bench.cli import main


def run(dataset: Path, output: Path, *more: str) -> int:
    return main(["pos", "--dataset", str(dataset), "--batch-size", "4", "--output", str(output), *more])


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert main(["pos", *argv]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def output(generated_dataset, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pos")
    assert run(generated_dataset, folder) == 0
    return folder


def test_every_word_has_a_row(output):
    with (output / "pos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    report = json.loads((output / "report.json").read_text())
    assert len(rows) == report["tokens"] == 10 * 5
    assert [row["text"] for row in rows[:5]] == ["a", "cat", "and", "a", "pizza"]
    assert all(0 <= float(row["coverage"]) <= 1 for row in rows)
    assert all(0 <= float(row["coverage_minmax"]) <= 1 for row in rows)


def test_the_groups_are_means_of_the_rows(output):
    with (output / "pos.csv").open(newline="") as file:
        nouns = [float(row["coverage"]) for row in csv.DictReader(file) if row["pos"] == "NOUN"]
    with (output / "pos_groups.csv").open(newline="") as file:
        (group,) = csv.DictReader(file)
    assert (group["pos"], int(group["tokens"])) == ("NOUN", len(nouns))
    assert float(group["mean"]) == pytest.approx(sum(nouns) / len(nouns), abs=1e-5)
    assert float(group["low"]) <= float(group["mean"]) <= float(group["high"])


def test_the_figure_comes_in_three_formats(output):
    assert {path.suffix for path in output.glob("pos.*")} == {".csv", ".png", ".svg", ".pdf"}
    assert not list(output.glob(".*"))


def test_the_report_says_how(output, generated_dataset):
    report = json.loads((output / "report.json").read_text())
    assert (report["dataset"], report["splits"]) == (str(generated_dataset), "coco_gen,unreal_gen")
    assert (report["images"], report["truncated"], report["torn"], report["drifted"]) == (10, 0, 0, 0)
    assert report["tau"] == 0.4
    assert report["environment"]["seeds"] == {"bootstrap": 0}


def test_a_killed_run_resumes_after_its_torn_line(generated_dataset, output, tmp_path, monkeypatch):
    lines = (output / "tokens.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "tokens.jsonl").write_bytes(b"".join(lines[:6]) + lines[6][:40])
    generated = []
    monkeypatch.setattr(pos, "generate_traced", spy(pos.generate_traced, generated))
    assert run(generated_dataset, tmp_path) == 0
    # The batch of the torn line is generated again as a whole: an image's last digits depend on its batch.
    assert len(generated) == 10 - 4
    assert (tmp_path / "pos.csv").read_text() == (output / "pos.csv").read_text()
    assert (tmp_path / "tokens.jsonl").read_bytes() == (output / "tokens.jsonl").read_bytes()


def test_parts_are_joined_to_the_same_bytes(generated_dataset, output, tmp_path, capsys):
    assert run(generated_dataset, tmp_path, "--shard", "2/2") == 0
    assert not (tmp_path / "tokens.jsonl").exists()
    assert run(generated_dataset, tmp_path) == 0
    for name in ("tokens.jsonl", "pos.csv", "pos_groups.csv"):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes()
    assert not (tmp_path / "shards").exists()


def test_more_images_are_added_to_a_finished_run(generated_dataset, tmp_path, monkeypatch):
    assert run(generated_dataset, tmp_path, "--count", "3") == 0
    generated = []
    monkeypatch.setattr(pos, "generate_traced", spy(pos.generate_traced, generated))
    assert run(generated_dataset, tmp_path, "--count", "12") == 0
    assert len(generated) == 12
    assert json.loads((tmp_path / "report.json").read_text())["images"] == 12
    assert json.loads((tmp_path / "report.json").read_text())["prompts"] == len(
        {*generated} | {"a cat and a pizza"}
    )


def test_an_interrupted_run_says_how_to_resume(generated_dataset, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pos, "generate_traced", interrupt)
    assert run(generated_dataset, tmp_path) == 130
    assert "the same command resumes where it stopped" in capsys.readouterr().err


def test_another_analysis_in_the_folder_is_not_mixed_in(generated_dataset, output, capsys):
    argv = ["--dataset", str(generated_dataset), "--output", str(output)]
    assert "--restart" in error_of(capsys, *argv, "--tau", "0.5")
    assert "--restart" in error_of(capsys, *argv, "--split", "coco_gen")


def test_free_prompts_are_tagged_generated_and_their_truncated_words_counted(tiny_model, tmp_path):
    pytest.importorskip("spacy")
    long = "a cat and a dog and " * 4 + "a pizza"
    (tmp_path / "prompts.txt").write_text(f"two teddy bear on the grass\n{long}\n")
    argv = ["--prompts", str(tmp_path / "prompts.txt"), "--model", str(tiny_model), "--steps", "2"]
    assert main(["pos", *argv, "--device", "cpu", "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["model"] == str(tiny_model)
    assert (report["images"], report["truncated"], report["tokens"]) == (2, 26 - 14, 6 + 14)


def test_a_line_that_is_no_record_is_refused_with_its_place(generated_dataset, output, tmp_path, capsys):
    header, line, *_ = (output / "tokens.jsonl").read_text().splitlines(keepends=True)
    broken = line.replace('"pos":', '"tag":', 1)
    assert broken != line
    (tmp_path / "tokens.jsonl").write_text(header + line + broken)
    message = error_of(capsys, "--dataset", str(generated_dataset), "--output", str(tmp_path))
    assert "line 3 is no record" in message
    assert "covered.tokens[0].pos" in message
    assert "--restart" in message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--prompts", "x.txt", "--dataset", "emoji"], "two sources"),
        (["--steps", "3"], "--steps goes with --prompts"),
        (["--prompts", "gone.txt"], "no such file"),
        (["--dataset", "/gone"], "no dataset '/gone'"),
        (["--tau", "1.5"], "tau is a share"),
        (["--count", "0"], "at least 1 image"),
        (["--batch-size", "0"], "batch size must be at least 1"),
        (["--split", "scenes"], "no model generated"),
    ],
)
def test_bad_input_is_one_line(argv, message, tmp_path, capsys):
    assert message in error_of(capsys, *argv, "--output", str(tmp_path / "out"))


def spy(generate_traced, generated):
    def spying(pipeline, prompts, seeds, generation):
        generated.extend(prompts)
        return generate_traced(pipeline, prompts, seeds, generation)

    return spying
