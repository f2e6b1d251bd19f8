"""The paper's supervised baselines (section 3.1) and any other detector of MMDetection, as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from daam_bench.diffusion.pipelines import pick_device
from daam_bench.emoji import SIBLINGS
from daam_bench.segmenters.closed_vocabulary import (
    Vocabulary,
    check_score,
    noun_masks,
    read_vocabulary,
)
from daam_bench.segmenters.mmdet.detector_files import (
    SHIPPED,
    find_checkpoint,
    find_config,
    read_weights,
    sha256,
    shipped_config,
)
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import BoolMask, Query
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.segmenters.mmdet.detector import Detector


INSTALL = (
    "pip install 'setuptools<81' wheel ninja && "
    "pip install --no-build-isolation --no-cache-dir 'mmcv==2.1.0' && "
    "pip install 'daam-bench[mmdet]'"
)
"""What to type. Without build isolation mmcv finds torch and builds its compiled operators."""


class Mmdet:
    """A detector of MMDetection: a noun's mask is the union of the instances of its COCO class.

    A noun outside the detector's classes has no prediction.

    Args:
        config: An MMDetection config: a path, or the name of one that comes with MMDetection.
        checkpoint: Its weights: a path, or a URL, which is downloaded once. None for the file
            `model.safetensors` beside the config, or the model zoo's, if it was downloaded.
        score: Instances below this score, in [0, 1], are left out.
        classes: The detector's name of a class -> COCO's, or None for no class; see
            `daam_bench.segmenters.closed_vocabulary.read_vocabulary`.
        default_model: The model that generated the images. For those of the emoji world the paper's three
            detectors are small ones that come with the package, unless a config is given.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        batch_size: Most images looked at at once; None for as many as are handed in.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: MMDetection is not installed, or there is no such config or checkpoint.
    """

    name: str = "mmdet"
    track: ClassVar[str] = "closed vocabulary"
    needs: ClassVar[str] = "MMDetection: pip install 'daam-bench[mmdet]', and weights"
    zoo_config: ClassVar[str | None] = None
    """Name of the config that is taken where none is given."""

    def __init__(
        self,
        config: str | None = None,
        checkpoint: str | None = None,
        score: float = 0.5,
        classes: Mapping[str, str | None] | None = None,
        default_model: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._score, self._classes = check_score(score), classes
        check_installed(self.name)
        if config is None and self.zoo_config is None:
            raise InputError(f"method {self.name!r} needs a config of MMDetection; name it with --config")
        small = config is None and default_model in (SHIPPED, *SIBLINGS)
        self._config = f"{SHIPPED}/{self.name}" if small else str(config or self.zoo_config)
        self._config_file = shipped_config(self.name) if small else find_config(self._config)
        self._checkpoint = find_checkpoint(checkpoint, self._config_file)
        self.device = pick_device(device)
        self._batch_size, self._threads = batch_size, threads

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """All that the masks depend on; the weights by their file's name and SHA-256."""
        return {
            "config": self._config,
            "checkpoint": self._checkpoint.name,
            "sha256": sha256(self._checkpoint),
            "score": self._score,
            "classes": None if self._classes is None else dict(self._classes),
        }

    def segment(self, queries: Sequence[Query]) -> list[list[BoolMask | None]]:
        """Return each noun's mask; None where nothing was found, and for a noun outside the classes.

        Raises:
            InputError: The config and the weights don't make a detector.
        """
        with computing_with(self._threads):
            images = [query.image for query in queries]
            found = self._detector.detect(images, self._score, self._batch_size or len(queries))
        return [
            noun_masks(query, instances, self._vocabulary)
            for query, instances in zip(queries, found, strict=True)
        ]

    @cached_property
    def _detector(self) -> Detector:
        from daam_bench.segmenters.mmdet.detector import Detector

        return Detector(self._config_file, read_weights(self._checkpoint), self.device)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return read_vocabulary(self._detector.classes, self._classes, source=f"the detector {self._config}")


class MaskRCNN(Mmdet):
    """Mask R-CNN with a ResNet-101 and FPN, the zoo's longest trained."""

    name = "mask_rcnn"
    paper: ClassVar[str] = "arXiv 1703.06870"
    zoo_config = "mask_rcnn/mask-rcnn_r101_fpn_ms-poly-3x_coco.py"


class QueryInst(Mmdet):
    """QueryInst with a ResNet-101, FPN and 300 queries, the zoo's best."""

    name = "queryinst"
    paper: ClassVar[str] = "arXiv 2105.01928"
    zoo_config = "queryinst/queryinst_r101_fpn_300-proposals_crop-ms-480-800-3x_coco.py"


class Mask2Former(Mmdet):
    """Mask2Former with a Swin-S."""

    name = "mask2former"
    paper: ClassVar[str] = "arXiv 2112.01527"
    zoo_config = "mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py"


def check_installed(method: str) -> None:
    """Check that MMDetection can be imported and that mmcv has its compiled operators.

    The names imported are those of open-mmlab's packages and of their maintained fork (onedl-mmdetection,
    onedl-mmcv) alike.

    Raises:
        InputError: Something is missing; the line says what to type.
    """
    try:
        for module in ("mmcv", "mmcv.ops", "mmdet.registry"):
            import_module(module)
    except ImportError as error:
        reason = {
            "mmcv": f"needs MMDetection; type: {INSTALL}",
            "mmcv.ops": "needs mmcv with its compiled operators, and the installed one came without; "
            f"type: pip uninstall -y mmcv && {INSTALL}",
            "mmdet.registry": f"needs MMDetection, which can't be imported ({error}); type: {INSTALL}",
        }[module]
        raise InputError(f"method {method!r} {reason}") from error
    except AssertionError as error:
        raise InputError(
            f"method {method!r}: MMDetection refuses what is installed beside it ({error}); type: "
            f"pip uninstall -y mmcv mmdet mmengine && {INSTALL}"
        ) from error
