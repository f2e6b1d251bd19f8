import gzip
import json

import pytest
from datasets import Dataset

from daam_bench.datasets.caption_sources import SourceCaption, read_captions
from daam_bench.datasets.load import load_split
from daam_bench.types.errors import InputError

COCO = {
    "annotations": [
        {"image_id": 7, "id": 38, "caption": "A cat\n on  the grass. "},
        {"image_id": 7, "id": 39, "caption": "  "},
        {"image_id": 9, "id": 182, "caption": "Two dogs"},
    ]
}


@pytest.fixture
def folder(tmp_path):
    """A saved dataset of two splits: a column of texts, one of lists of texts, one of numbers."""
    first = Dataset.from_dict({"text": ["a cat", "a  dog"], "texts": [["a", "b"], ["c"]], "number": [1, 2]})
    for name, split in {"train": first, "test": first.select([0])}.items():
        split.to_parquet(tmp_path / "data" / f"{name}.parquet")
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["captions.json", "captions.json.gz"])
def test_coco_captions_keep_their_ids_and_images(tmp_path, name):
    text = json.dumps(COCO).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert read_captions(tmp_path / name) == [
        SourceCaption("38", "A cat on the grass.", "7"),
        SourceCaption("182", "Two dogs", "9"),
    ]


def test_a_text_file_has_one_caption_a_line(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_bytes("\ufeffA cat\r\n\r\n  a\tdog \u2028 in Köln\n".encode())
    assert read_captions(str(path)) == [SourceCaption("1", "A cat"), SourceCaption("3", "a dog in Köln")]


def test_a_column_of_a_dataset(folder):
    assert read_captions(f"{folder}:text@train") == [
        SourceCaption("1", "a cat", "1"),
        SourceCaption("2", "a dog", "2"),
    ]
    assert read_captions(f"{folder}:text@test") == [SourceCaption("1", "a cat", "1")]


def test_a_column_of_lists_has_several_captions_an_image(folder):
    captions = read_captions(f"{folder}:texts@train")
    assert captions == [
        SourceCaption("1-1", "a", "1"),
        SourceCaption("1-2", "b", "1"),
        SourceCaption("2-1", "c", "2"),
    ]


def test_the_shipped_dataset_goes_by_its_name():
    captions = read_captions("emoji:prompt@coco_gen")
    assert [caption.text for caption in captions[:3]] == [
        example.query.prompt for example in load_split("emoji", "coco_gen")[:3]
    ]


def test_the_only_split_need_not_be_named(folder):
    (folder / "test.parquet").unlink()
    assert len(read_captions(f"{folder}:text")) == 2


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ("text", r"has the splits train, test; name one behind the column"),
        ("title@train", r"no column 'title' .* it has text, texts, number"),
        ("number@train", r"row 1 of .*:number holds no text"),
        ("text@dev", r"no dataset .*dev"),
    ],
)
def test_what_a_dataset_does_not_hold(folder, column, complaint):
    with pytest.raises(InputError, match=complaint):
        read_captions(f"{folder}:{column}")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.json", b"{", "holds no COCO captions .*not JSON"),
        ("a.json", b"[]", "holds no COCO captions .*should be an object"),
        (
            "a.json",
            b'{"annotations": [{"id": 1, "image_id": 2}]}',
            "holds no COCO captions .*annotations.0..caption.: is missing",
        ),
        ("a.json", b'{"annotations": [{"id": 1, "image_id": 2, "caption": 3}]}', "holds no COCO captions"),
        ("a.json", b'{"annotations": []}', "holds no captions"),
        ("a.json.gz", b"not zipped", "holds no COCO captions .*gzipped"),
        ("a.json.gz", gzip.compress(b"{}")[:-9], "holds no COCO captions"),
        ("a.json.gz", gzip.compress(b"{}")[:10] + b"\xff" * 9, "holds no COCO captions"),
        ("a.txt", b"\xff\xfe", "is no UTF-8 text"),
        ("a.txt", b"\n \n", "holds no captions"),
    ],
)
def test_what_is_no_captions_file(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_captions(tmp_path / name)
    assert "\n" not in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="no such file; give COCO captions"):
        read_captions(tmp_path / "gone.txt")
