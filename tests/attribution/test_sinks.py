"""A softmax over the text's keys alone, whether the layer hands over queries and keys or probabilities."""

from __future__ import annotations

import pytest
import torch

from daam_bench.attribution.layout import AttentionLayout
from daam_bench.attribution.sinks import AttentionCall, TextAttention

HEADS, PLACES, ROWS = 3, 6, (1, 3)
TEXTS = {
    "text before the image's keys": ((slice(0, 5),) * 2, False),
    "the text alone": ((slice(0, 11),) * 2, False),
    "joint, the text behind the image": ((slice(6, 11),) * 2, True),
    "joint, texts of two lengths": ((slice(0, 5), slice(0, 3)), True),
}


@pytest.mark.parametrize(("texts", "joint"), TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("way", ["queries and keys", "probabilities", "probabilities head by head"])
def test_normalized_over_the_text(texts: tuple[slice, ...], joint: bool, way: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(4, HEADS, PLACES, 8, generator=generator)
    key = torch.randn(4, HEADS, 11, 8, generator=generator)
    kept = torch.tensor([0, 2, 4])
    image = (slice(0, PLACES),) * 2 if joint else None
    layout = AttentionLayout((2, 3), ROWS, texts, image=image, joint=joint)
    total = torch.zeros(2, 1, PLACES, len(kept))
    sink = TextAttention(
        total, layout=layout, batch=4, heads=HEADS, selected=range(HEADS), kept=kept, over="text"
    )
    scores = query @ key.mT
    if way == "queries and keys":
        # Another trace may have asked the kernel for the normaliser over all keys.
        sink.add_attention(AttentionCall(query, key, None, 1.0, scores.logsumexp(dim=-1)))
    elif way == "probabilities":
        sink.add_probabilities(scores.softmax(dim=-1).flatten(0, 1))
    else:
        for one in scores.softmax(dim=-1).flatten(0, 1):
            sink.add_probabilities(one[None])
    assert sink.complete
    for index, (row, text) in enumerate(zip(ROWS, texts, strict=True)):
        own = [position for position in kept.tolist() if position < text.stop - text.start]
        expected = scores[row, :, :, text].softmax(dim=-1)[..., own].sum(dim=0)
        torch.testing.assert_close(total[index, 0, :, : len(own)], expected)
        assert not total[index, 0, :, len(own) :].any()
