"""A submission's masks and heat maps, read in the plainest way: no code of the package but its file names."""

import base64
import json
import struct
import zipfile
import zlib
from pathlib import Path

SPLITS = ("coco_gen", "unreal_gen")
_LINES = {f"{split}/{name}.jsonl" for split in SPLITS for name in ("predictions", "heat_maps")}


def read_files(source: Path) -> dict[str, bytes]:
    """Return the files of a submission, a folder or a zip file: name beside `submission.json` -> content."""
    if source.is_dir():
        return {
            path.relative_to(source).as_posix(): path.read_bytes()
            for path in source.rglob("*")
            if path.is_file()
        }
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        markers = sorted((name for name in names if name.split("/")[-1] == "submission.json"), key=len)
        root = markers[0][: -len("submission.json")]
        return {name[len(root) :]: archive.read(name) for name in names if name.startswith(root)}


def read_headers(files: dict[str, bytes]) -> dict[str, dict]:
    """Return file -> its header."""
    return {name: json.loads(content.split(b"\n")[0]) for name, content in files.items() if name in _LINES}


def read_masks(files: dict[str, bytes]) -> dict[tuple, list[bool] | None]:
    """Return (split, id, noun, tau) -> the mask's pixels, column by column; None for a null."""
    masks = {}
    for split in SPLITS:
        for line in files[f"{split}/predictions.jsonl"].split(b"\n")[1:]:
            if line.strip():
                record = json.loads(line)
                tau = None if record["tau"] is None else float(record["tau"])
                masks[split, record["id"], record["noun"], tau] = record["mask"] and pixels(record["mask"])
    return masks


def read_maps(files: dict[str, bytes]) -> dict[tuple, tuple]:
    """Return (split, id, noun) -> (height, width, values)."""
    maps = {}
    for split in SPLITS:
        for line in files.get(f"{split}/heat_maps.jsonl", b"").split(b"\n")[1:]:
            if line.strip():
                record = json.loads(line)
                height, width = record["map"]["shape"]
                data = zlib.decompress(base64.b64decode(record["map"]["data"]))
                values = struct.unpack(f"<{height * width}f", data)
                maps[split, record["id"], record["noun"]] = (height, width, values)
    return maps


def pixels(mask: dict) -> list[bool]:
    """Decode COCO's compressed runs, as rleFrString in COCO's maskApi.c does."""
    runs: list[int] = []
    value = shift = 0
    for character in mask["counts"]:
        digit = ord(character) - 48
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    decoded: list[bool] = []
    for place, run in enumerate(runs):
        decoded += [place % 2 == 1] * run
    assert len(decoded) == mask["size"][0] * mask["size"][1]
    return decoded
