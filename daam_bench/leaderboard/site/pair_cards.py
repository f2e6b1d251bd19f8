"""A method's best and worst pairs for its page: the image, the ground truth and the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from daam_bench.figures.outlines import outline_path
from daam_bench.figures.page_parts import Piece, is_pixelated, prompt_pieces
from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.site.data_files import image_name
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
        ground_truth: SVG path of the true mask's outline.
        prediction: SVG path of the predicted mask's outline; empty for an empty mask.
    """

    split: str
    pair: PairScore
    pieces: tuple[Piece, ...]
    image: str
    size: tuple[int, int]
    pixelated: bool
    ground_truth: str
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
    wanted = {(name, pair.id, pair.noun) for name, pair in best + worst}
    masks = {
        place: prediction.mask
        for name in scored.results
        for prediction in read_predictions(scored.entry.predictions(name))[1]
        if tau_key(prediction.tau) == tau and (place := (name, prediction.id, prediction.noun)) in wanted
    }

    def card(name: str, pair: PairScore) -> PairCard:
        return _card(scored.results[name], pair, masks.get((name, pair.id, pair.noun)))

    return [card(*item) for item in best], [card(*item) for item in worst]


def _card(scores: SplitScores, pair: PairScore, predicted: RLE | None) -> PairCard:
    split = scores.split
    index = next(index for index, example in enumerate(split.examples) if example.query.id == pair.id)
    example = split.examples[index]
    query, mask = example.query, example.masks[pair.noun]
    assert mask is not None
    return PairCard(
        split=split.name,
        pair=pair,
        pieces=tuple(prompt_pieces(query.prompt, [(noun.start, noun.end) for noun in query.nouns])),
        image=f"images/{split.name}/{image_name(query, index)}",
        size=query.image.size,
        pixelated=is_pixelated(query.image),
        ground_truth=outline_path(decode(mask)),
        prediction="" if predicted is None else outline_path(decode(predicted)),
    )
