"""How often the writers open a run's files for reading: never when fresh, once when resumed."""

import os
import sys
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from daam_bench.files.heat_maps import HeatMapsWriter, NounHeatMap, read_heat_maps
from daam_bench.files.predictions import PredictionsWriter, read_predictions
from daam_bench.types import Prediction
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import HEADER, left

_reads: list[str] | None = None


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and _reads is not None and isinstance(arguments[0], str | os.PathLike):
        path, _, flags = arguments
        if flags & os.O_ACCMODE != os.O_WRONLY:
            _reads.append(os.fspath(path))


sys.addaudithook(_note)


@contextmanager
def reads_of(path):
    """Give a list that holds the path once for every time that it is opened for reading."""
    global _reads
    _reads = seen = []
    found: list[str] = []
    try:
        yield found
    finally:
        _reads = None
        found += [name for name in seen if name == str(path)]


PREDICTIONS = [Prediction("a", noun, 0.4, encode(left(noun + 2))) for noun in (0, 1)]
MAPS = [NounHeatMap("a", noun, np.ones((2, 2), np.float32)) for noun in (0, 1)]


@pytest.fixture(params=["predictions", "heat maps"])
def kind(request):
    """A writer, what to append, and the reader."""
    if request.param == "predictions":
        return partial(PredictionsWriter, taus=(0.4,)), PREDICTIONS, read_predictions
    return HeatMapsWriter, MAPS, read_heat_maps


def test_a_fresh_file_is_never_opened_for_reading(tmp_path, kind):
    writer, items, _ = kind
    with reads_of(tmp_path / "new" / "file") as reads, writer(tmp_path / "new" / "file", HEADER) as file:
        file.append(items)
    assert reads == []


def test_a_restarted_file_is_never_opened_for_reading(tmp_path, kind):
    writer, items, _ = kind
    with writer(tmp_path / "file", HEADER) as file:
        file.append(items)
    with reads_of(tmp_path / "file") as reads, writer(tmp_path / "file", HEADER, restart=True) as file:
        assert file.done == set()
        file.append(items)
    assert reads == []


def test_a_resumed_file_is_opened_once(tmp_path, kind):
    writer, items, reader = kind
    with writer(tmp_path / "file", HEADER) as file:
        file.append(items[:1])
    with reads_of(tmp_path / "file") as reads, writer(tmp_path / "file", HEADER) as file:
        assert file.done == {("a", 0)}
        file.append(items)
    assert len(reads) == 1
    assert len(list(reader(tmp_path / "file")[1])) == 2


def test_reading_a_file_opens_it_once(tmp_path, kind):
    writer, items, reader = kind
    with writer(tmp_path / "file", HEADER) as file:
        file.append(items)
    with reads_of(tmp_path / "file") as reads:
        header, read = reader(tmp_path / "file")
        assert (header, len(list(read))) == (HEADER, 2)
    assert len(reads) == 1


def test_the_writer_says_which_thresholds_it_found(tmp_path):
    path = tmp_path / "file"
    with PredictionsWriter(path, HEADER) as writer:
        assert writer.existing_taus == frozenset()
        writer.need((0.4,))
        writer.append(PREDICTIONS[:1])
        assert writer.done == {("a", 0)}
    with PredictionsWriter(path, HEADER) as writer:
        assert writer.existing_taus == {0.4}
        assert writer.done == set()
        writer.need((0.4,))
        assert writer.done == {("a", 0)}
        writer.need((0.3, 0.4))
        assert writer.done == set()
    hard = [Prediction("a", 0, None, encode(left(2)))]
    with PredictionsWriter(tmp_path / "hard", HEADER) as writer:
        writer.append(hard)
    assert PredictionsWriter(tmp_path / "hard", HEADER, taus=(0.4,)).existing_taus == {None}
