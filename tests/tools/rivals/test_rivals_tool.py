"""`python -m tools.rivals`: the table against DAAM, the values to choose from, the figure."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.scoring.compare import compare
from daam_bench.scoring.score import score
from daam_bench.segmenters import traced_image
from daam_bench.segmenters.registry import find_method, get_segmenter, options_of
from daam_bench.types.errors import InputError
from tests.segmenters.test_rivals import METHODS as ALL
from tools.method_lists import APART, CHOSEN_ON_DEV, ON_TRANSFORMERS, ON_UNETS
from tools.rivals.__main__ import _put_into_page, main
from tools.rivals.choices import GRID, TAUS, variants_of

METHODS = "daam,daam-self,drop-word"


@pytest.fixture(scope="module")
def with_dev(generated_dataset, tmp_path_factory):
    """The tiny dataset with a split `dev` of images that no model generated."""
    splits, card = load_whole(generated_dataset)
    given = [
        replace(one, query=replace(one.query, seed=None, generation=None)) for one in splits["unreal_gen"]
    ]
    folder = tmp_path_factory.mktemp("with-dev") / "tiny"
    write_dataset(folder, {**{name: list(split) for name, split in splits.items()}, "dev": given}, card)
    return folder


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def cells(table):
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line
    ][2:]


def test_every_method_on_the_generator_is_listed():
    assert set(ALL) == {*ON_UNETS, *ON_TRANSFORMERS, *CHOSEN_ON_DEV}
    assert set(APART) <= set(ON_UNETS)


def test_the_methods_against_daam(generated_dataset, tmp_path, capsys):
    page, output = tmp_path / "page.md", tmp_path / "out"
    page.write_text("# Page\n\n<!-- part: rivals -->\nold\n<!-- end -->\n\nafter\n")
    options = [
        "--dataset",
        str(generated_dataset),
        "--device",
        "cpu",
        "--limit",
        "3",
        "--output",
        str(output),
    ]
    table = printed(capsys, "measure", "--methods", "daam-self,drop-word", *options, "--page", str(page))
    rows = cells(table)
    assert [row[0] for row in rows] == ["`daam`", "`daam-self`", "`drop-word`"]
    split = load_split(generated_dataset, "coco_gen")[:3]
    found = {name: score(split, output / name / "coco_gen") for name in ("daam", "daam-self", "drop-word")}
    for name, row in zip(found, rows, strict=True):
        assert row[1].startswith(f"{100 * found[name][0.4].miou_inf:.1f} [")
        assert row[6].startswith(f"{found[name][0.4].oracle_tau:g}: ")
    difference = compare(found["drop-word"], found["daam"], "0.4", "0.4").miou_inf
    assert f"{100 * difference.mean:+.1f} [" in rows[2][2]
    assert rows[0][2] == "-"
    written = page.read_text()
    assert table.strip() in written
    assert "old" not in written
    assert written.startswith("# Page\n\n<!-- part: rivals -->\n| method")
    assert written.endswith("<!-- end -->\n\nafter\n")


def test_a_measurement_is_resumed(generated_dataset, tmp_path, capsys, monkeypatch):
    options = ["--dataset", str(generated_dataset), "--device", "cpu", "--output", str(tmp_path)]
    first = printed(capsys, "measure", "--methods", "daam-self", "--limit", "2", *options)
    monkeypatch.setattr(traced_image, "reproduce", lambda *_: pytest.fail("an image is generated again"))
    assert printed(capsys, "measure", "--methods", "daam-self", "--limit", "2", *options) == first


def test_every_value_to_choose_from_is_one_of_its_method():
    for variant in variants_of(list(GRID)):
        options = options_of(variant.method, find_method(variant.method))
        assert set(variant.options) <= set(options)
        made = get_segmenter(variant.method, device="cpu", **variant.options)
        defaults = get_segmenter(variant.method, device="cpu")
        assert (made.parameters == defaults.parameters) == (not variant.options), variant


def test_choices_on_dev(with_dev, tmp_path, capsys):
    options = ["--dataset", str(with_dev), "--device", "cpu", "--output", str(tmp_path), "--methods", METHODS]
    table = printed(capsys, "choose", *options, "--limit", "2")
    assert "2 images of `dev`" in table
    rows = cells(table)
    assert [row[1] for row in rows if row[0]] == ["defaults"] * 3
    assert [row[1] for row in rows[3:7]] == ["defaults", "`power=2`", "`power=4`", '`normalize="max"`']
    split = load_split(with_dev, "dev")[:2]
    one = get_segmenter("daam-self", device="cpu", default_model=split.model, power=2)
    found = score(split, one.segment(split.queries()), tau=TAUS)
    best = max(found, key=lambda tau: found[tau].miou_inf)
    assert rows[4][3] == best
    assert rows[4][4].startswith(f"{100 * found[best].miou_inf:.1f} [")
    assert rows[4][2].startswith(f"{100 * found[0.4].miou_inf:.1f} [")
    plain = score(
        split,
        get_segmenter("daam-self", device="cpu", default_model=split.model).segment(split.queries()),
        tau=TAUS,
    )
    gain = found[best].miou_inf - max(plain[tau].miou_inf for tau in plain)
    assert rows[4][5].strip("*").startswith(f"{100 * gain:+.1f} [")
    gain = max(plain[tau].miou_inf for tau in plain) - plain[0.4].miou_inf
    assert rows[3][5].strip("*").startswith(f"{100 * gain:+.1f} [")


def test_choices_are_resumed_with_more_images(with_dev, tmp_path, capsys):
    options = [
        "--dataset",
        str(with_dev),
        "--device",
        "cpu",
        "--output",
        str(tmp_path),
        "--methods",
        "daam-mean",
    ]
    printed(capsys, "choose", *options, "--limit", "2")
    file = tmp_path / "daam-mean" / "defaults" / "predictions.jsonl"
    before = file.read_bytes()
    assert "5 images of `dev`" in printed(capsys, "choose", *options)
    assert file.read_bytes().startswith(before)
    header = json.loads(before.splitlines()[0])
    assert (header["method"], header["split"]) == ("daam-mean", "dev")


def test_what_cannot_be_chosen(with_dev, tmp_path, capsys):
    options = ["--dataset", str(with_dev), "--device", "cpu", "--output", str(tmp_path)]
    assert main(["choose", *options, "--methods", "ovam-tokens"]) == 2
    assert "no values are listed to choose from for 'ovam-tokens'" in capsys.readouterr().err


def test_the_figure(generated_dataset, tmp_path, capsys):
    file = tmp_path / "methods.png"
    options = ["--dataset", str(generated_dataset), "--device", "cpu", "--output", str(file)]
    printed(capsys, "figure", *options, "--methods", "daam,drop-word", "--images", "2")
    narrow = Image.open(file).size
    printed(capsys, "figure", *options, "--methods", "daam,daam-self,drop-word", "--images", "3")
    wide = Image.open(file).size
    assert wide[0] > narrow[0]
    assert wide[1] > narrow[1]
    assert len(np.unique(np.asarray(Image.open(file)))) > 50


def test_a_page_without_a_place_for_the_table(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- part: rivals -->\n")
    with pytest.raises(InputError, match="has no place for the table"):
        _put_into_page(page, "rivals", "| a |")
    with pytest.raises(InputError, match="can't read"):
        _put_into_page(tmp_path / "nowhere.md", "rivals", "| a |")
