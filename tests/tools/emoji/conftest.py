import pytest

from tools.emoji import DEBIAN_FONT
from tools.emoji.scenes import Glyphs


@pytest.fixture(scope="session")
def font():
    if not DEBIAN_FONT.is_file():
        pytest.skip("no emoji font: install Debian's fonts-noto-color-emoji")
    return DEBIAN_FONT


@pytest.fixture(scope="session")
def glyphs(font):
    return Glyphs(font)
