import base64
import json
import zlib

import numpy as np
import pytest

from daam_bench.files.predictions import HeatMapsWriter, NounHeatMap, parse_map, read_heat_maps
from daam_bench.types.errors import InputError
from tests.scoring.tiny_split import HEADER

MAPS = [
    NounHeatMap("a", noun, np.random.default_rng(noun).random((3, 2 + noun), dtype=np.float32))
    for noun in range(3)
]


def test_maps_come_back_bit_by_bit(tmp_path):
    with HeatMapsWriter(tmp_path / "maps", HEADER) as writer:
        writer.append(MAPS)
    header, maps = read_heat_maps(tmp_path / "maps")
    assert header == HEADER
    for read, written in zip(maps, MAPS, strict=True):
        assert (read.id, read.noun) == (written.id, written.noun)
        assert read.values.dtype == np.float32
        assert np.array_equal(read.values, written.values)


def test_a_run_killed_at_any_byte_goes_on_to_the_same_file(tmp_path):
    path = tmp_path / "maps"
    with HeatMapsWriter(path, HEADER) as writer:
        writer.append(MAPS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with HeatMapsWriter(path, HEADER) as writer:
            assert writer.done == {(entry.id, entry.noun) for entry in MAPS[: len(writer.done)]}
            writer.append(MAPS)
        assert path.read_bytes() == whole


def packed(content: bytes, *, whole: bool = True) -> str:
    data = zlib.compress(content)
    return base64.b64encode(data if whole else data[:-1]).decode()


ZERO = packed(bytes(4))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"shape": [1, 1]},
        {"shape": [1], "data": ZERO},
        {"shape": [1, True], "data": ZERO},
        {"shape": [1, 100_000], "data": ZERO},
        {"shape": [1, 2], "data": ZERO},
        {"shape": [1, 1], "data": "*"},
        {"shape": [1, 1], "data": "é"},
        {"shape": [1, 1], "data": base64.b64encode(b"no zlib").decode()},
        {"shape": [1, 1], "data": packed(bytes(10_000_000))},
        {"shape": [1, 1], "data": packed(bytes(5))},
        {"shape": [1, 1], "data": packed(bytes(4), whole=False)},
        {"shape": [1, 4097], "data": packed(bytes(4 * 4097))},
        {"shape": [-1, -1], "data": ZERO},
        {"shape": [1, 1, 1], "data": ZERO},
        {"shape": [1, 1], "data": packed(np.float32(-1).tobytes())},
        {"shape": [1, 1], "data": packed(np.float32("nan").tobytes())},
        {"shape": [1, 1], "data": packed(np.float32("inf").tobytes())},
    ],
)
def test_a_malformed_map_is_named_with_its_line(tmp_path, entry):
    path = tmp_path / "maps"
    HeatMapsWriter(path, HEADER).close()
    with path.open("a") as file:
        file.write(json.dumps({"id": "a", "noun": 0, "map": {"shape": [1, 1], "data": ZERO}}) + "\n")
        file.write(json.dumps({"id": "a", "noun": 1, "map": entry}) + "\n")
    with pytest.raises(InputError, match="line 3: ") as caught:
        list(read_heat_maps(path)[1])
    assert "\n" not in str(caught.value)


def test_a_map_of_0_and_of_the_longest_side_is_read():
    values = parse_map({"shape": [1, 4096], "data": packed(bytes(4 * 4096))})
    assert (values.shape, values.dtype, values.any()) == ((1, 4096), np.float32, False)


def test_a_map_that_the_file_holds_is_not_written_again(tmp_path):
    with HeatMapsWriter(tmp_path / "maps", HEADER) as writer:
        writer.append([MAPS[0], MAPS[0]])
        writer.append(MAPS[:2])
    assert [entry.noun for entry in read_heat_maps(tmp_path / "maps")[1]] == [0, 1]


def test_a_map_of_other_numbers_is_written_as_float32(tmp_path):
    with HeatMapsWriter(tmp_path / "maps", HEADER) as writer:
        writer.append([NounHeatMap("a", 0, np.asfortranarray(MAPS[0].values, dtype=">f8"))])
    (read,) = read_heat_maps(tmp_path / "maps")[1]
    assert np.array_equal(read.values, MAPS[0].values)
