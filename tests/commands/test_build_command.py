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
