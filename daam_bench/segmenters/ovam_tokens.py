"""OVAM with optimised tokens: a noun's embedding is fitted to its mask in an annotated image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from daam_bench.segmenters.generator_method import AttentionMethod, NounMaps
from daam_bench.segmenters.traced_image import TracedBatch, TracedImage, trace_queries
from daam_bench.types import BoolMask, Example, Noun, Query, Split
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from daam_bench.attribution.query_sums import QuerySums

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class OvamTokens(AttentionMethod):
    """OVAM (arXiv 2403.14291) with token optimisation: embeddings fitted to masks, read everywhere else.

    Two embeddings begin as the start token and the noun of the text "An image of a {}", whose raw scores
    make the maps of `ovam`. They are optimised on annotated images, noised: their maps, enlarged bilinearly
    to the image and stretched to [0, 1] together, are logits of background and noun, whose cross-entropy
    with the mask SGD lowers, its rate falling by steps. Those of the lowest loss are kept, once for each
    noun, and the noun's is compared with every image. Numbers are the defaults of the method's code. A noun
    that no annotated image shows keeps its plain embedding, with a warning.

    Not done: the code optimises on generated images of one object each; the self-attention factor; dense CRF.

    Args:
        annotated: Dataset with the annotated images.
        tuned_on: Their split. What is scored must be another.
        images: Annotated images a noun, picked by the seed among those with fewest nouns.
        steps: Steps of the optimisation.
        rate: Learning rate of SGD at first.
        step_size: Steps after which it falls.
        gamma: Factor that it falls by.
        template: The attribution prompt; "{}" is the noun's dictionary form.
        blocks: Parts of the denoiser that are added up, as for `daam`.
    """

    name: ClassVar[str] = "ovam-tokens"
    track: ClassVar[str] = "tuned on masks"
    needs: ClassVar[str] = "cross-attention (Stable Diffusion 1, 2 and XL ...); a split with masks to tune on"
    calls: ClassVar[str] = "1 generation; once for each noun images x time steps, and 1 more"
    paper: ClassVar[str] = "arXiv 2403.14291"

    annotated: str = "emoji"
    tuned_on: str = "dev"
    images: int = 1
    steps: int = 1000
    rate: float = 300.0
    step_size: int = 80
    gamma: float = 0.7
    template: str = "An image of a {}"
    blocks: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{}" not in self.template:
            raise InputError(f"template must have a place {{}} for the noun, not {self.template!r}")
        for option in ("images", "steps", "step_size"):
            if not isinstance(value := getattr(self, option), int) or value < 1:
                raise InputError(f"{option} must be a whole number of at least 1, not {value!r}")
        if not self.rate > 0 or not 0 < self.gamma <= 1:
            raise InputError(f"rate must be above 0, gamma in (0, 1], not {self.rate!r} and {self.gamma!r}")
        self._tokens: dict[tuple[int, str], Tensor] = {}

    def traces(self, pipeline: Any, queries: Sequence[Query]) -> Sequence[Mapping[str, Any]]:
        """Optimise what nouns of the batch are new, and trace the queries of its images."""
        from daam_bench.attribution.query_sums import QuerySums

        self._sums, self._pipeline = QuerySums(pipeline), pipeline
        shown = {noun.lemma: query for query in queries for noun in query.nouns}
        for lemma, query in shown.items():
            if (id(pipeline), lemma) not in self._tokens:
                self._tokens[id(pipeline), lemma] = self._token(lemma, query)
        return [{"blocks": self.blocks, "queries": self._sums.add}]

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the scores of each noun's embedding, shifted to begin at 0."""
        import torch

        tokens = [self._tokens[id(self._pipeline), noun.lemma] for noun in image.query.nouns]
        with torch.no_grad():
            maps = self._sums.maps(image.row, torch.stack(tokens), image.size).cpu().numpy()
        return [one - one.min() for one in maps]

    def _token(self, lemma: str, query: Query) -> Tensor:
        """Return a noun's embedding, optimised where there are masks of it."""
        examples = annotated_examples(self._split, lemma, self.images, self.seed)
        start = self._plain(lemma, query)
        if not examples:
            where = f"split {self.tuned_on} of {self.annotated}"
            logger.warning("no image of %s shows %r; its token stays as it is", where, lemma)
            return start[1]
        annotated = [self._annotated(example, lemma) for example in examples]
        numbers: dict[str, Any] = {
            option: getattr(self, option) for option in ("steps", "rate", "step_size", "gamma")
        }
        return optimize_tokens(start, annotated, **numbers)[0][1]

    @cached_property
    def _split(self) -> Split:
        from daam_bench.datasets.load import load_split

        return load_split(self.annotated, self.tuned_on)

    def _annotated(self, example: Example, lemma: str) -> tuple[QuerySums, tuple[int, int], BoolMask]:
        """Return an annotated image's queries, the size of its maps, and where the noun is."""
        from daam_bench.attribution.query_sums import QuerySums

        sums = QuerySums(self._pipeline)
        image = self._trace(example.query, self.timesteps, {"queries": sums.add})
        masks = [noun.mask for noun in example.nouns if noun.lemma == lemma and noun.mask is not None]
        return sums, image.size, np.any(masks, axis=0)

    def _plain(self, lemma: str, query: Query) -> Tensor:
        """Return the embeddings (2, channels) of start token and noun, as the layers' keys get them."""
        import torch

        from daam_bench.attribution.tokens import encode

        begin, kind = self.template.index("{}"), type(self._pipeline).__name__
        noun = Noun(lemma, lemma, begin, begin + len(lemma), None)
        asked = Query(query.id, self.template.replace("{}", lemma), query.image, (noun,), None, None)
        with self._sums.texts() as texts:
            image = self._trace(asked, (0,), {})
        if not texts or any(not torch.equal(text, texts[0]) for text in texts):
            raise InputError(f"{self.name} needs layers that all get the text as it is, which {kind} has not")
        tokenizer = getattr(self._pipeline, "tokenizer", None) or self._pipeline.tokenizer_2
        _, _, is_special = encode(tokenizer, asked.prompt)
        # T5 adds none, and may begin with a token of the blank before the first word.
        if not is_special[0] or not image.words.begins_with_special:
            raise InputError(f"{self.name} needs a start token, which the text of {kind} has not")
        own = texts[0][0].detach().float()
        return torch.stack([own[image.words.positions[0]], own[list(image.noun_tokens()[0])].mean(dim=0)])

    def _trace(self, query: Query, timesteps: Sequence[int] | None, more: Mapping[str, Any]) -> TracedImage:
        from daam_bench.attribution.selection import make_selection

        selection = make_selection(blocks=self.blocks, **more)
        options: Any = {"again": False, "timesteps": timesteps, "seed": self.seed}
        tracers, _ = trace_queries(self._pipeline, [query], [selection], **options)
        return TracedBatch(self._pipeline, tracers[0], [query]).images[0]


def annotated_examples(split: Split, lemma: str, count: int, seed: int) -> list[Example]:
    """Return up to `count` examples that show a noun: those with fewest nouns, as the seed has them."""
    shown = [e for e in split.examples if any(noun.lemma == lemma and noun.rle for noun in e.nouns)]
    order = np.random.default_rng((seed, *lemma.encode())).permutation(len(shown))
    return sorted((shown[index] for index in order), key=lambda example: len(example.nouns))[:count]


def optimize_tokens(
    start: Tensor,
    annotated: Sequence[tuple[QuerySums, tuple[int, int], BoolMask]],
    *,
    steps: int,
    rate: float,
    step_size: int,
    gamma: float,
) -> tuple[Tensor, list[float]]:
    """Fit the embeddings of background and noun to masks.

    Args:
        start: (2, channels), where they begin.
        annotated: For each image its queries (in row 0), the size of its maps, and its mask.
        steps: See `OvamTokens`.
        rate: See `OvamTokens`.
        step_size: See `OvamTokens`.
        gamma: See `OvamTokens`.

    Returns:
        The embeddings of the lowest loss, and the loss before each step.
    """
    import torch
    from torch.nn import functional

    tokens = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([tokens], lr=rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=step_size, gamma=gamma)
    targets = [torch.tensor(np.stack([~mask, mask]), device=start.device).float() for *_, mask in annotated]
    # Scores are linear in an embedding (affine, where to_k has a bias): those of unit vectors say it all.
    units = torch.cat([torch.eye(start.shape[1]), torch.zeros(1, start.shape[1])]).to(start)
    with torch.no_grad():
        scores = [sums.maps(0, units, size) for sums, size, _ in annotated]
    best, losses = start, list[float]()
    for _ in range(steps):
        loss: Any = 0
        with torch.enable_grad():
            for of_units, target in zip(scores, targets, strict=True):
                maps = torch.einsum("tc,chw->thw", tokens, of_units[:-1] - of_units[-1]) + of_units[-1]
                maps = functional.interpolate(maps[None], target.shape[1:], mode="bilinear")
                stretched = (maps - maps.min()) / (maps.max() - maps.min())
                loss = loss + functional.cross_entropy(stretched, target[None]) / len(annotated)
            (tokens.grad,) = torch.autograd.grad(loss, tokens)
        if loss.item() < min(losses, default=np.inf):
            best = tokens.detach().clone()
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
    return best, losses
