"""Several methods run together, so that those on attention share what is traced."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from daam_bench.files.locks import locked
from daam_bench.segmenters.base import RegeneratesImages, Segmenter, method_code
from daam_bench.segmenters.generator_method import AttentionMethod, segment_with_shared_traces
from daam_bench.segmenters.known_split import begin_split, copy_of
from daam_bench.segmenters.method_worker import MethodWorker, render
from daam_bench.segmenters.segment import Recorder, batches_of
from daam_bench.types import PredictionsHeader, Query, Split
from daam_bench.types.segmentations import Segmentation, check_batch


class Bundle:
    """Methods that segment the same batches: one generation of an image serves all that trace it.

    Each method's `drift` is that of the last batch, as ever. Methods that are not on attention run one after
    the other. Pipelines are loaded once for methods with the same model, device and dtype.

    Args:
        methods: The methods.

    Attributes:
        methods: The methods.
        seconds: What each took for the last batch: of calls of the generator that it shared with others, all.
    """

    def __init__(self, methods: Sequence[Segmenter]) -> None:
        self.methods = tuple(methods)
        self.seconds = [0.0] * len(self.methods)
        self._groups: dict[Any, list[int]] = {}
        for index, method in enumerate(self.methods):
            key = method.pipeline_key() if isinstance(method, AttentionMethod) else index
            self._groups.setdefault(key, []).append(index)
        for members in self._groups.values():
            together = [one for index in members if isinstance(one := self.methods[index], AttentionMethod)]
            for method in together[1:]:
                method.pipelines = together[0].pipelines

    def segment(
        self, queries: Sequence[Query], only: Collection[int] | None = None
    ) -> list[Sequence[Sequence[Segmentation]]]:
        """Return for each method, or for those with these numbers, what its `segment` returns."""
        wanted = sorted(range(len(self.methods)) if only is None else only)
        found: dict[int, Sequence[Sequence[Segmentation]]] = {}
        for group in self._groups.values():
            members = [index for index in group if index in wanted]
            methods = [self.methods[index] for index in members]
            together = [method for method in methods if isinstance(method, AttentionMethod)]
            if together:
                found |= dict(zip(members, segment_with_shared_traces(together, queries), strict=True))
                for index, method in zip(members, together, strict=True):
                    self.seconds[index] = method.seconds
            elif methods:
                began = time.monotonic()
                found[members[0]] = methods[0].segment(queries)
                self.seconds[members[0]] = time.monotonic() - began
        return [found[index] for index in wanted]


def segment_together(
    bundle: Bundle,
    split: Split,
    folders: Sequence[Path],
    *,
    taus: Sequence[float],
    batch_size: int,
    progress: bool = True,
    restart: bool = False,
    done: Callable[[Sequence[Query], Mapping[str, float]], None] | None = None,
) -> None:
    """Segment every noun of a split with several methods, each into its own folder.

    Batches and files are those of `daam_bench.segmenters.segment.segment`, which each folder can be finished
    or resumed with alone; a batch is handed to those methods alone that have not done it. `done` is told of
    each batch that was written, with the seconds that each of those methods took.

    Raises:
        InputError: See `segment`.
        MethodFailedError: A method's own code raised something; what was done before is kept.
    """
    batches = batches_of(split, batch_size)
    names = ",".join(method.name for method in bundle.methods)
    with ExitStack() as files:
        recorders = []
        for method, folder in zip(bundle.methods, folders, strict=True):
            begin_split(method, split.name, split.whole.queries())
            files.enter_context(locked(folder))
            about = MethodWorker(method).about
            header = PredictionsHeader(
                about["method"], about["parameters"], split.dataset, split.name, split.fingerprint
            )
            recorder = Recorder(folder, header, taus, restart=restart)
            recorders.append(files.enter_context(recorder))
        bar = files.enter_context(
            tqdm(
                total=sum(map(len, batches)),
                desc=f"{names} on {split.name}",
                unit="image",
                disable=not progress,
            )
        )
        for batch in batches:
            left = [index for index, recorder in enumerate(recorders) if not recorder.has(batch)]
            if left:
                with method_code(",".join(bundle.methods[index].name for index in left)):
                    said = bundle.segment([copy_of(query) for query in batch], left)
                took = {}
                for index, segmentations in zip(left, said, strict=True):
                    began, method = time.monotonic(), bundle.methods[index]
                    drift = method.drift if isinstance(method, RegeneratesImages) else {}
                    checked = check_batch(method.name, batch, segmentations)
                    recorders[index].add(batch, render(method.name, batch, checked, taus, drift))
                    took[method.name] = bundle.seconds[index] + time.monotonic() - began
                if done is not None:
                    done(batch, took)
            bar.update(len(batch))
        for recorder in recorders:
            recorder.finish()
