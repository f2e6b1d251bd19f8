"""Running a method over a split, to a predictions file that a killed run goes on with."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from daam_bench.segmenters.base import KnowsSplit, RegeneratesImages, Segmenter
from daam_bench.segmenters.check import check_batch
from daam_bench.segmenters.record import Recorder, read_drift
from daam_bench.types import PredictionsHeader, Split
from daam_bench.types.errors import InputError

logger = logging.getLogger(__name__)


def segment(
    segmenter: Segmenter,
    split: Split,
    output: Path | str,
    *,
    taus: Sequence[float] = (0.4,),
    batch_size: int = 16,
    limit: int | None = None,
    progress: bool = True,
    restart: bool = False,
) -> Path:
    """Segment every noun of a split and write the masks to `output/predictions.jsonl`.

    Heat maps are also kept as they are, in `heat_maps.jsonl` beside it. Every batch is in the files before
    the next is begun; a run that was killed resumes where it stopped, with the same batches.

    Args:
        segmenter: The method. It sees queries, never a mask of the split.
        split: The split.
        output: Folder for the files; made if needed.
        taus: Thresholds in [0, 1] for heat maps, relative to each map's maximum. Hard masks need none.
        batch_size: Examples handed to the method at once.
        limit: Only the first so many examples.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `output` instead of going on with it.

    Returns:
        Path of the predictions file.

    Raises:
        InputError: An argument is out of range, the method returns something wrong, or `output` holds the
            predictions of another method or split.
    """
    _check_arguments(taus, batch_size, limit)
    queries = [query for query in split.queries()[:limit] if query.nouns]
    batches = [queries[start : start + batch_size] for start in range(0, len(queries), batch_size)]
    folder = Path(output)
    if isinstance(segmenter, KnowsSplit):
        segmenter.begin_split(split.name, split.queries())
    with Recorder(folder, _header(segmenter, split), dict.fromkeys(taus), restart=restart) as recorder:
        left = [batch for batch in batches if not recorder.has(batch)]
        done = len(queries) - sum(map(len, left))
        name = f"{segmenter.name} on {split.name}"
        with tqdm(total=len(queries), initial=done, desc=name, unit="image", disable=not progress) as bar:
            for batch in left:
                recorder_input = check_batch(segmenter.name, batch, segmenter.segment(batch))
                if isinstance(segmenter, RegeneratesImages) and segmenter.drift:
                    recorder.note_drift(segmenter.drift)
                recorder.add(batch, recorder_input)
                bar.update(len(batch))
        recorder.finish()
    return recorder.path


def count_drifted(segmenter: Segmenter, output: Path) -> int | None:
    """Count the images that a method drew again and that came out unlike the dataset's.

    Args:
        segmenter: The method.
        output: Folder that `segment` wrote to.

    Returns:
        The count, over earlier parts of an interrupted run too; None for a method that draws nothing.
    """
    if not isinstance(segmenter, RegeneratesImages):
        return None
    return sum(difference > segmenter.tolerance for difference in read_drift(output).values())


def _check_arguments(taus: Sequence[float], batch_size: int, limit: int | None) -> None:
    for tau in taus:
        if not 0 <= tau <= 1:
            raise InputError(f"tau is a share of the heat map's maximum in [0, 1], not {tau}")
    if not taus:
        raise InputError("no tau is given; give at least one, such as 0.4")
    if batch_size < 1:
        raise InputError(f"the batch size must be at least 1, not {batch_size}")
    if limit is not None and limit < 1:
        raise InputError(f"the limit must be at least 1 example, not {limit}")


def _header(segmenter: Segmenter, split: Split) -> PredictionsHeader:
    if not isinstance(segmenter.name, str):
        raise InputError(f"a method's name must be text, not {segmenter.name!r}")
    try:
        parameters = json.loads(json.dumps(dict(segmenter.parameters), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the parameters of method {segmenter.name!r} are no JSON values: {error}"
        ) from error
    return PredictionsHeader(segmenter.name, parameters, split.dataset, split.name, split.fingerprint)
