"""Seg4Diff: the one layer of a joint-attention transformer that grounds words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from daam_bench.segmenters.generator_method import NounMaps, OneCallMethod
from daam_bench.segmenters.traced_image import TracedImage


@dataclass(kw_only=True, eq=False)
class Seg4Diff(OneCallMethod):
    """Seg4Diff's recipe (arXiv 2509.18096): image-to-text attention of one joint-attention block.

    The image is noised and denoised once; a noun's map is the attention of image places to its tokens in the
    CLIP part of the text, as a mean over heads, softmax over all keys. The paper finds block 9 of Stable
    Diffusion 3 to be the "semantic grounding expert"; another model's must be found. Its prompt is the names
    of the classes, here the image's own; its fine-tuned variant is left out.

    Args:
        timesteps: 515 is the 8th from the end of Stable Diffusion 3's 28 steps, the one of the method's code.
        layer: Number of the block.
        streams: The part of the text; None for all of it, for models without one of CLIP.
    """

    name: ClassVar[str] = "seg4diff"
    needs: ClassVar[str] = "joint attention (Stable Diffusion 3, FLUX ...)"
    calls: ClassVar[str] = "1"
    paper: ClassVar[str] = "arXiv 2509.18096"

    timesteps: Sequence[int] | None = (515,)
    layer: int = 9
    streams: str | None = "clip"

    def traced(self) -> Mapping[str, Any]:
        """Trace the one block."""
        return {"layers": self.layer, "streams": self.streams}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the block's map of each noun."""
        return image.noun_maps()
