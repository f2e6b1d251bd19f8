"""How much of a stranger's submission is read at most."""

from __future__ import annotations

MAX_ARCHIVE = 256 << 20
"""Bytes of a zip file."""

MAX_MEMBERS = 1000
"""Files and folders in a zip file."""

MAX_RATIO = 250
"""Unpacked bytes a packed byte of a zip file, once more than `FREE_BYTES` are unpacked."""

FREE_BYTES = 4 << 20

MAX_FILE = 512 << 20
"""Bytes of a predictions file, and of a file of heat maps."""

MAX_JSON = 1 << 20
"""Bytes of `submission.json` and of `verification.json`."""

MAX_LINE = 8 << 20
"""Bytes of a line."""

MAX_SPARE_LINES = 1000
"""Lines of a file beyond one a pair and tau; what they hold is a problem anyway."""

MAX_MAP_SIDE = 1024
"""Height and width of a heat map."""
