"""The part-of-speech analysis: trace prompts and measure what every word covers. Resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.analysis.tagged_prompts import PromptSource, TaggedPrompt
from daam_bench.analysis.tracing import generate_traced
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import batches, mean_difference
from daam_bench.diffusion.pipelines import Pipelines, device_name
from daam_bench.engine import Local, WholeJob, work_through
from daam_bench.files.json_lines import Line, LinesWriter
from daam_bench.files.locks import locked
from daam_bench.files.outside import parse_record
from daam_bench.types import PredictionsHeader, Token
from daam_bench.types.errors import InputError, check_batch_size, check_tau
from daam_bench.types.heat_map import HeatMap

if TYPE_CHECKING:
    from daam_bench.engine.seam import Engine

TOKENS = "tokens.jsonl"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of an image that a word's map covers once it is thresholded at tau.

    Attributes:
        plain: With tau as a share of the map's maximum, as the paper defines it; in [0, 1].
        minmax: With the map stretched to begin at 0 first, as castorini/daam computes it; in [0, 1].
    """

    plain: float
    minmax: float


@dataclass(frozen=True, slots=True)
class CoveredToken:
    """A word or punctuation mark of a prompt, its part of speech, and what its map covers."""

    text: str
    pos: str
    start: int
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class CoveredPrompt:
    """What the words of one image's prompt cover.

    Attributes:
        tokens: Those that have a map, in prompt order.
        truncated: How many lie past the text encoder's limit.
        torn: How many have no map of their own, as the tokenizer splits the prompt elsewhere ("do|n't").
    """

    tokens: tuple[CoveredToken, ...]
    truncated: int
    torn: int


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """What was measured on one image: a line of `tokens.jsonl`.

    Attributes:
        id: Name of its prompt, unique in the analysis.
        difference: Mean absolute difference to the dataset's image, 0 to 255; None for a new image.
    """

    id: str
    prompt: str
    seed: int
    covered: CoveredPrompt
    difference: float | None


def measure_prompts(
    prompts: Sequence[TaggedPrompt],
    output: Path,
    *,
    source: PromptSource,
    tau: float = 0.4,
    device: str = "auto",
    dtype: str | None = None,
    offload: str | None = None,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
    pipeline: Any = None,
    engine: Engine | None = None,
    part: WholeJob | None = None,
) -> list[CoverageRecord]:
    """Generate prompts, traced, and measure what every word of them covers.

    Each batch is in `output/tokens.jsonl` as soon as it and those before it are done; an interrupted run
    resumes there, with the same batches, unless `restart` overwrites it. `tau` is in [0, 1], relative to each
    map's maximum; `pipeline` is that of all prompts if it is loaded already, in this process. A `dtype` of
    None is the recorded one, but float32 on a CPU. For `engine` and `part` see `daam_bench.engine`; a part
    that is not the whole returns the records of its own.

    Raises:
        InputError: A setting out of range, a model that can't be loaded or traced, or an `output` that
            holds another analysis or that another process writes to.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    batches_of_all = list(batches(prompts, batch_size, key=lambda prompt: prompt.generation))
    make = partial(_CoverageWorker, tau, device, dtype, offload, pipeline)
    lock = locked(output) if part is None else nullcontext()
    part = part or WholeJob()
    path = part.folder(output) / TOKENS
    with lock, (engine or Local()).start(make) as pool:
        # A file of another header isn't resumed. More prompts may be added.
        usual = {"tau": tau, "dtype": pool.about["dtype"], "generation": asdict(prompts[0].generation)}
        header = PredictionsHeader(
            "daam", {"analysis": "pos", **usual}, source.dataset, source.splits, source.fingerprint
        )
        records: dict[str, CoverageRecord] = {}

        def note(found: Iterator[Line]) -> None:
            for line in found:
                record = _parse(line.record, f"{path}, line {line.number}")
                records[record.id] = record

        with LinesWriter(path, header, restart=restart, existing=note) as lines:
            for prompt in prompts:
                _check_same(prompt, records, path)
            elsewhere = part.records(lines.header, TOKENS)

            def read(batch: Sequence[TaggedPrompt]) -> list[CoverageRecord]:
                return [_parse(record, path) for prompt in batch for record in elsewhere[prompt.id].read()]

            results = work_through(
                pool,
                batches_of_all,
                name="generating",
                part=part,
                done=lambda batch: all(prompt.id in records for prompt in batch),
                elsewhere=lambda batch: (
                    partial(read, batch) if all(prompt.id in elsewhere for prompt in batch) else None
                ),
                progress=progress,
            )
            for _, measured in results:
                new = [record for record in measured if record.id not in records]
                lines.write(map(asdict, new))
                records.update((record.id, record) for record in new)
    return [records[prompt.id] for prompt in prompts if prompt.id in records]


class _CoverageWorker:
    """A worker that measures batches of prompts."""

    def __init__(
        self, tau: float, device: str, dtype: str | None, offload: str | None, pipeline: Any
    ) -> None:
        self._tau, self._pipeline, self._pipelines = tau, pipeline, Pipelines(device, dtype, offload)
        self.about: Mapping[str, Any] = {
            "dtype": self._pipelines.dtype,
            "device": device_name(self._pipelines.device),
        }

    def __call__(self, item: Sequence[TaggedPrompt]) -> list[CoverageRecord]:
        how = item[0].generation
        model = self._pipeline or self._pipelines.get(how.model, how.revision, how.dtype, how.variant)
        return list(_measure(model, item, self._tau))


def _parse(record: Mapping[str, Any], place: Path | str) -> CoverageRecord:
    try:
        return parse_record(CoverageRecord, record)
    except InputError as error:
        raise InputError(
            f"{place} is no record of this analysis ({error}); use --restart to make it again"
        ) from None


def _measure(pipeline: Any, prompts: Sequence[TaggedPrompt], tau: float) -> Iterator[CoverageRecord]:
    texts, seeds = [prompt.text for prompt in prompts], [prompt.seed for prompt in prompts]
    traced = generate_traced(pipeline, texts, seeds, prompts[0].generation)
    for prompt, one in zip(prompts, traced, strict=True):
        covered = cover_tokens(one.maps, prompt.tokens, one.image.size, tau)
        difference = None if prompt.image is None else mean_difference(one.image, prompt.image)
        yield CoverageRecord(prompt.id, prompt.text, prompt.seed, covered, difference)


def _check_same(prompt: TaggedPrompt, records: Mapping[str, CoverageRecord], path: Path) -> None:
    record = records.get(prompt.id)
    if record is not None and (record.prompt, record.seed) != (prompt.text, prompt.seed):
        raise InputError(
            f"{path} holds {prompt.id!r} of another prompt or seed; use --restart or another --output"
        )


def coverage(heat_map: HeatMap, size: tuple[int, int], tau: float) -> Coverage:
    """Return the share of an image that a map covers: section 3.2's attribution intensity.

    The map is upscaled to the image's (width, height) first.

    Raises:
        InputError: `tau` outside [0, 1].

    >>> import numpy as np
    >>> coverage(HeatMap(np.array([[1.0, 2.0], [4.0, 1.0]])), (2, 2), 0.4)
    Coverage(plain=0.5, minmax=0.25)
    """
    large = heat_map.resize(size)
    return Coverage(float(large.threshold(tau).mean()), float(large.threshold(tau, "minmax").mean()))


def cover_tokens(
    maps: ImageHeatMaps, tokens: Sequence[Token], size: tuple[int, int], tau: float
) -> CoveredPrompt:
    """Return what each word and punctuation mark of a prompt covers in its image of (width, height)."""
    seen = max((word.end for word in maps.words()), default=0)
    covered = []
    truncated = torn = 0
    for token in tokens:
        if token.end > seen:
            truncated += 1
            continue
        try:
            heat_map = maps.word(token.start, token.end)
        except InputError:
            torn += 1
            continue
        covered.append(CoveredToken(token.text, token.pos, token.start, coverage(heat_map, size, tau)))
    return CoveredPrompt(tuple(covered), truncated, torn)
