"""Experiment folders as castorini/daam writes them, and hundreds of ways to spoil them."""

import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 12, 8


def png(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT), colour: object = None) -> bytes:
    buffer = io.BytesIO()
    default = {"RGB": (9, 120, 200), "RGBA": (0, 0, 0, 0), "L": 7, "LA": (0, 0)}[mode]
    Image.new(mode, size, default if colour is None else colour).save(buffer, "PNG")
    return buffer.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """A mask as castorini/daam saves one: 255 in all four channels, the alpha among them."""
    buffer = io.BytesIO()
    Image.fromarray(np.repeat((mask * 255).astype(np.uint8)[..., None], 4, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


def left_half() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[:, : WIDTH // 2] = True
    return mask


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, with few bytes behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def experiment(
    prompt: str = "a cat and two dogs", words: tuple[str, ...] = ("cat", "dogs"), seed: object = 7
):
    """The files of one experiment, by name."""
    files = {
        "prompt.txt": prompt.encode(),
        "seed.txt": str(seed).encode(),
        "output.png": png(),
        "generation.pt": b"\x80\x04a pickle, never opened",
        "cat.heat_map.png": b"not looked at",
    }
    return files | {f"{word}.gt.png": mask_png(left_half()) for word in words}


def experiments(count: int = 2) -> dict[str, bytes]:
    """The files of several experiments, by path."""
    return {
        f"output/{number}/{name}": content
        for number in range(count)
        for name, content in experiment(seed=number).items()
    }


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


_TEXTS = (
    b"",
    b"   \n",
    b"\xff\xfe\x00",
    b"None",
    b"9" * 30,
    b"-3",
    b"1e9",
    b"nan",
    b"\x00",
    "a çat".encode(),
    b"a cat " * 30_000,
    b"cat\ndogs\tand\r\ncat",
    "\N{RIGHT-TO-LEFT OVERRIDE}cat".encode(),
)
_NAMES = (
    "output/0/..gt.png",
    "output/0/.gt.png",
    "output/0/CAT.gt.png",
    "output/0/a b.c.gt.png",
    "output/0/(cat.gt.png",
    "output/0/cat.gt.png/prompt.txt",
    "output/x/y/z/prompt.txt",
    "prompt.txt",
    "output/0/../../../up.gt.png",
    "/tmp/abs.gt.png",
    "output/0/sub/output.png",
    "output/1/" + "n" * 300 + ".gt.png",
    "output/\udcff/prompt.txt",
    "output/0\nx/prompt.txt",
    "output//0/./cat.gt.png",
    "..\\up.gt.png",
)


def spoiled(random: Random) -> dict[str, bytes]:
    """Experiments with one to three things wrong, by path."""
    files = experiments(random.choice((1, 2, 3)))
    for _ in range(random.choice((1, 1, 2, 3))):
        if not files:
            break
        name = random.choice(sorted(files))
        content = files[name]
        match random.randrange(8):
            case 0:
                del files[name]
            case 1:
                files[name] = content[: random.randrange(len(content) + 1)]
            case 2:
                files[name] = random.choice(_TEXTS)
            case 3:
                files[name] = random.choice(_IMAGES)
            case 4:
                files[name] = _with_noise(content, random)
            case 5:
                files[random.choice(_NAMES)] = content
            case 6:
                files[name] = files[random.choice(sorted(files))]
            case _:
                files[name + random.choice((".gt.png", "/prompt.txt", "x"))] = files.pop(name)
    return files


_IMAGES = (
    png("L"),
    png("LA"),
    png("RGBA"),
    png("RGB", (1, 1)),
    png("RGBA", (HEIGHT, WIDTH), (1, 1, 1, 255)),
    png("RGBA", colour=(1, 1, 1, 1)),
    png("RGB", colour=(0, 0, 0)),
    huge_png(100_000, 100_000),
    huge_png(2**31 - 1, 2**31 - 1),
    huge_png(9000, 9000),
    huge_png(0, 5),
    huge_png(4000, 4000),
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",
)


def _with_noise(content: bytes, random: Random) -> bytes:
    noisy = bytearray(content)
    for _ in range(random.choice((1, 4, 30))):
        if noisy:
            noisy[random.randrange(len(noisy))] = random.randrange(256)
    return bytes(noisy)
