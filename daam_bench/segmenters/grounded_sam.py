"""Grounding DINO and SAM 2: boxes found for the noun, a mask for each box, their union."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daam_bench.diffusion.pipelines import pick_device
from daam_bench.segmenters.closed_vocabulary import check_score
from daam_bench.segmenters.pretrained import (
    check_template,
    load_kind,
    load_pretrained,
    read_commit,
    square_pixels,
)
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import BoolMask, Query

DEFAULT_MODEL = "IDEA-Research/grounding-dino-tiny"
DEFAULT_SAM = "facebook/sam2.1-hiera-tiny"

Boxes = NDArray[np.float32]
"""Corners (left, top, right, bottom) in pixels. Shape (boxes, 4)."""


class DetectThenSegment:
    """Masks of the boxes that a detector finds for a noun. A subclass says which detector.

    Args:
        model: Hub id or path of the detector.
        revision: Its revision on the hub; None for the newest.
        sam: Hub id or path of a SAM 2 model.
        sam_revision: Its revision on the hub.
        score: Boxes below this score, in [0, 1], are left out.
        template: Text that is looked for; "{}" is the noun.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: A model can't be had, or an option is wrong.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    """The `model_type` of the detector's config."""

    track = "other weights"

    def __init__(
        self,
        model: str,
        revision: str | None,
        sam: str,
        sam_revision: str | None,
        score: float,
        template: str,
        device: str,
        threads: int | None,
    ) -> None:
        self._score, self._template = check_score(score), check_template(template)
        commit = read_commit(load_kind(model, revision, self.kind))
        sam_commit = read_commit(load_kind(sam, sam_revision, "sam2", "sam2_video", option="--option sam="))
        self.device = pick_device(device)
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "revision": commit or revision,
            "sam": sam,
            "sam_revision": sam_commit or sam_revision,
            "score": self._score,
            "template": template,
        }
        self._model, self._sam, self._threads = (model, revision), (sam, sam_revision), threads

    def segment(self, queries: Sequence[Query]) -> list[list[BoolMask]]:
        """Return each noun's mask, empty where no box was found."""
        with computing_with(self._threads):
            return [self._masks(query) for query in queries]

    def boxes(self, image: Image.Image, texts: Sequence[str]) -> list[Boxes]:
        """Return the boxes of each text in an image. This is the detector."""
        raise NotImplementedError

    def _masks(self, query: Query) -> list[BoolMask]:
        image = query.image.convert("RGB")
        texts = [self._template.replace("{}", noun.lemma) for noun in query.nouns]
        found = self.boxes(image, texts) if texts else []
        masks = self._masks_of_boxes(image, np.concatenate(found)) if any(map(len, found)) else ()
        rest = iter(masks)
        nothing = np.zeros((image.height, image.width), dtype=np.bool_)
        return [np.logical_or.reduce([nothing, *(next(rest) for _ in boxes)]) for boxes in found]

    def _masks_of_boxes(self, image: Image.Image, boxes: Boxes) -> BoolMask:
        """Return the mask of each box. Shape (boxes, height, width)."""
        import torch
        from torch.nn.functional import interpolate

        pixels = square_pixels([image], *self._sam)
        height, width = pixels.shape[-2:]
        scale = np.array([width / image.width, height / image.height] * 2, dtype=np.float32)
        with torch.inference_mode():
            outputs = self._loaded_sam(
                pixel_values=pixels.to(self.device),
                input_boxes=torch.from_numpy(boxes * scale)[None].to(self.device),
                multimask_output=False,
            )
            # One image, a mask a box: (1, boxes, 1, rows, columns).
            logits = interpolate(outputs.pred_masks[0].float(), (image.height, image.width), mode="bilinear")
        mask: BoolMask = logits[:, 0].cpu().numpy() > 0
        return mask

    @cached_property
    def _loaded_sam(self) -> Any:
        return load_pretrained("Sam2Model", *self._sam).to(self.device).eval()


class GroundedSam(DetectThenSegment):
    """Grounding DINO (arXiv 2303.05499) and SAM 2 (arXiv 2408.00714), through transformers.

    Each noun is looked for by itself, as its dictionary form with a full stop ("cat."), as the detector was
    trained. `score` is the detector's box threshold; with one phrase a text no text threshold is needed. See
    `DetectThenSegment` for the options.
    """

    name = "grounded-sam"
    kind = "grounding-dino"
    needs = f"weights of Grounding DINO ({DEFAULT_MODEL}, Apache-2.0) and SAM 2 ({DEFAULT_SAM}, Apache-2.0)"
    paper = "arXiv 2303.05499, arXiv 2408.00714"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        sam: str = DEFAULT_SAM,
        sam_revision: str | None = None,
        score: float = 0.35,
        template: str = "{}.",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(model, revision, sam, sam_revision, score, template, device, threads)

    def boxes(self, image: Image.Image, texts: Sequence[str]) -> list[Boxes]:
        """Return the boxes of each text in an image."""
        import torch

        model, processor = self._loaded_detector
        # The processor itself takes a list of texts without full stops for the labels of one image.
        words = processor.tokenizer(
            [text.lower() for text in texts], padding=True, truncation=True, return_tensors="pt"
        ).to(self.device)
        looked_at = processor.image_processor(images=[image] * len(texts), return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**looked_at.to(self.device), **words)
        results = processor.post_process_grounded_object_detection(
            outputs, words["input_ids"], threshold=self._score, target_sizes=[image.size[::-1]] * len(texts)
        )
        return [result["boxes"].float().cpu().numpy().reshape(-1, 4) for result in results]

    @cached_property
    def _loaded_detector(self) -> tuple[Any, Any]:
        model = load_pretrained("GroundingDinoForObjectDetection", *self._model)
        return model.to(self.device).eval(), load_pretrained("GroundingDinoProcessor", *self._model)
