"""The parts of pages that follow from results."""

import re
from dataclasses import replace

import pytest

from daam_bench.scoring.caps import cap_report
from daam_bench.scoring.report import build_report, describe_environment
from daam_bench.scoring.score import score
from daam_bench.segmenters.cards import card_of
from daam_bench.segmenters.registry import find_method
from daam_bench.types import Prediction
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from daam_bench.types.reports import Proposals
from tests.scoring.tiny_split import left, make_split
from tools.marked_parts import MARKS
from tools.refresh.facts import Facts
from tools.refresh.orders import find_orders, to_record, write_orders
from tools.refresh.planned_jobs import ROOT
from tools.refresh.recording import Recorded, fill_tables, publish
from tools.refresh.stages import PAGES
from tools.refresh.texts import PARTS, PARTS_OF_PUBLISHED, fill

SPLITS = ("scenes", "coco_gen", "unreal_gen")
SIZE = (12, 12)


def recorded(dataset="emoji", **columns):
    """Methods that mark so many of an image's columns, where the ground truth is 6 of a cat's or a moon's."""
    nouns = [("cat", "cat", left(6, SIZE))], [("moon", None, left(6, SIZE))]
    split = make_split([*nouns] * 20)
    found = Recorded(dataset, SPLITS)
    for method, by_tau in columns.items():
        results = {}
        for place, name in enumerate(SPLITS):
            masks = [
                Prediction(example.id, 0, tau, encode(left(count + (place if tau else 0), SIZE)))
                for example in split
                for tau, count in by_tau.items()
            ]
            results[name] = score(replace(split, dataset=dataset, name=name), masks, resamples=200)
        found.results[method] = results
        found.reports[method] = build_report(
            list(results.values()),
            method=method,
            parameters={},
            dataset=dataset,
            environment=describe_environment(),
            track=card_of(find_method(method)).track,
        )
    cap = cap_report([one.split for one in next(iter(found.results.values())).values()])
    fill_tables(found, cap)
    return found


@pytest.fixture(scope="module")
def facts():
    one = recorded(daam={0.3: 9, 0.4: 7, 0.5: 4}, random={None: 1}, whole={None: 12}, mask_rcnn={None: 6})
    other = recorded(
        "emoji-seed2", daam={0.3: 9, 0.4: 8, 0.5: 5}, random={None: 12}, whole={None: 1}, mask_rcnn={None: 5}
    )
    return Facts({"emoji": one, "emoji-seed2": other}, find_orders([one, other]))


def test_every_marked_part_of_the_pages_is_written_and_every_part_is_marked_somewhere():
    marked = [found["name"] for page in PAGES for found in MARKS.finditer((ROOT / page).read_text())]
    assert sorted(marked) == sorted(PARTS)
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert len(re.findall(r"^<!-- part:", text, re.MULTILINE)) == len(list(MARKS.finditer(text)))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_text_without_marks(part, facts):
    text = PARTS[part](facts)
    assert text.strip()
    assert "<!--" not in text
    assert "nan" not in text


def test_filling_a_page_leaves_the_rest_and_comes_to_the_same_again(facts, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n\n<!-- part: leakage -->\nold\n<!-- end -->\n\nTwo\n")
    assert fill(page, facts) == ["leakage"]
    first = page.read_text()
    assert "old" not in first
    assert first.startswith("# One\n\n<!-- part: leakage -->\n| ")
    assert first.endswith("\n<!-- end -->\n\nTwo\n")
    fill(page, facts)
    assert page.read_text() == first


def test_without_runs_parts_that_are_made_of_them_stay(tmp_path):
    page = tmp_path / "page.md"
    parts = "".join(f"<!-- part: {name} -->\nold\n<!-- end -->\n" for name in PARTS)
    page.write_text(parts)
    assert fill(page, Facts({}, None)) == list(PARTS_OF_PUBLISHED)
    left = {found["name"]: found["text"] for found in MARKS.finditer(page.read_text())}
    assert {name for name, text in left.items() if text == "old\n"} == PARTS.keys() - PARTS_OF_PUBLISHED


def test_a_part_that_nothing_writes_is_one_line(facts, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- part: weather -->\n<!-- end -->\n")
    with pytest.raises(InputError, match="nothing writes the part 'weather'"):
        fill(page, facts)


def test_the_results_have_one_tau_and_say_what_was_not_run(facts):
    text = PARTS["results"](facts)
    assert "DAAM-0.4" in text
    assert "DAAM-0.3" not in text
    assert "| SAM 3 | not run here |" in text
    assert "Perfect detector of COCO's classes | 100.0" in text


def test_claims_are_those_of_the_numbers(facts):
    text = PARTS["claims"](facts)
    assert "reaches at most 50.0 on `scenes`" in text
    assert "Random masks are worst.* Yes, on every split." in text
    below = Facts({"emoji": recorded(random={None: 5}, whole={None: 12})}, None)
    assert "Below random halves are `scenes`: Whole image" in PARTS["claims"](below)


def test_orders_are_compared_between_generators_and_conventions(facts, tmp_path):
    record = to_record(facts.orders)
    assert record["methods"] == ["daam", "random", "whole", "mask_rcnn"]
    assert len(record["kendall"]) == 15
    first = {tuple(one["between"]): one["tau"] for one in record["kendall"]}
    assert first["emoji/scenes", "emoji/coco_gen"] == pytest.approx(1)
    assert first["emoji/scenes", "emoji-seed2/scenes"] < 1
    assert set(record["conventions"]) == {f"{one}/{split}" for one in facts.recorded for split in SPLITS}
    write_orders(facts.orders, tmp_path, tmp_path / "ranks.svg")
    assert {path.name for path in tmp_path.iterdir()} == {"ranks.json", "ranks.png", "ranks.svg", "ranks.pdf"}


def test_two_columns_are_compared_over_the_methods_that_both_have(facts, tmp_path):
    sibling = recorded("emoji-sd3", daam={0.4: 8}, random={None: 12}, jvp={0.4: 7})
    found = find_orders([facts.shipped, sibling])
    assert found.methods == ("daam", "random")
    agreements = {tuple(one["between"]): one for one in to_record(found)["kendall"]}
    alone = {tuple(one["between"]): one for one in to_record(facts.orders)["kendall"]}
    within = "emoji/scenes", "emoji/coco_gen"
    assert agreements[within] == alone[within]
    assert agreements["emoji-sd3/scenes", "emoji-sd3/coco_gen"]["methods"] == 3
    assert agreements["emoji/scenes", "emoji-sd3/scenes"]["methods"] == 2
    assert list(to_record(found)["scores"]["emoji-sd3/scenes"]) == ["daam", "random", "jvp"]
    text = PARTS["rank-agreement"](replace(facts, orders=found))
    assert "ranks the 2 methods that every column has (DAAM, Random 50 %)" in text
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    rows = {cells[0]: cells[1:] for cells in table if cells}
    assert (rows["the splits of emoji-sd3"][0], rows["the splits of emoji-sd3"][3:]) == ("3", ["-", "3"])
    across = [f"{one['tau']:.2f}" for one in agreements.values() if one["methods"] == 2]
    assert len(across) == 9
    assert rows["emoji and emoji-sd3"][0] == "9"
    assert [cell[:-13] for cell in rows["emoji and emoji-sd3"][1:3]] == [min(across), max(across)]


def test_splits_with_proposed_masks_are_marked_in_tables_and_ranks(facts, tmp_path):
    found = recorded("emoji-seed2", daam={0.4: 8}, random={None: 12})
    report = found.reports["daam"]
    found.reports["daam"] = replace(report, proposals={SPLITS[1]: Proposals(20, 20, "a program")})
    publish(found, tmp_path)
    assert f"{SPLITS[1]} (proposed masks) mIoU_80" in (tmp_path / "table.md").read_text()
    assert f"{SPLITS[0]} mIoU_80" in (tmp_path / "table.md").read_text()
    assert "proposed masks" in (tmp_path / "table.tex").read_text()
    assert "proposed" not in (tmp_path / "table.csv").read_text()
    compared = find_orders([facts.shipped, found])
    assert find_orders([]) is None
    assert compared.proposed == {("emoji-seed2", SPLITS[1])}
    write_orders(compared, tmp_path, tmp_path / "image.svg")
    image = (tmp_path / "image.svg").read_text()
    assert f"<!-- {SPLITS[1]}* -->" in image
    assert "<!-- * proposed masks -->" in image
