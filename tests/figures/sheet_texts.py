"""What is written on a figure, and in which colours."""

from matplotlib.colors import to_hex
from matplotlib.figure import Figure


def texts_of(figure: Figure) -> list[tuple[str, str]]:
    """Return the texts of all axes with their colours, in order."""
    return [
        (text.get_text(), to_hex(text.get_color()))
        for axes in figure.axes
        for text in axes.texts
        if text.get_text()
    ]
