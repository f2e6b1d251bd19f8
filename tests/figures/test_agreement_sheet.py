"""The sheet of what two annotations agree on least."""

from dataclasses import replace

import numpy as np
from PIL import Image

from daam_bench.figures.agreement_sheet import (
    Disagreement,
    agreement_sheet,
    choose_worst,
    disagreement_panel,
)
from daam_bench.figures.sheet import DOTS, OTHER, PREDICTED
from daam_bench.figures.style import save
from daam_bench.types.masks import decode
from tests.figures.sheet_texts import texts_of
from tests.tiny_dataset import generated_example

EXAMPLE = generated_example("one", "cat", "dog")
CAT, DOG = EXAMPLE.masks


def disagreement(name, iou, a=CAT, b=DOG):
    query = replace(EXAMPLE.query, id=name)
    return Disagreement(replace(EXAMPLE, query=query), 0, iou, a, b)


def test_lowest_first_then_what_only_one_of_them_marks():
    nouns = [
        disagreement("a", 0.9),
        disagreement("b", 0.1),
        disagreement("c", None, b=None),
        disagreement("neither", None, a=None, b=None),
        disagreement("d", 0.5),
        disagreement("e", None, a=None),
    ]

    def chosen(count):
        return [noun.example.query.id for noun in choose_worst(nouns, count)]

    assert chosen(4) == ["b", "d", "c", "e"]
    assert chosen(3) == ["b", "c", "e"]
    assert chosen(9) == ["b", "d", "a", "c", "e"]


def test_each_annotation_has_the_outline_of_its_own_colour():
    outlines = disagreement_panel(disagreement("a", 0.5)).outline
    assert list(outlines) == [PREDICTED, OTHER]
    assert np.array_equal(outlines[PREDICTED], decode(CAT))
    assert np.array_equal(outlines[OTHER], decode(DOG))
    assert list(disagreement_panel(disagreement("a", None, a=None)).outline) == [OTHER]


def test_the_sheet_says_how_far_they_agree_and_who_is_alone():
    nouns = [disagreement("a", 0.25), disagreement("b", None, b=None), disagreement("c", None, a=None)]
    texts = texts_of(agreement_sheet(nouns, title="Least agreement", names=("Ada", "Bob")))
    assert [text for text, _ in texts if text.startswith(("IoU", "only"))] == [
        "IoU 0.25  ", "only in Ada  ", "only in Bob  "
    ]  # fmt: skip
    assert ("Ada    ", PREDICTED) in texts
    assert ("Bob", OTHER) in texts


def test_it_is_written_as_a_png_of_its_size_in_pixels(tmp_path):
    sheet = agreement_sheet([disagreement("a", 0.5)] * 5, title="T", names=("A", "B"))
    save(sheet, tmp_path / "worst.png", dpi=DOTS)
    assert Image.open(tmp_path / "worst.png").size == (4 * 308 - 20 + 40, 92 + 2 * (288 + 44 + 20))
