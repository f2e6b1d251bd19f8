"""Ways in which a submission may be damaged: of its bytes, its JSON, its lines and its zip file."""

import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.leaderboard.packed import write_folder, write_zip

Members = dict[str, bytes]

NASTY: list[Any] = [
    None, True, False, 0, 1, -1, 2, 0.4, 0.35, 1.5, -0.0, 1e308, 10**30, 10**400, "", "x", "\x1b[31m",
    "\ud800", "coco-0", "../../etc/passwd", "\u202eevil", "<script>alert(1)</script>", "a|b\n# c",
    "0" * 5000, [], {}, [[]],
    [32, 32], [32, 32.0], [True, True], [-32, -32], [1 << 30, 1 << 30], [0, 1024], ["32", "32"], {"a": {}},
    "javascript:alert(1)", "http://[::1", "https://x.example/\"><b>", [0.3, 0.4], [0.3], [0.3, 0.3], "none",
]  # fmt: skip
"""Values to put where another belongs."""

NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-0", "9" * 400, "1" * 5000, "0.1e-400"]
"""Numbers as JSON text that Python's reader takes and others don't, or that don't fit."""

NAMES = [
    "../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil", "coco_gen/../submission.json", "x" * 300,
    "coco_gen/predictions.jsonl/", "submission.json/x", "\x1b[2J", " ", ".", "..", "coco_gen", "a/b/c/d/e/f",
]  # fmt: skip
"""Names of members."""


def damaged_bytes(content: bytes, random_: random.Random) -> bytes:
    """Damage bytes at one to four places."""
    data = bytearray(content)
    for _ in range(random_.choice([1, 1, 1, 2, 4])):
        place = random_.randrange(len(data) + 1)
        length = random_.choice([1, 1, 1, 2, 8, 64, 1024])
        kind = random_.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << random_.randrange(8)
        elif kind == 1:
            data[place:place] = random_.randbytes(length)
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            start = random_.randrange(len(data) + 1)
            data[place:place] = data[start : start + length]
        else:
            data[place : place + 1] = random_.choice(
                [b"\0", b"\n", b'"', b"{", b"[" * 5000, b"0", b"o", b"\xff"]
            )
    return bytes(data)


def _places(value: Any, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            found += _places(value[index], (*path, index))
    return found


def damaged_json(text: bytes, random_: random.Random) -> bytes:
    """Damage one value of a JSON object: replaced, removed, doubled, renamed, or nested deeply."""
    record = json.loads(text)
    places = _places(record)
    path = random_.choice(places)
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    kind, key = random_.randrange(8), path[-1]
    if kind <= 2:
        holder[key] = random_.choice(NASTY)
    elif kind == 3:
        del holder[key]
    elif kind == 4 and isinstance(holder, dict):
        holder[random_.choice(["x", key + "s", "\x1b", "counts", "id", "taus"])] = holder.pop(key)
    elif kind == 5 and isinstance(holder[key], str):
        holder[key] = damaged_bytes(holder[key].encode(), random_).decode("latin-1")
    elif kind == 6:
        for _ in range(random_.choice([3, 20, 900])):
            holder[key] = [holder[key]]
    elif kind == 7:
        holder[key] = "THE NUMBER"
        return json.dumps(record).replace('"THE NUMBER"', random_.choice(NUMBERS)).encode()
    return json.dumps(record, ensure_ascii=random_.random() < 0.9).encode("utf-8", "replace")


def _damage_member(members: Members, random_: random.Random) -> None:
    name = random_.choice(list(members))
    members[name] = damaged_bytes(members[name], random_)


def _damage_record(members: Members, random_: random.Random) -> None:
    name = random_.choice([*members, "submission.json"])
    if name == "submission.json":
        members[name] = damaged_json(members[name], random_)
        return
    lines = members[name].splitlines()
    place = 0 if random_.random() < 0.25 else random_.randrange(len(lines))
    lines[place] = damaged_json(lines[place], random_)
    members[name] = b"\n".join(lines) + b"\n"


def _damage_lines(members: Members, random_: random.Random) -> None:
    name = random_.choice([name for name in members if name.endswith("l")])
    lines = members[name].splitlines(keepends=True)
    one, other = random_.randrange(len(lines)), random_.randrange(len(lines))
    kind = random_.randrange(6)
    if kind == 0:
        del lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    elif kind == 2:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 3:
        lines[one] = lines[other]
    elif kind == 4:
        lines += lines[1:] * random_.choice([1, 200])
    else:
        lines.insert(one, random_.choice([b"\n", b"{}\n", b" " * 100 + b"\n", b"\xef\xbb\xbf", b"null\n"]))
    members[name] = b"".join(lines)


def _swap_members(members: Members, random_: random.Random) -> None:
    one, other = random_.choice(list(members)), random_.choice(list(members))
    kind = random_.randrange(4)
    if kind == 0:
        del members[one]
    elif kind == 1:
        members[one], members[other] = members[other], members[one]
    elif kind == 2:
        members[one] = members[other]
    else:
        members[random_.choice(["a/b/c", "extra.txt", "x/submission.json", "report.json"])] = members[one]


CONTENT: list[Callable[[Members, random.Random], None]] = [
    _damage_member,
    _damage_record,
    _damage_record,
    _damage_lines,
    _swap_members,
]


def _write_plain(members: Members, place: Path, random_: random.Random) -> Path:
    if random_.random() < 0.5:
        return write_folder(place / "folder", members)
    return write_zip(place / "submission.zip", members)


def _write_nested(members: Members, place: Path, random_: random.Random) -> Path:
    depth = random_.choice(["a/", "a/b/", "./", "a//"])
    return write_zip(place / "submission.zip", {depth + name: content for name, content in members.items()})


def _write_damaged(members: Members, place: Path, random_: random.Random) -> Path:
    path = write_zip(place / "submission.zip", members)
    path.write_bytes(damaged_bytes(path.read_bytes(), random_))
    return path


def _write_damaged_directory(members: Members, place: Path, random_: random.Random) -> Path:
    """Change fields of the zip file's own records: sizes, offsets, methods, flags, names."""
    path = write_zip(place / "submission.zip", members)
    data = bytearray(path.read_bytes())
    for _ in range(random_.choice([1, 1, 2])):
        signature, fields = random_.choice([(b"PK\1\2", 46), (b"PK\3\4", 30), (b"PK\5\6", 22)])
        starts = [at for at in range(len(data) - 3) if data[at : at + 4] == signature]
        at = random_.choice(starts) + random_.randrange(4, fields - 3)
        value = random_.choice([0, 1, 9, 12, 14, 99, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, random_.getrandbits(32)])
        data[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(data)
    return path


def _write_evil(members: Members, place: Path, random_: random.Random) -> Path:
    """Add a member that must not be unpacked: doubled, a link, a bomb, or packed in another way."""
    path = place / "submission.zip"
    kind = random_.randrange(7)
    method = random_.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]) if kind == 0 else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if kind == 1 and random_.random() < 0.5:
                info.external_attr = random_.choice([0o120777, 0o010666, 0o060666, 0o140777]) << 16
            archive.writestr(info, content)
        name = random_.choice(list(members))
        if kind == 2:
            archive.writestr(random_.choice(NAMES), b"evil")
        elif kind == 3:
            archive.writestr(name, members[name][:-1])
        elif kind == 4:
            archive.writestr("zeros", b"\0" * (1 << 22))
        elif kind == 5:
            for number in range(random_.choice([50, 1200])):
                archive.writestr(f"file{number}", b"")
        elif kind == 6:
            archive.comment = random_.choice([b"PK\5\6" * 10, b"x" * 65535])
    return path


def _write_links(members: Members, place: Path, random_: random.Random) -> Path:
    folder = write_folder(place / "folder", members)
    name = random_.choice(list(members))
    (folder / name).unlink()
    (folder / name).symlink_to(random_.choice(["/etc/passwd", "/dev/zero", folder / "nowhere", folder]))
    return folder


WRITERS: list[Callable[[Members, Path, random.Random], Path]] = [
    _write_nested,
    _write_damaged,
    _write_damaged_directory,
    _write_evil,
    _write_links,
]


def write_mutated(members: Members, place: Path, random_: random.Random) -> Path:
    """Write a damaged copy of a submission, as a folder or a zip file."""
    members = dict(members)
    if random_.random() < 0.7:
        for _ in range(random_.choice([1, 1, 1, 2, 3])):
            try:
                random_.choice(CONTENT)(members, random_)
            except (ValueError, IndexError, KeyError, TypeError):
                continue
        return _write_plain(members, place, random_)
    return random_.choice(WRITERS)(members, place, random_)
