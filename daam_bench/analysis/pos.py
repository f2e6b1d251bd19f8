"""The part-of-speech analysis: trace prompts, measure what every word covers, group. Resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from daam_bench.analysis.coverage import Coverage, CoveredPrompt, CoveredToken, cover_tokens
from daam_bench.analysis.prompts import Prompt
from daam_bench.analysis.tracing import check_settings, generate_traced
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.segmenters.daam import mean_difference
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError

TOKENS = "tokens.jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """Where prompts come from.

    Attributes:
        dataset: "emoji", a folder, a hub id, or the name of a file of prompts.
        splits: Names of the splits, separated by commas; "prompts" for a file.
        fingerprint: What tells it from another of the same name.
    """

    dataset: str
    splits: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured on one image.

    Attributes:
        id: Name of its prompt.
        prompt: The prompt.
        seed: Seed it was drawn from.
        covered: What its words cover.
        difference: Mean absolute difference to the dataset's image, 0 to 255; None for a new image.
    """

    id: str
    prompt: str
    seed: int
    covered: CoveredPrompt
    difference: float | None


def measure_prompts(
    prompts: Sequence[Prompt],
    output: Path,
    *,
    source: Source,
    tau: float = 0.4,
    device: str = "auto",
    dtype: str | None = None,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
    pipeline: Any = None,
) -> list[Record]:
    """Draw prompts, traced, and measure what every word of them covers.

    Each batch is in `output/tokens.jsonl` before the next is begun; a run that was killed goes on there.

    Args:
        prompts: The prompts.
        output: Folder for the file; made if needed.
        source: Where the prompts come from.
        tau: Threshold in [0, 1], relative to each map's maximum.
        device: A torch device, or "auto".
        dtype: Of the pipeline; None for the recorded one, but float32 on a CPU.
        batch_size: Images drawn at once.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `output` instead of going on with it.
        pipeline: The pipeline of all prompts, if it is loaded already.

    Returns:
        The records of all prompts, in their order.

    Raises:
        InputError: A setting out of range, a model that can't be loaded or traced, or an `output` that
            holds another analysis.
    """
    check_settings(tau, batch_size)
    pipelines = Pipelines(device, dtype)
    path = output / TOKENS
    with LinesWriter(path, _header(prompts, source, tau, pipelines.dtype), restart=restart) as lines:
        done = {record.id: record for record in read_records(path)}
        left = [prompt for prompt in prompts if not _is_done(prompt, done, path)]
        with tqdm(
            total=len(prompts),
            initial=len(prompts) - len(left),
            desc="drawing",
            unit="image",
            disable=not progress,
        ) as bar:
            for batch in _batches(left, batch_size):
                lines.write(map(asdict, _measure(pipeline or _load(pipelines, batch[0]), batch, tau)))
                bar.update(len(batch))
    records = {record.id: record for record in read_records(path)}
    return [records[prompt.id] for prompt in prompts]


def read_records(path: Path) -> Iterator[Record]:
    """Read the records of a `tokens.jsonl`; a torn last line is dropped."""
    _, lines = read_lines(path)
    return (_from_line(line.record) for line in lines)


def _load(pipelines: Pipelines, prompt: Prompt) -> Any:
    generation = prompt.generation
    return pipelines.get(generation.model, generation.revision, generation.dtype)


def _batches(prompts: Sequence[Prompt], size: int) -> Iterator[list[Prompt]]:
    """Part prompts into batches that are drawn with the same settings."""
    batch: list[Prompt] = []
    for prompt in prompts:
        if batch and (len(batch) == size or batch[0].generation != prompt.generation):
            yield batch
            batch = []
        batch.append(prompt)
    if batch:
        yield batch


def _measure(pipeline: Any, prompts: Sequence[Prompt], tau: float) -> Iterator[Record]:
    traced = generate_traced(
        pipeline,
        [prompt.text for prompt in prompts],
        [prompt.seed for prompt in prompts],
        prompts[0].generation,
    )
    for prompt, picture in zip(prompts, traced, strict=True):
        covered = cover_tokens(picture.maps, prompt.tokens, picture.image.size, tau)
        difference = None if prompt.image is None else mean_difference(picture.image, prompt.image)
        yield Record(prompt.id, prompt.text, prompt.seed, covered, difference)


def _is_done(prompt: Prompt, done: Mapping[str, Record], path: Path) -> bool:
    record = done.get(prompt.id)
    if record is None:
        return False
    if (record.prompt, record.seed) != (prompt.text, prompt.seed):
        raise InputError(
            f"{path} holds {prompt.id!r} of another prompt or seed; use --restart or another --output"
        )
    return True


def _header(prompts: Sequence[Prompt], source: Source, tau: float, dtype: str | None) -> PredictionsHeader:
    """Return the header, without which a file isn't gone on with. More prompts may be added."""
    parameters = {"analysis": "pos", "tau": tau, "dtype": dtype, "generation": asdict(prompts[0].generation)}
    return PredictionsHeader("daam", parameters, source.dataset, source.splits, source.fingerprint)


def _from_line(line: dict[str, Any]) -> Record:
    try:
        covered = line["covered"]
        tokens = tuple(
            CoveredToken(one["text"], one["pos"], one["start"], Coverage(**one["coverage"]))
            for one in covered["tokens"]
        )
        return Record(
            line["id"],
            line["prompt"],
            line["seed"],
            CoveredPrompt(tokens, covered["truncated"], covered["torn"]),
            line["difference"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{TOKENS} holds a line that is none of its own ({error}); use --restart to make it again"
        ) from None
