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
from daam_bench.segmenters.registry import find_method, get_segmenter, options_of
from tests.segmenters.test_rivals import METHODS as ALL
from tools.method_lists import APART, CHOSEN_ON_DEV, ON_TRANSFORMERS, ON_UNETS
from tools.rivals.__main__ import main
from tools.rivals.against_daam import rows_of, to_markdown
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


def test_methods_beside_daam(generated_dataset):
    split = load_split(generated_dataset, "coco_gen")[:3]
    methods = {name: get_segmenter(name, device="cpu") for name in ("daam", "daam-self", "drop-word")}
    found = {
        name: score(split, method.segment(split.queries()), tau=(0.3, 0.4))
        for name, method in methods.items()
    }
    rows = cells(to_markdown(rows_of(found)))
    assert [row[0] for row in rows] == ["`daam`", "`daam-self`", "`drop-word`"]
    for name, row in zip(found, rows, strict=True):
        assert row[1].startswith(f"{100 * found[name][0.4].miou_inf:.1f} [")
        assert row[6].startswith(f"{found[name][0.4].oracle_tau:g}: ")
    difference = compare(found["drop-word"], found["daam"], "0.4", "0.4").miou_inf
    assert f"{100 * difference.mean:+.1f} [" in rows[2][2]
    assert rows[0][2] == "-"


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


def test_a_page_gets_the_table_or_is_refused(with_dev, tmp_path, capsys):
    page = tmp_path / "page.md"
    options = ["--dataset", str(with_dev), "--device", "cpu", "--output", str(tmp_path), "--limit", "2"]
    options += ["--methods", "daam-mean", "--page", str(page)]
    page.write_text("# Page\n\n<!-- part: choices -->\nold\n<!-- end -->\n\nafter\n")
    table = printed(capsys, "choose", *options)
    assert page.read_text() == f"# Page\n\n<!-- part: choices -->\n{table.strip()}\n<!-- end -->\n\nafter\n"
    page.write_text("# Page\n")
    assert main(["choose", *options]) == 2
    assert "has no place for the table" in capsys.readouterr().err
    page.unlink()
    assert main(["choose", *options]) == 2
    assert "can't read" in capsys.readouterr().err
