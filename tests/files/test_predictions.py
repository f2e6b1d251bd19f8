import dataclasses
import json
import logging
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daam_bench.files.predictions import PredictionsWriter, read_predictions
from daam_bench.types import RLE, Prediction
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import HEADER, left

TAUS = (0.3, 0.4)
PREDICTIONS = [
    Prediction(identifier, noun, tau, encode(left(noun + 2)))
    for identifier in ("a", "é")
    for noun in (0, 1)
    for tau in TAUS
]


def write(path: Path, predictions=PREDICTIONS) -> bytes:
    path.unlink(missing_ok=True)
    with PredictionsWriter(path, HEADER, taus=TAUS) as writer:
        writer.append(predictions)
    return path.read_bytes()


def read(path: Path) -> list[Prediction]:
    return list(read_predictions(path)[1])


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "new" / "predictions.jsonl")
    header, predictions = read_predictions(tmp_path / "new" / "predictions.jsonl")
    assert header == HEADER
    assert list(predictions) == PREDICTIONS


def test_the_file_is_as_documented(tmp_path):
    first, second, *_ = write(tmp_path / "file").decode("ascii").splitlines()
    assert json.loads(first) == {
        "daam_bench": 2,
        "method": "method",
        "parameters": {"steps": 20},
        "dataset": "tiny",
        "split": "coco_gen",
        "fingerprint": "f" * 64,
    }
    assert json.loads(second) == {
        "id": "a",
        "noun": 0,
        "tau": 0.3,
        "mask": {"size": [4, 6], "counts": PREDICTIONS[0].mask.counts},
    }


def test_every_batch_is_on_disk_at_once(tmp_path):
    path = tmp_path / "file"
    with PredictionsWriter(path, HEADER, taus=TAUS) as writer:
        for end in (2, 5, 8):
            writer.append(PREDICTIONS[:end])
            assert read(path) == PREDICTIONS[:end]


def test_a_run_killed_at_any_byte_goes_on_to_the_same_file(tmp_path):
    path = tmp_path / "file"
    whole = write(path)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with PredictionsWriter(path, HEADER, taus=TAUS) as writer:
            done = set(writer.done)
            for prediction in PREDICTIONS:
                if (prediction.id, prediction.noun) not in done:
                    writer.append([prediction])
            assert writer.done == {("a", 0), ("a", 1), ("é", 0), ("é", 1)}
        assert path.read_bytes() == whole


def test_a_pair_is_done_with_its_last_tau(tmp_path):
    with PredictionsWriter(tmp_path / "file", HEADER, taus=TAUS) as writer:
        writer.append(PREDICTIONS[:1])
        assert writer.done == set()
        writer.append(PREDICTIONS[1:2])
        assert writer.done == {("a", 0)}
    with PredictionsWriter(tmp_path / "file", HEADER, taus=(*TAUS, 0.5)) as writer:
        assert writer.done == set()


def test_a_torn_last_line_is_dropped_in_reading(tmp_path, caplog):
    path = tmp_path / "file"
    path.write_bytes(write(path)[:-10])
    with caplog.at_level(logging.WARNING):
        assert read(path) == PREDICTIONS[:-1]
    assert "line 9" in caplog.text


def test_a_last_line_without_line_break_counts_if_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(write(path)[:-1])
    assert read(path) == PREDICTIONS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "other"}, "with method"),
        ({"parameters": {"steps": 50}}, "with parameters"),
        ({"split": "scenes"}, "with split"),
        ({"fingerprint": "0"}, "of other prompts, words or masks than split 'coco_gen' has now"),
    ],
)
def test_going_on_with_another_runs_file_is_an_error(tmp_path, change, said):
    path = tmp_path / "file"
    before = write(path)
    other = dataclasses.replace(HEADER, **change)
    with pytest.raises(InputError, match=f"was made {said}.*--restart"):
        PredictionsWriter(path, other)
    assert path.read_bytes() == before
    with PredictionsWriter(path, other, restart=True) as writer:
        assert writer.done == set()
    assert read_predictions(path)[0] == other


@pytest.mark.parametrize("content", [b"notes", b"notes\n", b"{}\n", b"\x00\xff\n", b"[1]\n"])
def test_a_file_of_another_kind_is_kept(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError):
        PredictionsWriter(path, HEADER)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_read_or_written_is_an_error(tmp_path):
    with pytest.raises(InputError, match="can't read"):
        read_predictions(tmp_path / "absent")
    with pytest.raises(InputError, match="can't read"):
        read_predictions(tmp_path)
    with pytest.raises(InputError, match="can't write"):
        PredictionsWriter(tmp_path, HEADER)


GOOD = {"id": "a", "noun": 0, "tau": 0.4, "mask": {"size": [2, 2], "counts": "04"}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": None}, "id"),
        ({"id": 3}, "id"),
        ({"noun": -1}, "noun"),
        ({"noun": True}, "noun"),
        ({"noun": 0.0}, "noun"),
        ({"tau": "0.4"}, "tau"),
        ({"tau": 1.01}, "tau"),
        ({"tau": -0.1}, "tau"),
        ({"tau": True}, "tau"),
        ({"tau": float("nan")}, "tau"),
        ({"mask": "none"}, "mask"),
        ({"mask": {}}, "size"),
        ({"mask": {"size": [2], "counts": "04"}}, "size"),
        ({"mask": {"size": [2, 2.0], "counts": "04"}}, "size"),
        ({"mask": {"size": [0, 2], "counts": "04"}}, "size"),
        ({"mask": {"size": [10**6, 10**6], "counts": "04"}}, "larger"),
        ({"mask": {"size": [2, 2]}}, "counts"),
        ({"mask": {"size": [2, 2], "counts": [0, 4]}}, "counts"),
        ({"mask": {"size": [2, 2], "counts": "05"}}, "add up"),
        ({"mask": {"size": [2, 2], "counts": "P"}}, "COCO"),
    ],
)
def test_a_malformed_line_is_named_with_its_number(tmp_path, change, complaint):
    path = tmp_path / "file"
    write(path)
    with path.open("a") as file:
        for record in (GOOD, GOOD | change, GOOD):
            file.write(json.dumps(record) + "\n")
    with pytest.raises(InputError, match=complaint) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line 11")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [47, 48, 49, 100, 149])
def test_a_malformed_mask_among_many_is_named_with_its_own_line(tmp_path, wrong):
    path = tmp_path / "file"
    with PredictionsWriter(path, HEADER) as writer:
        for noun in range(150):
            mask = encode(left(2)) if noun % 3 or noun == wrong else None
            writer.append([Prediction("a", noun, None, RLE((4, 6), "05") if noun == wrong else mask)])
    with pytest.raises(InputError, match=rf"line {wrong + 2} \(id 'a'\): the runs of a mask do not add up"):
        read(path)


def test_few_masks_of_many_characters_are_read_as_they_stand(tmp_path):
    board = (np.indices((300, 300)).sum(axis=0) % 2).astype(np.bool_)
    masks = [encode(board ^ bool(noun % 2)) for noun in range(4)]
    with PredictionsWriter(tmp_path / "file", HEADER) as writer:
        writer.append([Prediction("a", noun, None, mask) for noun, mask in enumerate(masks)])
    assert [entry.mask for entry in read(tmp_path / "file")] == masks


@pytest.mark.parametrize("key", ["id", "noun", "tau", "mask"])
def test_a_line_without_one_of_its_keys_is_an_error(tmp_path, key):
    path = tmp_path / "file"
    write(path)
    with path.open("a") as file:
        file.write(json.dumps({name: value for name, value in GOOD.items() if name != key}) + "\n")
    with pytest.raises(InputError, match=f'line 10: "{key}"'):
        read(path)


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[]", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b"null"])
def test_a_line_that_is_no_json_object_is_an_error(tmp_path, line):
    path = tmp_path / "file"
    path.write_bytes(write(path) + line + b"\n")
    with pytest.raises(InputError, match="line 10: not"):
        read(path)


@pytest.mark.parametrize(
    "header",
    [
        {"daam_bench": 3},
        {"daam_bench": "2"},
        {"method": None},
        {"parameters": []},
        {"dataset": 1},
        {"split": None},
        {"fingerprint": None},
    ],
)
def test_a_malformed_header_is_an_error(tmp_path, header):
    path = tmp_path / "file"
    first, *rest = write(path).splitlines(keepends=True)
    path.write_bytes(json.dumps(json.loads(first) | header).encode() + b"\n" + b"".join(rest))
    with pytest.raises(InputError, match="line 1:"):
        read_predictions(path)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_is_an_input_error_or_harmless(tmp_path_factory, seed):
    path = tmp_path_factory.getbasetemp() / "damaged"
    content = bytearray(write(path))
    generator = random.Random(seed)
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(len(content))
        damage = generator.choice(
            [b"", bytes([generator.randrange(256)]), b'"', b"\n", b"0", b"null", b"o", b"P"]
        )
        content[place : place + generator.randint(0, 3)] = damage
    path.write_bytes(content)
    complaint = complaint_about(path)
    assert complaint is None or (str(path) in complaint and "\n" not in complaint)


def complaint_about(path: Path) -> str | None:
    try:
        read(path)
    except InputError as error:
        return str(error)
    return None
