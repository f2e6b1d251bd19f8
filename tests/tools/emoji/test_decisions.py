import json
from dataclasses import replace

import numpy as np
import pytest

from daam_bench import load_split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode, encode
from tests.tiny_dataset import generated_example, make_dataset
from tools.emoji.__main__ import main
from tools.emoji.checking.decisions import (
    Answer,
    NounCheck,
    apply_checks,
    check_of,
    masks_of,
    read_checks,
    write_checks,
)
from tools.emoji.checking.regions import BY, colour_regions, mask_of
from tools.emoji.checking.sheets import check_sheet


@pytest.fixture
def example():
    """A cat and a pizza, with whole regions as proposals."""
    generated = generated_example("coco-0", "cat", "pizza")
    regions = colour_regions(generated.query.image)
    masks = tuple(encode(mask_of(regions, np.unique(regions[decode(mask)]))) for mask in generated.masks)
    return replace(generated, masks=masks)


def answer(example, *nouns):
    return Answer(id=example.query.id, nouns=nouns)


def check(example, *nouns, blind=False):
    return check_of(answer(example, *nouns), example, by="Ada", date="2026-01-31", blind=blind)


def noted(check, **change):
    return check.model_copy(update=change)


def some_region(example, blind=False):
    return int(colour_regions(example.query.image, "RGB" if blind else "Lab")[10, 7])


def test_what_stands_is_accepted_with_the_very_mask(example):
    found = check(example, {"noun": "cat"}, {"noun": "pizza"})
    assert [noun.decision for noun in found.nouns] == ["accepted", "accepted"]
    for mask, proposal in zip(masks_of(found, example), example.masks, strict=True):
        assert np.array_equal(mask, decode(proposal))


def test_other_regions_fix_a_mask_and_none_means_not_depicted(example):
    region = some_region(example)
    found = check(
        example,
        {"noun": "cat", "regions": []},
        {"noun": "pizza", "regions": [region], "add": [[[0, 0], [3, 0], [3, 2]]]},
    )
    assert [noun.decision for noun in found.nouns] == ["not drawn", "fixed"]
    [checked] = apply_checks([example], [found])
    assert checked.masks[0] is None
    assert checked.annotation.by == "Ada"
    assert checked.annotation.how.endswith("fixed, not drawn")
    assert checked.annotation.masks == ("edited", "edited")
    assert checked.annotation.proposal == BY
    assert not checked.annotation.is_proposal


def test_polygons_paint_the_pixels_whose_centres_they_hold(example):
    square = [[2, 1], [5, 1], [5, 4], [2, 4]]
    found = check(
        example,
        {"noun": "cat", "regions": [], "add": [square], "cut": [[[2, 1], [3, 1], [3, 4], [2, 4]]]},
        {"noun": "pizza"},
    )
    mask = masks_of(found, example)[0]
    assert np.argwhere(mask).tolist() == [[y, x] for y in (1, 2, 3) for x in (3, 4)]


def test_a_blind_answer_can_accept_nothing(example):
    with pytest.raises(ValueError, match="no proposal"):
        check(example, {"noun": "cat"}, {"noun": "pizza", "regions": []}, blind=True)
    found = check(
        example,
        {"noun": "cat", "regions": [some_region(example, blind=True)]},
        {"noun": "pizza", "regions": []},
        blind=True,
    )
    assert [noun.decision for noun in found.nouns] == ["annotated", "not drawn"]
    assert found.space == "RGB"
    [checked] = apply_checks([example], [found])
    assert checked.annotation.masks == ("own", "own")
    assert checked.annotation.proposal is None


def test_checks_are_read_as_they_were_written(example, tmp_path):
    checks = [
        check(
            example, {"noun": "cat", "regions": [1], "cut": [[[0, 0], [9.5, 0], [3, 2]]]}, {"noun": "pizza"}
        ),
        noted(check(example, {"noun": "cat"}, {"noun": "pizza", "regions": []}), note="half a pizza"),
    ]
    write_checks(tmp_path / "checks.jsonl", checks)
    assert read_checks(tmp_path / "checks.jsonl") == checks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": "0" * 16}, "another image"),
        ({"space": "XYZ"}, "no colour space"),
        ({"nouns": ()}, "must name the nouns cat, pizza"),
    ],
)
def test_a_check_that_does_not_fit_is_refused(example, change, message):
    fitting = check(example, {"noun": "cat"}, {"noun": "pizza"})
    with pytest.raises(InputError, match=message):
        masks_of(noted(fitting, **change), example)


@pytest.mark.parametrize(("regions", "message"), [([99], "no region 99"), ([3, 3], "given twice")])
def test_regions_must_be_there_and_belong_to_one_noun(example, regions, message):
    with pytest.raises(InputError, match=message):
        check(example, {"noun": "cat", "regions": regions}, {"noun": "pizza", "regions": []})


def test_two_checks_of_one_image_are_refused(example):
    one = check(example, {"noun": "cat"}, {"noun": "pizza"})
    with pytest.raises(InputError, match="two checks are of coco-0"):
        list(apply_checks([example], [one, noted(one, by="Bob")]))


def test_a_sheet_says_what_it_cannot_show(example):
    wide = replace(example, query=replace(example.query, image=example.query.image.resize((40, 32))))
    with pytest.raises(InputError, match="square images"):
        check_sheet(wide)
    many = replace(example, query=replace(example.query, nouns=example.query.nouns * 2))
    with pytest.raises(InputError, match="colours for 3 nouns, not 4"):
        check_sheet(many)


def test_unknown_keys_and_decisions_are_refused():
    good = {"noun": "cat", "regions": [], "decision": "not drawn"}
    assert NounCheck(**good).noun == "cat"
    with pytest.raises(ValueError, match="region"):
        NounCheck(**good, region=[1])
    with pytest.raises(ValueError, match=r"accepted.*maybe"):
        NounCheck(**{**good, "decision": "maybe"})


def test_a_mask_that_was_mended_in_version_0_2_is_a_fixed_one():
    assert NounCheck(noun="cat", decision="mended", regions=(1,)).decision == "fixed"


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "checks.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(InputError, match="line 1 is no check"):
        read_checks(tmp_path / "checks.jsonl")


class TestCommands:
    @pytest.fixture
    def dataset(self, tmp_path):
        return make_dataset(tmp_path / "dataset")

    def write(self, path, *answers):
        path.write_text("".join(json.dumps(line) + "\n" for line in answers))
        return str(path)

    def test_from_sheets_over_answers_to_a_checked_dataset(self, dataset, tmp_path, capsys):
        sheets, checks, result = tmp_path / "sheets", tmp_path / "checks.jsonl", tmp_path / "checked"
        assert main(["sheets", str(dataset), "--ids", "coco-0,coco-1", "--output", str(sheets)]) == 0
        assert sorted(path.name for path in sheets.iterdir()) == ["coco-0.png", "coco-1.png"]
        answers = self.write(
            tmp_path / "answers.jsonl",
            {"id": "coco-1", "nouns": [{"noun": "dog", "regions": []}, {"noun": "tree", "regions": [0]}]},
        )
        command = ["answers", str(dataset), answers, "--by", "Ada", "--output", str(checks)]
        assert main(command) == 0
        assert "1 images; nouns 1 fixed, 1 not drawn" in capsys.readouterr().out
        assert main(["check", str(dataset), str(checks), "--output", str(result)]) == 0
        before, after = load_split(str(dataset), "coco_gen"), load_split(str(result), "coco_gen")
        assert after[1].masks[0] is None
        assert after[1].annotation.by == "Ada"
        assert after[0].masks == before[0].masks
        assert "annotated by Ada" in (result / "README.md").read_text()

    def test_bad_answers_get_one_line(self, dataset, tmp_path, capsys):
        for line, message in [
            ({"id": "coco-9", "nouns": []}, "no example 'coco-9'"),
            ({"id": "coco-1"}, "nouns: Field required"),
            ({"id": "coco-1", "nouns": [{"noun": "dog", "regions": [99]}, {"noun": "tree"}]}, "no region 99"),
        ]:
            answers = self.write(tmp_path / "answers.jsonl", line)
            command = [
                "answers",
                str(dataset),
                answers,
                "--by",
                "Ada",
                "--output",
                str(tmp_path / "c"),
            ]
            assert main(command) == 2
            said = capsys.readouterr().err
            assert message in said
            assert said.count("\n") == 1
            assert not (tmp_path / "c").exists()

    def test_an_unknown_example_gets_no_sheet(self, dataset, tmp_path, capsys):
        assert main(["sheets", str(dataset), "--ids", "x", "--output", str(tmp_path / "s")]) == 2
        assert "no example 'x'" in capsys.readouterr().err

    def test_a_place_that_cannot_be_written_gets_one_line(self, dataset, tmp_path, capsys):
        (tmp_path / "file").touch()
        place = str(tmp_path / "file" / "below")
        assert main(["sheets", str(dataset), "--ids", "coco-1", "--output", place]) == 2
        assert "name another --output" in capsys.readouterr().err
