"""OWLv2 and SAM 2: boxes found for the noun, a mask for each box, their union."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from daam_bench.segmenters.grounded_sam import DEFAULT_SAM, Boxes, DetectThenSegment
from daam_bench.segmenters.pretrained import load_pretrained

DEFAULT_MODEL = "google/owlv2-base-patch16-ensemble"


class Owlv2Sam(DetectThenSegment):
    """OWLv2 (arXiv 2306.09683) and SAM 2 (arXiv 2408.00714), through transformers.

    All nouns of an image are looked for at once, each box taken for the noun that it fits best. See
    `daam_bench.segmenters.grounded_sam.DetectThenSegment` for the options.
    """

    name = "owlv2-sam"
    kind = "owlv2"
    needs = f"weights of OWLv2 ({DEFAULT_MODEL}, Apache-2.0) and SAM 2 ({DEFAULT_SAM}, Apache-2.0)"
    paper = "arXiv 2306.09683, arXiv 2408.00714"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        sam: str = DEFAULT_SAM,
        sam_revision: str | None = None,
        score: float = 0.1,
        template: str = "a photo of a {}",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(model, revision, sam, sam_revision, score, template, device, threads)

    def boxes(self, image: Image.Image, texts: Sequence[str]) -> list[Boxes]:
        """Return the boxes of each text in an image."""
        import torch

        model, processor = self._loaded_detector
        inputs = processor(images=image, text=[list(texts)], truncation=True, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs.to(self.device))
        (result,) = processor.post_process_grounded_object_detection(
            outputs, threshold=self._score, target_sizes=[image.size[::-1]]
        )
        labels, boxes = result["labels"].cpu().numpy(), result["boxes"].float().cpu().numpy()
        return [boxes[labels == label].reshape(-1, 4) for label in range(len(texts))]

    @cached_property
    def _loaded_detector(self) -> tuple[Any, Any]:
        model = load_pretrained("Owlv2ForObjectDetection", *self._model)
        return model.to(self.device).eval(), load_pretrained("Owlv2Processor", *self._model)
