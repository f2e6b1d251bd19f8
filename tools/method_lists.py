"""The methods on the generator, in the order of tables and figures, and which of them share a trace."""

from __future__ import annotations

from collections.abc import Sequence

BASELINE = "daam"
"""The method that all others are set beside."""

PAPER_TAUS = (0.3, 0.4, 0.5)
"""The taus of the paper: DAAM-0.3, -0.4 and -0.5."""

ON_ATTENTION = (
    *("daam", "daam-mean", "daam-self", "daam-superpixels", "head-selection"),
    *("ovam", "diffsegmenter", "iseg", "diffseg", "ovam-tokens"),
)
"""Those that read the attention of one trace."""

APART = ("drop-word", "gradient", "jvp")
"""Those that call the denoiser in their own way."""

ON_UNETS = (*ON_ATTENTION[:-1], *APART, ON_ATTENTION[-1])
"""All that work on a U-Net, in the order of tables and figures: the one that sees masks last."""

CHOSEN_ON_DEV = ("daam-superpixels-dev", "ovam-dev", "diffsegmenter-dev", "iseg-dev", "diffseg-dev")
"""Of those on attention, the same with options that were chosen on masks."""

ON_TRANSFORMERS = (
    *("daam", "daam-mean", "daam-self", "daam-superpixels", "head-selection", "ovam"),
    *("concept-attention", "seg4diff", "anchor-diff", "drop-word", "gradient", "jvp"),
)
"""All that work on joint attention."""


def sharing_first(methods: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part methods into those that share a trace and those that don't."""
    return tuple(m for m in methods if m not in APART), tuple(m for m in methods if m in APART)
