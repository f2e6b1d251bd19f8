"""Label Studio's run-length encoding of brush masks.

A mask is written as the flat RGBA values of its image, row by row, packed to a stream of bits: the number
of values (32 bits), the bits of a value less one (5), four lengths in bits less one (4 each); then chunks of
one bit "repeated", two bits that choose one of the four lengths, the number of values less one in so many
bits, and either one value or, if not repeated, each of them. (The format is rle-pack's of thi.ng/umbrella.)

`label_studio_sdk.converter.brush` reads and writes the same. It trusts what it reads: a header of seven bytes
has it reserve 4 GB. And it brings a second OpenCV and holds NumPy below 2.3. So both directions are done
here; the tests hold them against it.
"""

from __future__ import annotations

import numpy as np

from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError

_CHANNELS = 4
_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_SET = 255
_HALF = 128
_HEADER_BITS = 32 + 5 + 4 * 4
_MOST_BYTES_A_VALUE = 2


def encode_brush(mask: BoolMask) -> list[int]:
    """Encode a boolean mask of shape (height, width) as Label Studio does, to a list of bytes."""
    pixels = mask.ravel()
    edges = np.flatnonzero(np.diff(pixels)) + 1
    starts = [0, *edges.tolist()]
    bits = [f"{_CHANNELS * pixels.size:032b}{_VALUE_BITS - 1:05b}"]
    bits += [f"{length - 1:04b}" for length in _LENGTH_BITS]
    for start, end in zip(starts, [*starts[1:], pixels.size], strict=True):
        value = _SET if pixels[start] else 0
        left = _CHANNELS * (end - start)
        while left:
            choice = next((i for i, length in enumerate(_LENGTH_BITS) if left <= 1 << length), 3)
            count = min(left, 1 << _LENGTH_BITS[choice])
            bits.append(f"1{choice:02b}{count - 1:0{_LENGTH_BITS[choice]}b}{value:08b}")
            left -= count
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))


def decode_brush(rle: object, height: int, width: int) -> BoolMask:
    """Decode and check a brush mask.

    Args:
        rle: What stands under "rle" in a result of Label Studio.
        height: Height of the image that was painted on.
        width: Its width.

    Returns:
        Where alpha is at least half, of shape (height, width): the edges of strokes are smoothed.

    Raises:
        InputError: `rle` is no such mask, or is of another size.
    """
    size = _CHANNELS * height * width
    if not isinstance(rle, list):
        raise InputError('its brush has no list of bytes under "rle"; export as JSON')
    if len(rle) > _MOST_BYTES_A_VALUE * size + _HEADER_BITS:
        raise InputError("its brush is longer than any mask of the image's size; paint it again")
    try:
        stream = _Bits(bytes(rle))
    except (TypeError, ValueError):
        raise InputError("its brush is no list of bytes; export as JSON") from None
    values = _values(stream, size)
    mask: BoolMask = values.reshape(height, width, _CHANNELS)[..., -1] >= _HALF
    return mask


class _Bits:
    """A stream of bits, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._place = 0

    def number(self, width: int) -> int:
        """Read a whole number of so many bits."""
        start, end = self._advance(width)
        piece = self._data[start >> 3 : (end + 7) >> 3]
        return int.from_bytes(piece, "big") >> (-end % 8) & ((1 << width) - 1)

    def bytes(self, count: int) -> np.ndarray:
        """Read so many bytes, which need not begin where a byte of the stream does."""
        start, end = self._advance(8 * count)
        return np.packbits(self._bits[start:end])

    def _advance(self, width: int) -> tuple[int, int]:
        start, end = self._place, self._place + width
        if end > len(self._bits):
            raise InputError("its brush breaks off; export it again")
        self._place = end
        return start, end


def _values(stream: _Bits, size: int) -> np.ndarray:
    found = stream.number(32)
    if found != size:
        raise InputError(
            f"its brush has {found} values where a mask of the image's size has {size}; "
            "paint on the image as it was exported"
        )
    if stream.number(5) + 1 != _VALUE_BITS:
        raise InputError("its brush is not of 8-bit values; paint it again")
    lengths = [stream.number(4) + 1 for _ in _LENGTH_BITS]
    values = np.empty(size, np.uint8)
    done = 0
    while done < size:
        repeated = stream.number(1)
        count = stream.number(lengths[stream.number(2)]) + 1
        if done + count > size:
            raise InputError("the runs of its brush are more than the image; export it again")
        values[done : done + count] = stream.number(_VALUE_BITS) if repeated else stream.bytes(count)
        done += count
    return values
