"""A method's best and worst pairs, drawn: the image, the ground truth and the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.site.examples import Piece, image_name, is_pixelated, prompt_pieces
from daam_bench.leaderboard.site.outlines import outline_path
from daam_bench.leaderboard.site.standings import Scored
from daam_bench.scoring.results import SplitScores, tau_key
from daam_bench.types import RLE, PairScore
from daam_bench.types.masks import decode

PAIRS = 6
"""How many of the best, and of the worst, a page shows."""


@dataclass(frozen=True, slots=True)
class PairCard:
    """One pair.

    Attributes:
        split: Name of the split.
        pair: Its score.
        pieces: The prompt, cut at its nouns.
        image: Place of its image in the site.
        size: (width, height) of the image.
        pixelated: Whether the image is shown pixel by pixel.
        truth: SVG path of the true mask's outline.
        prediction: SVG path of the predicted mask's outline; empty for an empty mask.
    """

    split: str
    pair: PairScore
    pieces: tuple[Piece, ...]
    picture: str
    size: tuple[int, int]
    pixelated: bool
    truth: str
    prediction: str


def best_and_worst(scored: Scored, tau: str, count: int = PAIRS) -> tuple[list[PairCard], list[PairCard]]:
    """Return the pairs with the highest IoU over all splits, and those with the lowest, worst first.

    Args:
        scored: The entry.
        tau: A key of its scores.
        count: How many of each; fewer if there are no more, and no pair is in both.
    """
    pairs = [
        (name, pair) for name, scores in scored.results.items() for pair in scores.pairs() if pair.tau == tau
    ]
    pairs.sort(key=lambda item: (-item[1].iou, item[0], item[1].id, item[1].noun))
    count = min(count, len(pairs) // 2)
    best, worst = pairs[:count], pairs[len(pairs) - count :][::-1]
    masks = _predicted(scored, tau, {(name, pair.id, pair.noun) for name, pair in best + worst})
    return (
        [_card(scored.results[name], pair, masks) for name, pair in best],
        [_card(scored.results[name], pair, masks) for name, pair in worst],
    )


def _predicted(
    scored: Scored, tau: str, wanted: set[tuple[str, str, int]]
) -> dict[tuple[str, str, int], RLE]:
    return {
        (name, prediction.id, prediction.noun): prediction.mask
        for name in scored.results
        for prediction in read_predictions(scored.entry.predictions(name))[1]
        if tau_key(prediction.tau) == tau and (name, prediction.id, prediction.noun) in wanted
    }


def _card(scores: SplitScores, pair: PairScore, masks: Mapping[tuple[str, str, int], RLE]) -> PairCard:
    split = scores.split
    index = next(index for index, example in enumerate(split.examples) if example.query.id == pair.id)
    example = split.examples[index]
    query, truth = example.query, example.masks[pair.noun]
    assert truth is not None
    predicted = masks.get((split.name, pair.id, pair.noun))
    return PairCard(
        split=split.name,
        pair=pair,
        pieces=tuple(prompt_pieces(query)),
        picture=f"images/{split.name}/{image_name(query, index)}",
        size=query.image.size,
        pixelated=is_pixelated(query.image),
        truth=outline_path(decode(truth)),
        prediction="" if predicted is None else outline_path(decode(predicted)),
    )
