import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split

TEXT = """a cat and a dog
two dogs on the grass

a red hat on a cat
the pizza and the hat
"""


@pytest.fixture
def arguments(tiny_model, tmp_path) -> list[str]:
    (tmp_path / "captions.txt").write_text(TEXT)
    return [
        *("build", "--captions", str(tmp_path / "captions.txt"), "--model", str(tiny_model)),
        *("--size", "3", "--steps", "2", "--device", "cpu", "--licence", "cc-by-4.0"),
    ]


def test_build_from_a_text_file(arguments, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr()
    counts = "3 in coco_gen and 3 in unreal_gen"
    assert said.out == f"{tmp_path / 'mine'}/: {counts}: examples, not annotated yet\n"
    assert "captions passed over: " in said.err
    texts = TEXT.split("\n")
    for example in load_split(tmp_path / "mine", "coco_gen"):
        assert texts[int(example.source.caption_id) - 1] == example.query.prompt
        assert {token.pos for token in example.tokens} >= {"NOUN"}
    for example in load_split(tmp_path / "mine", "unreal_gen"):
        assert len(example.source.swapped_from) == len(example.query.nouns)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert "`captions.txt`" in card
    assert str(tmp_path / "captions.txt") not in card
    assert "diffusers " in card


def test_build_says_in_one_line_what_is_wrong(arguments, tmp_path, capsys):
    (tmp_path / "mine").write_text("")
    for extra, complaint in ((["--output", str(tmp_path / "mine")], "is there already"), ([], "--output")):
        try:
            status = main([*arguments, *extra])
        except SystemExit as stop:
            status = stop.code
        assert status == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert complaint in line


def line_of(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run, expect exit code 2, and return the one line on stderr."""
    capsys.readouterr()
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (("--split", "coco_gen,unrealgen"), "no split 'unrealgen'"),
        (("--split", ","), "argument --split: name at least one"),
        (("--size", "0"), "--size must be at least 1, not 0"),
    ],
)
def test_splits_and_sizes_that_make_no_sense(arguments, tmp_path, capsys, extra, complaint):
    assert complaint in line_of(capsys, [*arguments, "--output", str(tmp_path / "mine"), *extra])
    assert [path.name for path in tmp_path.iterdir()] == ["captions.txt"]


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (("--size", "-5"), "--size must be at least 1, not -5"),
        (("--min-nouns", "0"), "--min-nouns must be at least 1, not 0"),
        (("--split", "coco_gen"), "--split goes with --model"),
        (("--steps", "3"), "--steps goes with --model"),
        (("--argument", "eta=1"), "--argument goes with --model"),
        (("--batch-size", "2"), "--batch-size goes with --model"),
        (("--shard", "1/2"), "--shard goes with --model"),
        (("--restart",), "--restart goes with --model"),
    ],
)
def test_without_a_model_nothing_is_ignored(tmp_path, capsys, extra, complaint):
    (tmp_path / "captions.txt").write_text(TEXT)
    argv = ["build", "--captions", str(tmp_path / "captions.txt"), "--output", str(tmp_path / "mine"), *extra]
    assert complaint in line_of(capsys, argv)
    assert [path.name for path in tmp_path.iterdir()] == ["captions.txt"]


@pytest.mark.parametrize("extra", [("--seed", "1"), ("--min-nouns", "2"), ("--pipeline-nlp", "en")])
def test_options_of_captions_are_refused_with_prompts(tmp_path, capsys, extra):
    argv = ["build", "--prompts", "coco", "--model", "emoji", "--output", str(tmp_path / "mine"), *extra]
    assert f"{extra[0]} goes with --captions" in line_of(capsys, argv)


def test_a_shard_says_how_to_begin_again(arguments, tmp_path, capsys):
    argv = [*arguments, "--output", str(tmp_path / "mine"), "--batch-size", "2"]
    assert main([*argv, "--shard", "1/2"]) == 0
    capsys.readouterr()
    assert main([*argv, "--shard", "1/2", "--restart", "--steps", "3"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("run it once without --shard and with --restart, or remove the folder")
