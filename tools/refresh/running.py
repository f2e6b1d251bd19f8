"""Running the plan: methods over a split, kept by image, with what each took."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from daam_bench.console import say
from daam_bench.datasets.load import load_split
from daam_bench.emoji.generators import generator_folder
from daam_bench.engine import InProcess
from daam_bench.files import PREDICTIONS
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.replacing import write_text
from daam_bench.scoring.report import describe_environment
from daam_bench.segmenters.base import Segmenter
from daam_bench.segmenters.bundle import Bundle, BundleWorker, segment_together
from daam_bench.segmenters.known_split import begin_split
from daam_bench.segmenters.method_worker import MethodWorker
from daam_bench.segmenters.registry import make_segmenter
from daam_bench.types import PredictionsHeader, Query, Split
from daam_bench.types.errors import InputError
from tools.method_lists import PAPER_TAUS
from tools.refresh.planned_jobs import BATCH_SIZE, Job

SECONDS = "seconds.jsonl"
"""Beside predictions: a line a batch, its images and the seconds that the method took for them."""

MADE_WITH = "made_with.json"
"""Beside predictions: what they follow from. Where that has changed they are made again."""

REFUSED = "refused.json"
"""In place of predictions: why the method can't be run on the split."""


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run is known to have taken; `images` are those that `seconds` are of."""

    seconds: float
    images: int
    device: str | None
    commit: str | None
    dirty: bool | None


def run_job(work: Path, job: Job) -> None:
    """Run a job's methods; what lies in `work` from before, and still holds, is kept.

    Each method has a folder `work/<dataset>/<method>/<split>`. One that refuses the split, by its first
    image, is told and left out.

    Raises:
        InputError: See `daam_bench.segmenters.bundle.segment_together`.
        MethodFailedError: A method's own code raised something.
    """
    split = load_split(job.dataset, job.split)
    offers = {"default_model": split.model, "batch_size": BATCH_SIZE}
    methods, folders = [], []
    for name in job.methods:
        folder = work / job.dataset / name / job.split
        method = _ready(name, split, folder, offers)
        if method is not None:
            methods.append(method)
            folders.append(folder)
    if not methods:
        return
    environment = describe_environment()
    logs = {}
    for method, folder in zip(methods, folders, strict=True):
        about = MethodWorker(method).about
        header = PredictionsHeader(
            about["method"], about["parameters"], split.dataset, split.name, split.fingerprint
        )
        run_on = {"device": about["device"], "commit": environment.commit, "dirty": environment.dirty}
        logs[method.name] = (folder / SECONDS, header, run_on)

    def done(batch: Sequence[Query], seconds: Mapping[str, float]) -> None:
        for name, took in seconds.items():
            path, header, run_on = logs[name]
            with LinesWriter(path, header) as lines:
                lines.write([{"ids": [query.id for query in batch], "seconds": took, **run_on}])

    segment_together(
        InProcess(BundleWorker(Bundle(methods))),
        split[: job.limit],
        folders,
        taus=PAPER_TAUS,
        batch_size=BATCH_SIZE,
        done=done,
    )


def _ready(name: str, split: Split, folder: Path, offers: Mapping[str, Any]) -> Segmenter | None:
    """Return a method that can go on in its folder; None where it refuses the split."""
    drop_outdated(folder, split)
    try:
        method = make_segmenter(name, {}, offers)
        if not (folder / PREDICTIONS).exists():
            begin_split(method, split.name, split.whole.queries())
            method.segment([split[0].query])
    except InputError as error:
        say(f"note: {split.dataset}/{split.name} without {name}: {error}")
        write_text(folder / REFUSED, json.dumps({"why": str(error)}) + "\n")
        return None
    (folder / REFUSED).unlink(missing_ok=True)
    write_made_with(folder, split)
    return method


def drop_outdated(folder: Path, split: Split, *, sees_masks: bool = False) -> None:
    """Remove what was made of other images of a split or by other weights of its generator.

    Other masks alone change nothing for a method, which never sees them: its files get the split's new
    fingerprint and stay. With `sees_masks` they go too.
    """
    if not (folder / MADE_WITH).exists():
        return
    before, now = json.loads((folder / MADE_WITH).read_text()), _made_with(split)
    if before == now:
        return
    only_masks = {**before, "fingerprint": None} == {**now, "fingerprint": None}
    if only_masks and not sees_masks:
        say(f"note: {folder} stays; the masks have changed, which no method sees")
        _stamp(folder, split.fingerprint)
        write_made_with(folder, split)
    else:
        what = "masks" if only_masks else "images or weights"
        say(f"note: {folder} was made of other {what}; it is made again")
        shutil.rmtree(folder)


def write_made_with(folder: Path, split: Split) -> None:
    """Write what the content of a folder follows from."""
    write_text(folder / MADE_WITH, json.dumps(_made_with(split)) + "\n")


def _made_with(split: Split) -> dict[str, str | None]:
    return {
        "fingerprint": split.fingerprint,
        "queries": queries_digest(split),
        "generator": generator_digest(split.model),
    }


def _stamp(folder: Path, fingerprint: str) -> None:
    """Give the files of a run the fingerprint of the same images with other masks."""
    for path in sorted(folder.glob("*.jsonl")):
        header, lines = read_lines(path)
        records = [line.record for line in lines]
        with LinesWriter(path, replace(header, fingerprint=fingerprint), restart=True) as writer:
            writer.write(records)


def queries_digest(split: Split) -> str:
    """Return a hash over all that methods see of a split: everything but its masks."""
    digest = hashlib.sha256()
    for query in split.whole.queries():
        pixels = query.image.convert("RGB")
        said: list[Any] = [
            query.id,
            query.prompt,
            query.seed,
            pixels.size,
            [asdict(noun) for noun in query.nouns],
        ]
        said.append(None if query.generation is None else asdict(query.generation))
        digest.update(json.dumps(said).encode())
        digest.update(pixels.tobytes())
    return digest.hexdigest()


@cache
def generator_digest(model: str | None) -> str | None:
    """Return a hash over the weights of a generator of the emoji world; None for any other."""
    folder = None if model is None else generator_folder(model)
    if folder is None:
        return None
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def cost_of(folder: Path) -> RunCost | None:
    """Return what the run in the folder of a split took, as far as its log says; None without a log."""
    if not (folder / SECONDS).exists():
        return None
    lines = [line.record for line in read_lines(folder / SECONDS)[1]]
    if not lines:
        return None
    # A batch that was begun again stands there twice; the last time counts.
    last = {identifier: index for index, line in enumerate(lines) for identifier in line["ids"]}
    counted = [lines[index] for index in sorted(set(last.values()))]
    return RunCost(
        seconds=sum(line["seconds"] for line in counted),
        images=len(last),
        device=counted[-1]["device"],
        commit=counted[-1]["commit"],
        dirty=any(line["dirty"] for line in counted),
    )
