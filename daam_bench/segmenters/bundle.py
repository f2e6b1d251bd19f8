"""Several methods run together, so that those on attention share what is traced."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.engine import Pool, WholeJob, work_through
from daam_bench.files.locks import locked
from daam_bench.segmenters.base import RegeneratesImages, Segmenter, method_code
from daam_bench.segmenters.generator_method import (
    AttentionMethod,
    GeneratorMethod,
    segment_with_shared_traces,
)
from daam_bench.segmenters.known_split import copy_of
from daam_bench.segmenters.method_worker import MethodWorker, NextSplit, Rendered, render
from daam_bench.segmenters.registry import make_segmenter
from daam_bench.segmenters.segment import Recorder, batches_of
from daam_bench.types import PredictionsHeader, Query, Split
from daam_bench.types.segmentations import Segmentation, check_batch


class Bundle:
    """Methods that segment the same batches: one generation of an image serves all that trace it.

    Each method's `drift` is that of the last batch, as ever. Methods that are not on attention run one after
    the other. Pipelines are loaded once for all methods with the same model, device and dtype.

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
        loaded: dict[Any, Pipelines] = {}
        for method in self.methods:
            if isinstance(method, GeneratorMethod):
                method.pipelines = loaded.setdefault(method.pipeline_key(), method.pipelines)

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


@dataclass(frozen=True)
class BundleItem:
    """An image of a batch, and the numbers of the methods that have not done the batch."""

    query: Query
    left: tuple[int, ...]

    @property
    def id(self) -> str:
        """The image's id."""
        return self.query.id


class BundleWorker:
    """A worker that runs the methods of a bundle. `about` has what each method says of itself."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._workers = [MethodWorker(method) for method in bundle.methods]
        self.about: Mapping[str, Any] = {"methods": [worker.about for worker in self._workers]}

    @classmethod
    def make(
        cls, names: Sequence[str], options: Mapping[str, Mapping[str, Any]], offers: Mapping[str, Any]
    ) -> BundleWorker:
        """Make one of methods by their names, each with its own options; see `make_segmenter`."""
        return cls(Bundle([make_segmenter(name, options[name], offers) for name in names]))

    def __call__(self, item: Sequence[BundleItem] | NextSplit) -> list[tuple[Rendered, float]]:
        """Segment a batch with the methods that it is left to; or hear of the split of those that follow.

        Returns:
            For each of them what is written of the batch, and the seconds that it took.

        Raises:
            InputError: A method says something wrong.
            MethodFailedError: A method's own code raised something.
        """
        if isinstance(item, NextSplit):
            self._taus = item.taus
            for worker in self._workers:
                worker(item if worker.about["knows_split"] else replace(item, queries=None))
            return []
        queries, left = [one.query for one in item], item[0].left
        methods = [self._bundle.methods[index] for index in left]
        with method_code(",".join(method.name for method in methods)):
            said = self._bundle.segment([copy_of(query) for query in queries], left)
        rendered = []
        for index, method, segmentations in zip(left, methods, said, strict=True):
            began = time.monotonic()
            drift = dict(method.drift) if isinstance(method, RegeneratesImages) else {}
            checked = check_batch(method.name, queries, segmentations)
            written = render(method.name, queries, checked, self._taus, drift)
            rendered.append((written, self._bundle.seconds[index] + time.monotonic() - began))
        return rendered


def segment_together(
    pool: Pool,
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
    or resumed with alone; a batch is handed to those methods alone that have not done it.

    Args:
        pool: Workers that are a `BundleWorker`.
        split: The split.
        folders: Where each method writes.
        taus: Thresholds in [0, 1] for heat maps.
        batch_size: Images handed to the methods at once.
        progress: Show a bar, on stderr.
        restart: Begin again.
        done: Is told of each batch that was written, with the seconds that each method took for it.

    Raises:
        InputError: See `segment`.
        MethodFailedError: A method's own code raised something; what was done before is kept.
    """
    methods = pool.about["methods"]
    with ExitStack() as files:
        recorders = []
        for about, folder in zip(methods, folders, strict=True):
            files.enter_context(locked(folder))
            header = PredictionsHeader(
                about["method"], about["parameters"], split.dataset, split.name, split.fingerprint
            )
            recorder = Recorder(folder, header, taus, restart=restart)
            recorders.append(files.enter_context(recorder))
        batches = []
        for queries in batches_of(split, batch_size):
            left = tuple(index for index, recorder in enumerate(recorders) if not recorder.has(queries))
            batches.append([BundleItem(query, left) for query in queries])
        knows = any(about["knows_split"] for about in methods)
        results = work_through(
            pool,
            batches,
            name=f"{','.join(dict.fromkeys(about['method'] for about in methods))} on {split.name}",
            part=WholeJob(),
            done=lambda batch: not batch[0].left,
            first=NextSplit(split.name, split.whole.queries() if knows else None, taus),
            progress=progress,
        )
        with closing(results):
            for batch, rendered in results:
                queries, took = [item.query for item in batch], {}
                for index, (one, seconds) in zip(batch[0].left, rendered, strict=True):
                    recorders[index].add(queries, one)
                    took[methods[index]["method"]] = seconds
                if done is not None:
                    done(queries, took)
        for recorder in recorders:
            recorder.finish()
