"""Images of a dataset from others: nothing but PNG, JPEG and WebP is opened, nothing large is decoded."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from daam_bench.datasets.load import load_split
from daam_bench.types.errors import InputError

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 32 32
%%EndComments
(evil) run
showpage
%%EOF
"""


def with_image(dataset: Path, folder: Path, image: dict[str, object]) -> Path:
    """The tiny dataset with this in place of each image of `coco_gen`."""
    folder.mkdir()
    table = pq.read_table(dataset / "coco_gen.parquet")
    place = table.column_names.index("image")
    changed = table.set_column(place, "image", pa.array([image] * table.num_rows))
    pq.write_table(changed, folder / "coco_gen.parquet")
    return folder


def refused(dataset: Path, folder: Path, image: dict[str, object]) -> str:
    with pytest.raises(InputError) as caught:
        load_split(with_image(dataset, folder, image), "coco_gen")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, stream: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def test_an_eps_starts_no_ghostscript(tiny_dataset, tmp_path, monkeypatch):
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=":")
    line = refused(tiny_dataset, tmp_path / "eps", {"bytes": EPS, "path": "x.png"})
    assert '"image" is no whole image of PNG, JPEG, WEBP' in line
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(kind, tiny_dataset, tmp_path):
    buffer = BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, format=kind)
    line = refused(tiny_dataset, tmp_path / kind, {"bytes": buffer.getvalue(), "path": "x.png"})
    assert "is no whole image of PNG, JPEG, WEBP" in line


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_these_are_read(kind, tiny_dataset, tmp_path):
    buffer = BytesIO()
    Image.new("RGB", (32, 32), "navy").save(buffer, format=kind)
    folder = with_image(tiny_dataset, tmp_path / kind, {"bytes": buffer.getvalue(), "path": "x.png"})
    red, green, blue = load_split(folder, "coco_gen")[0].image.getpixel((16, 16))
    assert max(red, green) < 20
    assert blue == pytest.approx(128, abs=10)


def test_a_bomb_is_refused_by_its_header(tiny_dataset, tmp_path, monkeypatch):
    def decoded(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "load", decoded)
    bomb = png(9000, 9000, zlib.compress(bytes(1 << 20)))
    line = refused(tiny_dataset, tmp_path / "bomb", {"bytes": bomb, "path": "x.png"})
    assert '"image" has 9000 x 9000 pixels, more than the 67108864 that are read' in line


@pytest.mark.parametrize(
    "stream",
    [
        b"no deflate stream at all",
        zlib.compress(bytes(32 * (3 * 32 + 1)))[:-6] + b"spoilt",
        zlib.compress(bytes(range(97)) * 32)[:-60],
    ],
    ids=["none", "spoilt", "cut off"],
)
def test_a_corrupt_stream_in_sound_chunks(stream, tiny_dataset, tmp_path):
    line = refused(tiny_dataset, tmp_path / "png", {"bytes": png(32, 32, stream), "path": "x.png"})
    assert '"image" is no whole image of PNG, JPEG, WEBP' in line


def test_a_path_without_bytes_is_said_and_not_followed(tiny_dataset, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (32, 32)).save(secret)
    line = refused(tiny_dataset, tmp_path / "path", {"bytes": None, "path": str(secret)})
    assert f'"image.bytes" is missing, "image" is only the path \'{secret}\'; write the file with the' in line
