"""`daam-bench view` from the outside."""

import webbrowser

import pytest

from daam_bench.cli import main
from tests.browser import Opener


@pytest.fixture
def runs(tiny_dataset, tmp_path):
    for name, method in (("soft", "tests.segmenters.methods:Gradient"), ("hard", "whole")):
        options = ["--dataset", str(tiny_dataset), "--method", method, "--tau", "0.3,0.4"]
        assert main(["run", *options, "--limit", "2", "--output", str(tmp_path / name)]) == 0
    return tmp_path / "soft", tmp_path / "hard"


def test_the_viewer_of_two_runs_opens(runs, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert main(["view", *map(str, runs)]) == 0
    page = runs[0] / "viewer" / "viewer.html"
    assert opened == [page.resolve().as_uri()]
    assert "coco_gen, unreal_gen" in capsys.readouterr().out
    assert "index.html" not in page.read_text()
    assert main(["score", str(runs[0]), "--partial"]) == 0


def test_the_page_shows_masks_and_heat_maps(runs, opener: Opener):
    assert main(["view", *map(str, runs), "--no-open"]) == 0
    with opener.open(runs[0] / "viewer" / "viewer.html") as page:
        page.wait_for_selector("#viewer:not([hidden])")
        page.wait_for_selector("#panel-a .caption:has-text('IoU')")
        assert page.locator("#a option").all_inner_texts() == ["gradient", "whole"]


def test_the_same_method_twice_is_told_apart_by_its_folder(runs, tiny_dataset, tmp_path):
    again = tmp_path / "again"
    options = ["--dataset", str(tiny_dataset), "--method", "whole", "--limit", "2", "--output", str(again)]
    assert main(["run", *options]) == 0
    assert main(["view", str(runs[1]), str(again), "--no-open", "--output", str(tmp_path / "both")]) == 0
    text = (tmp_path / "both" / "viewer.html").read_text()
    assert "whole (hard)" in text
    assert "whole (again)" in text


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path, capsys):
    assert main(["view", str(tmp_path)]) == 2
    assert "no predictions.jsonl" in capsys.readouterr().err
