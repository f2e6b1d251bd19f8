"""Heat maps: resizing, thresholding, saving and showing one word's attribution. Loads no torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from PIL import Image

from daam_bench.types.errors import InputError, check_tau
from daam_bench.types.masks import BoolMask, FloatMap, as_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Interpolation = Literal["bicubic", "nearest"]
Normalization = Literal["max", "minmax"]

MAX_SIDE = 4096
"""Largest height and width of a heat map in a file."""

MAX_MAP_PIXELS = 1 << 22
"""Most pixels of a heat map in a file: 2048 x 2048, so that its line is never too long to be read."""

FREE_MAP_PIXELS = 1 << 18
"""Pixels that the heat map of an image of any size may have: 512 x 512."""

_CUBIC_A = -0.75


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """One word's attribution over an image.

    Attributes:
        values: float32 array of shape (height, width), finite, >= 0. Read-only. Made of any floating-point
            array or torch tensor.

    Raises:
        InputError: The array isn't two-dimensional, isn't floating point, is empty, or holds NaN, infinite or
            negative values.

    >>> np.asarray(HeatMap(np.array([[0.0, 2.0]])))
    array([[0., 2.]], dtype=float32)
    """

    values: FloatMap
    _signed: FloatMap | None = field(default=None, repr=False)
    """The values before resizing's negatives were clamped, which min-max normalisation stretches."""

    _resized: tuple[Any, HeatMap] | None = field(default=None, init=False, repr=False)
    """The last resize: its size and interpolation, and the result."""

    def __post_init__(self) -> None:
        given = as_array(self.values)
        if given.ndim != 2 or given.size == 0 or not np.issubdtype(given.dtype, np.floating):
            raise InputError(
                f"a heat map must be a floating-point array (height, width), not {given.dtype} {given.shape}"
            )
        values = given.astype(np.float32)
        if not np.isfinite(values).all() or values.min() < 0:
            raise InputError("a heat map must hold finite values >= 0; clip it or replace what isn't")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def signed(self) -> FloatMap:
        """The values; of a bicubic `resize` those before its negatives were clamped to 0."""
        return self.values if self._signed is None else self._signed

    @property
    def shape(self) -> tuple[int, int]:
        """The map's (height, width)."""
        height, width = self.values.shape
        return height, width

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def numpy(self) -> FloatMap:
        """Return a copy of the values: float32 (height, width)."""
        return self.values.copy()

    def resize(
        self, size: tuple[int, int] | Image.Image, interpolation: Interpolation = "bicubic"
    ) -> HeatMap:
        """Resize to `size`, given as (width, height) like PIL's sizes, or to the size of an image.

        Bicubic is torch's `interpolate(mode="bicubic", align_corners=False)`, its negatives clamped to 0. The
        last result is remembered, so that masks at several taus and figures share it.

        Args:
            size: (width, height) in pixels, both at least 1, or an image.
            interpolation: "bicubic" or "nearest".

        Raises:
            InputError: A size below 1, or an unknown interpolation.
        """
        width, height = size.size if isinstance(size, Image.Image) else size
        if width < 1 or height < 1:
            raise InputError(
                f"a heat map can't be resized to (width, height) = {size}; both must be at least 1"
            )
        if (height, width) == self.shape:
            return self
        wanted = (width, height, interpolation)
        if self._resized is None or self._resized[0] != wanted:
            rows = resize_weights(self.shape[0], height, interpolation)
            columns = resize_weights(self.shape[1], width, interpolation)
            signed = np.asarray(rows @ self.values @ columns.T, dtype=np.float32)
            resized = HeatMap(np.maximum(signed, np.float32(0)), signed)
            object.__setattr__(self, "_resized", (wanted, resized))
            return resized
        return self._resized[1]

    def threshold(self, tau: float, normalize: Normalization = "max") -> BoolMask:
        """Make the hard mask of the paper's section 2.2: where the map is at least `tau` times its maximum.

        Args:
            tau: Threshold in [0, 1], relative to the map's maximum.
            normalize: "max" as in the paper; "minmax" stretches the map to [0, 1] first, as castorini/daam
                does (after `resize` that is the map with its negatives).

        Returns:
            A boolean mask of the map's shape; all False for a map that is 0 everywhere, and with "minmax" for
            any constant map.

        Raises:
            InputError: `tau` outside [0, 1], or an unknown normalization.

        >>> HeatMap(np.array([[1.0, 2.0, 4.0]])).threshold(0.5)
        array([[False,  True,  True]])
        """
        check_tau(tau)
        if normalize not in ("max", "minmax"):
            raise InputError(f'normalize must be "max" or "minmax", not {normalize!r}')
        values, floor = self.values, np.float32(0)
        if normalize == "minmax":
            values = self.signed
            floor = values.min()
        span = values.max() - floor
        if span == 0:
            return np.zeros(self.shape, dtype=np.bool_)
        mask: BoolMask = values - floor >= np.float32(tau) * span
        return mask

    def overlay(self, image: Image.Image, *, alpha: float = 0.5, colors: str = "inferno") -> Image.Image:
        """Blend the map, resized and stretched to its own maximum, over `image`.

        Args:
            image: The image the map belongs to; the result, RGB, has its size.
            alpha: Weight of the map in [0, 1].
            colors: Name of a matplotlib colour map.

        Raises:
            InputError: `alpha` outside [0, 1], or an unknown colour map.
        """
        if not 0 <= alpha <= 1:
            raise InputError(f"alpha is the weight of the map in [0, 1], not {alpha}")
        return Image.blend(image.convert("RGB"), self.resize(image.size).paint(colors), alpha)

    def paint(self, colors: str = "inferno") -> Image.Image:
        """Return the map as an RGB image of its own size, stretched to its maximum.

        Raises:
            InputError: matplotlib has no colour map `colors`.
        """
        from matplotlib import colormaps

        if colors not in colormaps:
            raise InputError(f"matplotlib has no colour map {colors!r}; try 'inferno' or 'viridis'")
        peak = self.values.max()
        painted = colormaps[colors](self.values / peak if peak > 0 else self.values, bytes=True)[..., :3]
        return Image.fromarray(np.ascontiguousarray(painted))

    def plot(self, image: Image.Image, title: str = "") -> Figure:
        """Plot the image the map belongs to, and beside it the map over it under `title`, with a colour bar.

        A notebook shows the figure, `figure.savefig(path)` writes it.
        """
        from daam_bench.figures.grids import panel_grid
        from daam_bench.figures.panels import Panel

        return panel_grid([[Panel("", image), Panel(title, image, self)]])

    def save(self, path: Path | str) -> None:
        """Save the map: its float32 values as ".npy", or what `paint` shows as an image.

        Args:
            path: The file: ".npy", or ".png" or another suffix that Pillow writes. An image has a pixel for
                every value: `heat_map.resize(image).save("cat.png")` has the size of the image.

        Raises:
            InputError: Another suffix, or the place can't be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix != ".npy" and suffix not in Image.registered_extensions():
            raise InputError(f"{path}: a heat map is saved as .npy, or as an image such as .png")
        try:
            if suffix == ".npy":
                with path.open("wb") as file:
                    np.save(file, self.values)
            else:
                self.paint().save(path)
        except (OSError, KeyError) as error:
            raise InputError(f"can't write {path}: {getattr(error, 'strerror', None) or error}") from None

    def _repr_png_(self) -> bytes:
        """Show the map in a notebook, a square for every value."""
        from daam_bench.figures.page_parts import heat_map_png

        return heat_map_png(self)


def check_map_size(shape: tuple[int, ...], image: tuple[int, int] | None = None) -> None:
    """Refuse a heat map too large to be kept. One limit holds for running, packing, checking and scoring.

    Args:
        shape: The map's (height, width).
        image: (height, width) of its image, if that is known: a map may have as many pixels as the image, and
            `FREE_MAP_PIXELS` in any case.

    Raises:
        InputError: A side above `MAX_SIDE`, or too many pixels.
    """
    most = MAX_MAP_PIXELS if image is None else min(MAX_MAP_PIXELS, max(FREE_MAP_PIXELS, image[0] * image[1]))
    if max(shape, default=0) > MAX_SIDE or math.prod(shape) > most:
        of = "" if image is None else f" for an image of {image[0]} x {image[1]}"
        raise InputError(
            f"a heat map of {' x '.join(map(str, shape))}{of}; {most} pixels and {MAX_SIDE} a side at most, "
            "resize it to the image"
        )


class WordHeatMaps(Mapping[str, HeatMap]):
    """The heat maps of one image by the words of its prompt, which know how to show themselves."""

    # Comparing the arrays of all words is nobody's intention: only the same object is equal.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @abstractmethod
    def words(self) -> Sequence[Any]:
        """Return the words of the prompt in order, repeated ones too: objects with the word as `text`."""

    @abstractmethod
    def map_of(self, word: Any) -> HeatMap:
        """Return the map of one of `words()`."""

    def __iter__(self) -> Iterator[str]:
        """Yield each word of the prompt once, whatever its case."""
        first: dict[str, str] = {}
        for word in self.words():
            first.setdefault(word.text.casefold(), word.text)
        return iter(first.values())

    def __len__(self) -> int:
        return len(list(iter(self)))

    def overlay(self, image: Image.Image) -> Any:
        """Lay the maps of all words over their image, to be looked at in a notebook.

        Args:
            image: The image the maps belong to.
        """
        from daam_bench.figures.page_parts import Overlays

        return Overlays(image, {word: self.map_of(word) for word in self.words()})

    def _repr_html_(self) -> str | None:
        """Show the map of every word in a notebook; nothing where words are unknown."""
        from daam_bench.figures.page_parts import enlarged, words_html

        try:
            words = self.words()
        except InputError:
            return None
        return words_html([(word.text, enlarged(self.map_of(word).paint())) for word in words])


@lru_cache(maxsize=256)
def resize_weights(source: int, target: int, interpolation: Interpolation = "bicubic") -> FloatMap:
    """Weights that resize one axis: `resize_weights(h, H) @ map` has H rows.

    The kernel is Keys's cubic with a = -0.75, borders repeated and pixel centres at halves, as in torch.

    Returns:
        Read-only float32 array of shape (target, source); each row sums to 1.

    Raises:
        InputError: An unknown interpolation.
    """
    if interpolation not in ("bicubic", "nearest"):
        raise InputError(f'interpolation must be "bicubic" or "nearest", not {interpolation!r}')
    weights = np.zeros((target, source))
    rows = np.arange(target)
    if interpolation == "nearest":
        weights[rows, rows * source // target] = 1
    else:
        centres = (rows + 0.5) * source / target - 0.5
        first = np.floor(centres).astype(np.int64)
        for offset in (-1, 0, 1, 2):
            columns = np.clip(first + offset, 0, source - 1)
            np.add.at(weights, (rows, columns), _cubic(np.abs(centres - first - offset)))
    result = weights.astype(np.float32)
    result.setflags(write=False)
    return result


def _cubic(distance: ArrayLike) -> NDArray[np.float64]:
    """Keys's kernel at distances from 0 to 2, where it ends at 0."""
    x = np.asarray(distance, dtype=np.float64)
    a = _CUBIC_A
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, far)
