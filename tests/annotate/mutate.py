"""Valid files made bad, at random."""

import copy
import json
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 0.5, -0.0, 1e308, 2**31, 2**32 - 1, 2**63, 10**400),
    *(float("nan"), float("inf"), "", " ", "0", "1", "\0", "\ud800", "x" * 100_000, "猫" * 50, "0: cat"),
    *("../../../etc/passwd", "a/b", "C:\\x"),
    *([], {}, [[]], [None], [0] * 1000, [1e308] * 6, [255] * 64, [[3.0] * 7]),
    *([[0, 0, 1e9, 1e9, 5, 5]], [[-1, -1, 40, -1, 40, 40, -1, 40]]),
    {"size": [32, 32], "counts": "o"},
    {"size": [2**31, 2**31], "counts": [2**62]},
    {"size": [32, 32], "counts": [0] * 1000 + [1024]},
)


def broken_bytes(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, repeat or cut bytes, in one to four places."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 1, 2, 8, 100))
        match chance.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = changed[place : place + length]
            case 3:
                changed[place : place + 1] = chance.choice(b'0123456789-.eE"[]{},:ntf').to_bytes()
            case 4:
                del changed[place if chance.random() < 0.2 else len(changed) - length :]
    return bytes(changed)


def broken_structure(data: bytes, chance: random.Random) -> bytes:
    """Replace, remove, repeat or exchange values, in one to four places."""
    changed = json.loads(data)
    for _ in range(chance.randint(1, 4)):
        places = list(_places(changed, chance))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(6):
            case 0 | 1:
                holder[key] = copy.deepcopy(chance.choice(STRANGE))
            case 2:
                del holder[key]
            case 3:
                other, name = chance.choice(places)
                holder[key] = copy.deepcopy(other[name]) if name in other or isinstance(other, list) else None
            case 4:
                for _ in range(chance.choice((1, 3, 60))):
                    holder[key] = [holder[key]]
            case 5 if isinstance(holder, list):
                holder[key:key] = [holder[key]] * chance.choice((1, 2, 50))
    return json.dumps(changed).encode()


def _places(value: Any, chance: random.Random):
    """Give the places of a JSON value, of long lists only some."""
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = chance.sample(range(len(value)), min(len(value), 4))
    else:
        return
    for key in keys:
        yield value, key
        yield from _places(value[key], chance)
