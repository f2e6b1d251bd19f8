"""`daam-bench show`, with a tiny model and with the shipped one."""

import json
import re

import pytest
from PIL import Image

from daam_bench.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def page_data(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])


def test_an_image_is_generated_by_the_shipped_model_into_a_file_named_after_it(here, capsys):
    assert main(["show", "A cat, and an astronaut!", "--steps", "2", "--seed", "7", "--words", "cat"]) == 0
    said = capsys.readouterr()
    assert files(here) == ["a-cat-and-an-astronaut-7.png"]
    assert said.out == "a-cat-and-an-astronaut-7.png: cat\n"
    [warning] = said.err.splitlines()
    assert "never trained on astronaut;" in warning
    assert "cat, chair" in warning


def test_figure_and_page_are_written_where_asked_and_nothing_else(here, tiny_model, capsys):
    command = ["show", "a teddy bear and a cat", "--model", str(tiny_model), "--steps", "2"]
    command += ["--words", "teddy bear,a"]
    assert main([*command, "--output", "new/cat.svg", "--html", "cat.html"]) == 0
    assert "new/cat.svg: teddy bear, a#1, a#2\n" in capsys.readouterr().out
    assert files(here) == ["cat.html", "new"]
    assert [word["name"] for word in page_data(here / "cat.html")["words"]] == [
        "a#1", "teddy bear", "and", "a#2", "cat"
    ]  # fmt: skip
    before = (here / "new" / "cat.svg").read_bytes(), (here / "cat.html").read_bytes()
    assert main([*command, "--output", "new/cat.svg", "--html", "cat.html"]) == 0
    assert before == ((here / "new" / "cat.svg").read_bytes(), (here / "cat.html").read_bytes())
    assert main([*command, "--seed", "1", "--html", "only.html"]) == 0
    assert files(here) == ["cat.html", "new", "only.html"]


def test_an_image_that_no_model_generated_is_looked_at_at_a_size_that_fits(here, tiny_model, capsys):
    Image.radial_gradient("L").convert("RGB").resize((90, 60)).save("photo.jpg")
    command = ["show", "--image", "photo.jpg", "--prompt", "a cat", "--model", str(tiny_model)]
    assert main([*command, "--words", "cat", "--output", "a.png", "--html", "a.html"]) == 0
    assert "photo.jpg: 90x60 pixels, resized to 16x16 pixels" in capsys.readouterr().err
    data = page_data(here / "a.html")
    assert data["size"] == [60, 90]
    assert data["words"][0]["map"]["size"] == [8, 8]


def test_an_image_of_the_model_s_size_is_looked_at_as_it_is(here, tiny_model, capsys):
    Image.new("RGB", (16, 16), "green").save("photo.png")
    command = ["show", "a cat", "--image", "photo.png", "--model", str(tiny_model), "--words", "cat"]
    assert main([*command, "--output", "a.png"]) == 0
    assert "resized" not in capsys.readouterr().err


def test_what_the_model_does_not_see_is_said(here, tiny_model, capsys):
    prompt = "a cat " * 7 + "on the red grass"
    command = ["show", prompt, "--model", str(tiny_model), "--words", "cat#1", "--steps", "1"]
    assert main([*command, "--output", "a.png"]) == 0
    told = capsys.readouterr().err
    assert "warning: the model sees only 16 tokens, and not 'on the red grass'" in told
    assert "truncated" not in told
    assert "Token indices" not in told


WRONG = {
    "no prompt": [],
    "an empty prompt": [" "],
    "two prompts": ["a cat", "--prompt", "a dog"],
    "no word of the prompt": ["a cat", "--words", "dog"],
    "an empty word": ["a cat", "--words", "cat,"],
    "no such occurrence": ["a cat", "--words", "cat#3"],
    "tau above one": ["a cat", "--tau", "1.5"],
    "tau that is no number": ["a cat", "--tau", "nan"],
    "no steps": ["a cat", "--steps", "0"],
    "a negative seed": ["a cat", "--seed", "-1"],
    "a figure of no known kind": ["a cat", "--output", "cat.gif"],
    "a page that is none": ["a cat", "--html", "cat.png"],
    "a folder": ["a cat", "--output", "folder.png"],
    "a folder that is a file": ["a cat", "--words", "cat", "--steps", "1", "--output", "photo.png/cat.png"],
    "no such image": ["a cat", "--image", "none.png"],
    "an image that would be replaced": ["a cat", "--image", "photo.png", "--output", "./photo.png"],
    "steps of an image that is there": ["a cat", "--image", "photo.png", "--steps", "5"],
    "no such model": ["a cat", "--model", "no/such/folder"],
    "no such device": ["a cat", "--device", "abacus"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_input_is_said_in_one_line_and_leaves_nothing(here, tiny_model, capsys, arguments):
    (here / "folder.png").mkdir()
    Image.new("RGB", (16, 16)).save("photo.png")
    model = [] if "--model" in arguments else ["--model", str(tiny_model)]
    assert main(["show", *arguments, *model]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len([line for line in said.err.splitlines() if line.startswith("error: ")]) == 1
    assert files(here) == ["folder.png", "photo.png"]
