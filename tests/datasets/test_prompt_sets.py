"""Prompts without images: written, read, and generated with a model."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from daam_bench.cli import main
from daam_bench.datasets.load import load_split
from daam_bench.datasets.prompt_sets import read_prompts
from daam_bench.types.errors import InputError

CAPTIONS = Path(__file__).parents[3] / "shared" / "data" / "captions_val2017.json.gz"
LINES = [
    "A dog sits next to a cat on a bed.",
    "Two pizzas near a laptop.",
    "A man's hat.",
    "A bird on a boat.",
]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    """A dataset of the prompts of three captions."""
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "captions.txt").write_text("\n".join(LINES))
    options = ["--captions", str(folder / "captions.txt"), "--size", "3", "--output", str(folder / "set")]
    assert main(["build", *options]) == 0
    return folder / "set"


def build(prompts: Path, output: Path, *options: str) -> int:
    given = ["--prompts", str(prompts), "--model", "emoji", "--steps", "1", "--output", str(output)]
    return main(["build", *given, *options])


def test_prompts_load_with_datasets_alone(prompts):
    rows = load_dataset(str(prompts), split="unreal_gen")
    assert len(rows) == 3
    assert rows[0]["image"] is None
    assert rows[0]["generation"] is None
    assert all(noun["mask"] is None for row in rows for noun in row["nouns"])
    assert [row["seed"] for row in rows] == [0, 1, 2]


def test_the_card_says_what_was_passed_over_and_how_to_generate(prompts):
    card = (prompts / "README.md").read_text()
    assert "Passed over: " in card
    assert "build --prompts" in card


def test_they_are_no_split_to_score_yet_and_the_error_says_what_to_do(prompts):
    with pytest.raises(InputError, match=r"prompts without images; generate them .* --prompts"):
        load_split(str(prompts), "coco_gen")


def test_the_images_are_of_the_prompts_with_their_nouns_and_seeds(prompts, tmp_path, capsys):
    assert build(prompts, tmp_path / "data") == 0
    assert "3 in coco_gen and 3 in unreal_gen" in capsys.readouterr().out
    by_id = {prompt.id: prompt for prompt in read_prompts(str(prompts))}
    for name in ("coco_gen", "unreal_gen"):
        for example in load_split(str(tmp_path / "data"), name):
            prompt = by_id[example.id]
            assert (example.prompt, example.query.nouns) == (prompt.text, prompt.nouns)
            assert (example.query.seed, example.source) == (prompt.seed, prompt.source)
    assert "Those of `set`" in (tmp_path / "data" / "README.md").read_text()


def test_one_split_and_the_first_prompts_alone(prompts, tmp_path, capsys):
    assert build(prompts, tmp_path / "data", "--split", "unreal_gen", "--size", "2") == 0
    assert "2 in unreal_gen: " in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "data").glob("*.parquet")] == ["unreal_gen.parquet"]


def test_prompts_need_a_model(prompts, tmp_path, capsys):
    assert main(["build", "--prompts", str(prompts), "--output", str(tmp_path / "data")]) == 2
    assert "--model" in capsys.readouterr().err


def change(prompts: Path, folder: Path, split: str, **values) -> Path:
    folder.mkdir()
    for name in ("coco_gen", "unreal_gen"):
        table = pq.read_table(prompts / f"{name}.parquet")
        rows = table.to_pylist()
        if name == split:
            rows[0] |= values
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"id": "../x"}, "must name one prompt"),
        ({"id": "coco_gen-001"}, "must name one prompt"),
        ({"prompt": "other words"}, "is said to stand at"),
        ({"prompt": None}, "prompt"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(prompts, tmp_path, values, said):
    with pytest.raises(InputError, match=said) as error:
        read_prompts(str(change(prompts, tmp_path / "bad", "unreal_gen", **values)))
    assert "\n" not in str(error.value)


def test_a_prompt_that_the_tokenizer_would_cut_is_named(prompts, tmp_path, capsys):
    values = {"prompt": "a dog " * 30, "nouns": [], "tokens": []}
    assert build(change(prompts, tmp_path / "long", "coco_gen", **values), tmp_path / "data") == 2
    assert "1 prompts are too long for the pipeline's tokenizer (coco_gen-000)" in capsys.readouterr().err


def test_the_prompts_of_coco_come_along():
    prompts = read_prompts("coco")
    assert [sum(prompt.split == name for prompt in prompts) for name in ("coco_gen", "unreal_gen")] == [
        150,
        150,
    ]
    assert all(prompt.nouns for prompt in prompts)
    assert all(prompt.source.swapped_from for prompt in prompts[150:])


@pytest.mark.skipif(not CAPTIONS.exists(), reason="COCO's captions are not beside the checkout")
def test_the_prompts_of_coco_are_those_of_the_rule(tmp_path):
    from tools.coco_prompts import build as make

    make(CAPTIONS, tmp_path / "coco")
    assert read_prompts(str(tmp_path / "coco")) == read_prompts("coco")
