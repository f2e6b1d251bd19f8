"""What others wrote, made safe to stand in a page's scripts and links."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

_UNSAFE = re.compile("[<>&\u2028\u2029]")


def script_json(value: Any) -> str:
    r"""Write a JSON value so that it may stand in a script, inline or in a file of its own.

    >>> print(script_json("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def web_link(link: str | None) -> str | None:
    """Return a link if it is a plain http or https address, else None.

    >>> web_link("https://example.org/paper"), web_link("javascript:alert(1)")
    ('https://example.org/paper', None)
    """
    if not link or re.search(r"[\s\x00-\x1f\\]", link):
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None
