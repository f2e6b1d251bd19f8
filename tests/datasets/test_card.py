"""Cards: the section that says who annotated what, and the head that tells the splits."""

from dataclasses import replace

import pytest

from daam_bench.datasets.card import add_configs, describe_annotation, with_annotation
from daam_bench.types import Annotation
from tests.tiny_dataset import generated_example

PROPOSAL = Annotation("daam", "proposal: at tau 0.4", "2026-01-31")


def annotated(*annotations):
    return [
        replace(generated_example(f"{index}", "cat", "moon"), annotation=annotation)
        for index, annotation in enumerate(annotations)
    ]


def test_it_tells_apart_people_proposals_and_nothing():
    by_hand = [Annotation("Ada", "by hand", f"2026-02-0{day}") for day in (1, 3)]
    assert describe_annotation({"coco_gen": annotated(*by_hand, PROPOSAL, None, None)}) == (
        "## Annotation\n\n"
        "- `coco_gen`: 5 images, 10 nouns, 5 of them with a mask.\n"
        "  2 images annotated by Ada, 2026-02-01 to 2026-02-03: by hand.\n"
        "  1 image with proposals of daam that nobody has checked yet, 2026-01-31: at tau 0.4.\n"
        "  2 images not annotated.\n"
    )


@pytest.mark.parametrize(
    ("card", "before", "after"),
    [
        ("# Birds\n", "# Birds\n\n", ""),
        ("# Birds\n\n## Annotation\n\nNone yet.\n### Why\nBecause.\n", "# Birds\n\n", ""),
        ("## Annotation\nNone yet.\n## Licence\nNone.\n", "", "\n## Licence\nNone.\n"),
        ("# Birds\n\n## Limits\n\nMany.\n", "# Birds\n\n", "\n## Limits\n\nMany.\n"),
        ("", "", ""),
    ],
)
def test_it_takes_the_place_of_what_stood_there(card, before, after):
    splits = {"coco_gen": annotated(PROPOSAL)}
    assert with_annotation(card, splits) == before + describe_annotation(splits) + after
    again = with_annotation(with_annotation(card, splits), splits)
    assert again == with_annotation(card, splits)


def test_configs_join_a_head_that_is_there():
    card = add_configs("---\nlicense: mit\n---\n# Birds\n\n---\n", ["coco_gen", "scenes"], "a")
    head, body = card.removeprefix("---\n").split("---\n", 1)
    assert head.splitlines()[:3] == ["license: mit", "configs:", "- config_name: default"]
    assert body == "# Birds\n\n---\n"


@pytest.mark.parametrize(
    "card",
    ["", "# Birds\n", "---\nlicense: mit\n---\n# Birds\n", "---\ntags:\n- a\nlicense: mit\n---\n\n---\nx\n"],
)
def test_configs_written_again_are_those_of_the_new_splits_alone(card):
    written = add_configs(card, ["coco_gen", "scenes"], "a")
    assert add_configs(written, ["coco_gen", "scenes"], "a") == written
    assert add_configs(written, ["scenes"], "b") == add_configs(card, ["scenes"], "b")


def test_configs_in_any_layout_are_replaced_and_their_neighbours_kept():
    card = "---\nconfigs: []\nlicense: mit\nconfigs:\n# ours\n\n  - x: 1\ntags:\n- a\n---\nBirds\n"
    assert add_configs(card, ["scenes"], "b") == add_configs(
        "---\nlicense: mit\ntags:\n- a\n---\nBirds\n", ["scenes"], "b"
    )
