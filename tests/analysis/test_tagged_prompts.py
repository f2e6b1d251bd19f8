"""Which prompts are generated, and from which seeds."""

from dataclasses import replace

import pytest

from daam_bench.analysis.tagged_prompts import NEXT_SEED, prompts_of_captions, prompts_of_splits, take
from daam_bench.datasets.load import load_split
from daam_bench.types import Generation
from daam_bench.types.errors import InputError

GENERATION = Generation("emoji", None, "PNDMScheduler", 2, 3.0, 64, 64, "float32")


@pytest.fixture
def prompts(generated_dataset):
    return prompts_of_splits([load_split(generated_dataset, name) for name in ("coco_gen", "unreal_gen")])


def test_splits_take_turns(prompts):
    assert [prompt.id for prompt in prompts[:4]] == [
        "coco_gen-0",
        "unreal_gen-0",
        "coco_gen-1",
        "unreal_gen-1",
    ]
    assert [prompt.seed for prompt in prompts[:2]] == [0, 100]
    assert prompts[0].image is not None


def test_more_than_there_are_come_from_further_seeds(prompts):
    taken = take(prompts, 2 * len(prompts) + 1)
    assert len({prompt.id for prompt in taken}) == len(taken)
    again = taken[len(prompts)]
    assert again.text == prompts[0].text
    assert again.seed == prompts[0].seed + NEXT_SEED
    assert again.image is None
    assert taken[-1].seed == prompts[0].seed + 2 * NEXT_SEED


def test_a_count_of_none_is_refused(prompts):
    with pytest.raises(InputError, match="at least 1 image, not 0"):
        take(prompts, 0)


def test_images_that_no_model_generated_are_refused(tiny_dataset):
    with pytest.raises(InputError, match="no model generated example 'coco-0' of split 'coco_gen'"):
        prompts_of_splits([load_split(tiny_dataset, "coco_gen")])


def test_captions_are_tagged_and_seeded_by_their_places():
    pytest.importorskip("spacy")
    first, second = prompts_of_captions(["Two cats on the grass.", "a dog"], GENERATION)
    assert [(token.text, token.pos) for token in first.tokens] == [
        ("Two", "NUM"), ("cats", "NOUN"), ("on", "ADP"), ("the", "DET"), ("grass", "NOUN"), (".", "PUNCT")
    ]  # fmt: skip
    assert (first.seed, second.seed) == (0, 1)
    assert first.id != second.id


def test_splits_with_an_id_in_common_are_refused(generated_dataset):
    split = load_split(generated_dataset, "coco_gen")
    with pytest.raises(InputError, match="'coco_gen' and 'other' both have an example 'coco_gen-0'"):
        prompts_of_splits([split, replace(split, name="other")])
