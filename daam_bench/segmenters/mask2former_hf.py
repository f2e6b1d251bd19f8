"""Mask2Former through transformers: a supervised baseline that needs no MMDetection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from daam_bench.diffusion.generate import batches
from daam_bench.diffusion.pipelines import pick_device
from daam_bench.segmenters.closed_vocabulary import Instances, check_score, noun_masks, read_vocabulary
from daam_bench.segmenters.pretrained import load_kind, load_pretrained, read_commit
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import BoolMask, Query

DEFAULT_MODEL = "facebook/mask2former-swin-small-coco-instance"


class Mask2FormerHF:
    """Mask2Former (arXiv 2112.01527): a noun's mask is the union of the instances of its COCO class.

    A noun outside the model's classes has no prediction.

    Args:
        model: Hub id or path of a Mask2Former model for instances.
        revision: Its revision on the hub; None for the newest.
        score: Instances below this score, in [0, 1], are left out.
        classes: The model's name of a class -> COCO's, or None for no class; see
            `daam_bench.segmenters.closed_vocabulary.read_vocabulary`.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        batch_size: Most images looked at at once; None for as many as are handed in.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: The model can't be had, its classes are unknown, or an option is wrong.
    """

    name = "mask2former-hf"
    track = "closed vocabulary"
    needs = "weights of Mask2Former"
    paper = "arXiv 2112.01527"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        score: float = 0.5,
        classes: Mapping[str, str | None] | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._score = check_score(score)
        config = load_kind(model, revision, "mask2former")
        names = [config.id2label[label] for label in sorted(config.id2label)]
        self._vocabulary = read_vocabulary(names, classes, source=f"the model {model!r}")
        self.device = pick_device(device)
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "revision": read_commit(config) or revision,
            "score": self._score,
            "classes": None if classes is None else dict(classes),
        }
        self._name, self._revision = model, revision
        self._batch_size, self._threads = batch_size, threads

    def segment(self, queries: Sequence[Query]) -> list[list[BoolMask | None]]:
        """Return each noun's mask; None where nothing was found, and for a noun outside the classes."""
        found: dict[int, Instances] = {}
        with computing_with(self._threads):
            # No image of a batch of one size is padded.
            size = self._batch_size or max(1, len(queries))
            for places in batches(range(len(queries)), size, key=lambda place: queries[place].image.size):
                found.update(zip(places, self._detect([queries[place] for place in places]), strict=True))
        return [noun_masks(query, found[place], self._vocabulary) for place, query in enumerate(queries)]

    def _detect(self, queries: Sequence[Query]) -> list[Instances]:
        import torch

        model, processor = self._loaded
        images = [query.image.convert("RGB") for query in queries]
        inputs = processor(images=images, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            outputs = model(**inputs)
        results = processor.post_process_instance_segmentation(
            outputs,
            threshold=self._score,
            target_sizes=[(image.height, image.width) for image in images],
            return_binary_maps=True,
        )
        return [_instances(result, image) for result, image in zip(results, images, strict=True)]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model = load_pretrained("Mask2FormerForUniversalSegmentation", self._name, self._revision)
        processor = load_pretrained("AutoImageProcessor", self._name, self._revision)
        return model.to(self.device).eval(), processor


def _instances(result: Mapping[str, Any], image: Any) -> Instances:
    segments = result["segments_info"]
    labels = np.array([segment["label_id"] for segment in segments], dtype=np.int64)
    if not len(labels):
        return Instances(labels, np.zeros((0, image.height, image.width), dtype=np.bool_))
    return Instances(labels, result["segmentation"].cpu().numpy() > 0)
