"""Makes the emoji world: scenes, captions, training, mask checking, detectors."""

from pathlib import Path

DEBIAN_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
"""Where Debian's package fonts-noto-color-emoji puts the font."""
