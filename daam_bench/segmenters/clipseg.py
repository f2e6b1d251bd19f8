"""CLIPSeg, an open-vocabulary baseline: the noun as text, looked for in the image."""

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
)
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import Query
from daam_bench.types.heat_map import HeatMap

DEFAULT_MODEL = "CIDAS/clipseg-rd64-refined"


class ClipSeg:
    """CLIPSeg ("Image Segmentation Using Text and Image Prompts", arXiv 2112.10003), through transformers.

    A noun's heat map is the sigmoid of the model's logits for the noun's dictionary form.

    Args:
        model: Hub id or path of a CLIPSeg model.
        revision: Its revision on the hub; None for the newest.
        template: Text that is looked for; "{}" is the noun ("a photo of a {}").
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        batch_size: Most nouns looked for at once; None for all of the queries handed in.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: The model can't be had, or an option is wrong.
    """

    name = "clipseg"
    track = "other weights"
    needs = "weights of CLIPSeg (CIDAS/clipseg-rd64-refined)"
    paper = "arXiv 2112.10003"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        template: str = "{}",
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        check_template(template)
        config = load_kind(model, revision, "clipseg")
        self.device = pick_device(device)
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "revision": read_commit(config) or revision,
            "template": template,
        }
        self._name, self._revision, self._template = model, revision, template
        self._batch_size, self._threads = batch_size, threads

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap]]:
        """Return each noun's heat map at the model's resolution, values in [0, 1]."""
        with computing_with(self._threads):
            return look_for_nouns(queries, self._template, self._batch_size, self._look)

    def _look(self, texts: Sequence[str], images: Sequence[Any]) -> list[HeatMap]:
        import torch

        model, processor = self._loaded
        inputs = processor(
            text=list(texts), images=list(images), padding=True, truncation=True, return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode():
            logits = model(**inputs).logits
        heat = logits.reshape(len(texts), *logits.shape[-2:]).float().sigmoid().cpu().numpy()
        return [HeatMap(values) for values in heat]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model = load_pretrained("CLIPSegForImageSegmentation", self._name, self._revision)
        processor = load_pretrained("CLIPSegProcessor", self._name, self._revision)
        return model.to(self.device).eval(), processor
