"""SAM 3, an open-vocabulary segmenter: the noun as a concept, segmented wherever it is in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from daam_bench.diffusion.pipelines import pick_device
from daam_bench.segmenters.pretrained import (
    check_template,
    load_kind,
    load_pretrained,
    look_for_nouns,
    read_commit,
    square_pixels,
)
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import Query
from daam_bench.types.heat_map import HeatMap

DEFAULT_MODEL = "facebook/sam3"

_TOKENS = 32
"""To which texts are padded for SAM 3."""


class Sam3:
    """SAM 3 ("SAM 3: Segment Anything with Concepts", arXiv 2511.16719), through transformers 5.

    A noun's heat map is the sigmoid of the model's semantic segmentation for the noun's dictionary form.

    Args:
        model: Hub id or path of a SAM 3 model.
        revision: Its revision on the hub; None for the newest.
        template: Text that is looked for; "{}" is the noun.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        batch_size: Most nouns looked for at once; None for one, since the model is large.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: The model can't be had, or an option is wrong.
    """

    name = "sam3"
    track = "other weights"
    needs = f"weights of SAM 3 ({DEFAULT_MODEL}, SAM License, on request)"
    paper = "arXiv 2511.16719"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        template: str = "{}",
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._template = check_template(template)
        # The released config is that of the video model, which holds the image model's.
        config = load_kind(model, revision, "sam3", "sam3_video")
        self.device = pick_device(device)
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "revision": read_commit(config) or revision,
            "template": template,
        }
        self._name, self._revision = model, revision
        self._batch_size, self._threads = batch_size or 1, threads

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap]]:
        """Return each noun's heat map at the model's resolution, values in [0, 1]."""
        with computing_with(self._threads):
            return look_for_nouns(queries, self._template, self._batch_size, self._look)

    def _look(self, texts: Sequence[str], images: Sequence[Any]) -> list[HeatMap]:
        import torch

        model, tokenizer = self._loaded
        words = tokenizer(
            list(texts), padding="max_length", max_length=_TOKENS, truncation=True, return_tensors="pt"
        )
        pixels = square_pixels(images, self._name, self._revision)
        with torch.inference_mode():
            logits = model(pixel_values=pixels.to(self.device), **words.to(self.device)).semantic_seg
        return [HeatMap(values) for values in logits[:, 0].float().sigmoid().cpu().numpy()]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model = load_pretrained("Sam3Model", self._name, self._revision)
        tokenizer = load_pretrained("AutoTokenizer", self._name, self._revision)
        return model.to(self.device).eval(), tokenizer
