"""Methods with options chosen on `dev` of `emoji`, by `python -m tools.rivals choose`.

Recipes made for Stable Diffusion weigh maps of 64 x 64 latents; on the small latents of the emoji world these
show how much of a low score is the recipe's numbers and how much its idea.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from daam_bench.segmenters.daam_superpixels import DaamSuperpixels
from daam_bench.segmenters.diffseg import DiffSeg
from daam_bench.segmenters.diffsegmenter import DiffSegmenter
from daam_bench.segmenters.iseg import ISeg
from daam_bench.segmenters.ovam import Ovam


class _OnDev:
    """What the choice on masks makes of a method."""

    track: ClassVar[str] = "tuned on masks"
    tuned_on: ClassVar[str] = "dev"


@dataclass(kw_only=True, eq=False)
class DaamSuperpixelsDev(_OnDev, DaamSuperpixels):
    """`daam-superpixels` on Felzenszwalb's superpixels, small ones, chosen on `dev` of `emoji`."""

    name: ClassVar[str] = "daam-superpixels-dev"

    superpixels: str = "felzenszwalb"
    scale: float = 25.0
    normalize: Literal["max", "minmax"] = "minmax"


@dataclass(kw_only=True, eq=False)
class DiffSegmenterDev(_OnDev, DiffSegmenter):
    """`diffsegmenter` on the finest cross-attention alone, chosen on `dev` of `emoji`."""

    name: ClassVar[str] = "diffsegmenter-dev"

    weights: Mapping[str, float] = field(default_factory=lambda: {"1": 1.0})


@dataclass(kw_only=True, eq=False)
class ISegDev(_OnDev, ISeg):
    """`iseg` on the finest cross-attention alone, refined once, chosen on `dev` of `emoji`."""

    name: ClassVar[str] = "iseg-dev"

    weights: Mapping[str, float] = field(default_factory=lambda: {"1": 1.0})
    iterations: int = 1


@dataclass(kw_only=True, eq=False)
class DiffSegDev(_OnDev, DiffSeg):
    """`diffseg` with thresholds for maps of few places, chosen on `dev` of `emoji`."""

    name: ClassVar[str] = "diffseg-dev"

    thresholds: Sequence[float] = (0.03, 0.03, 0.03)


@dataclass(kw_only=True, eq=False)
class OvamDev(_OnDev, Ovam):
    """`ovam` with a softmax over its attribution prompt, of the up blocks, chosen on `dev` of `emoji`."""

    name: ClassVar[str] = "ovam-dev"

    scores: str = "softmax"
    blocks: Sequence[str] | None = ("up",)
