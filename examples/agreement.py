"""An attention method of your own: a noun is where both halves of the denoiser look for it.

In this folder: daam-bench run --method agreement:Agreement --tau 0.4
"""

from dataclasses import dataclass

from daam_bench.segmenters.generator_method import AttentionMethod
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class Agreement(AttentionMethod):
    """The product of DAAM over the down blocks and DAAM over the up blocks, weighted.

    Args:
        up: Weight of the up blocks in [0, 1]; the down blocks have the rest.
    """

    name = "agreement"
    calls = "1 generation"

    up: float = 0.5

    def traced(self):
        return {"blocks": ("down", "up")}

    def noun_maps(self, image):
        height, width = image.size
        halves = {}
        for name, maps in image.layer_maps.items():  # (tokens, h, w), sums over heads and steps
            half = halves.setdefault(image.layers[name].block, [0] * len(image.query.nouns))
            for noun, own in enumerate(image.nouns_of(maps)):
                if own is not None:  # None for a noun that the tokenizer cut off
                    half[noun] = half[noun] + HeatMap(own).resize((width, height)).values
        return [
            None if isinstance(down, int) else down ** (1 - self.up) * up**self.up
            for down, up in zip(halves["down"], halves["up"], strict=True)
        ]
