"""The part-of-speech analysis: trace prompts and measure what every word covers. Resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from daam_bench.analysis.tracing import generate_traced
from daam_bench.analysis.word_coverage import CoverageRecord, cover_tokens
from daam_bench.diffusion.generate import batches
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.diffusion.reproduce import mean_difference
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.types import Generation, PredictionsHeader, Split, Token
from daam_bench.types.checks import check_batch_size, check_tau
from daam_bench.types.errors import InputError

TOKENS = "tokens.jsonl"

NEXT_SEED = 1_000_000
"""How far apart the seeds lie of one prompt that is generated several times."""

_RECORD = TypeAdapter(CoverageRecord)


@dataclass(frozen=True, slots=True)
class TaggedPrompt:
    """A prompt to generate.

    Attributes:
        id: Its name, unique in the analysis.
        text: The prompt.
        tokens: Its words and punctuation marks with their parts of speech.
        seed: Seed to generate it from.
        generation: How to generate it.
        image: The image of the dataset that it should reproduce; None for a new image.
    """

    id: str
    text: str
    tokens: tuple[Token, ...]
    seed: int
    generation: Generation
    image: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Where prompts come from.

    Attributes:
        dataset: "emoji", a folder, a hub id, or the name of a file of prompts.
        splits: Names of the splits, separated by commas; "prompts" for a file.
        fingerprint: What tells it from another of the same name.
    """

    dataset: str
    splits: str
    fingerprint: str


def prompts_of_splits(splits: Sequence[Split]) -> list[TaggedPrompt]:
    """Return the prompts of splits, taken in turn from each, so that any first few are of all of them.

    Raises:
        InputError: No model generated a split's images.
    """
    columns = [list(_prompts_of(split)) for split in splits]
    return [prompt for row in zip_longest(*columns) for prompt in row if prompt is not None]


def _prompts_of(split: Split) -> Iterator[TaggedPrompt]:
    for example in split.examples:
        query = example.query
        if query.generation is None or query.seed is None:
            raise InputError(
                f"no model generated example {query.id!r} of split {split.name!r}; "
                "choose generated splits, such as --split coco_gen,unreal_gen"
            )
        yield TaggedPrompt(query.id, query.prompt, example.tokens, query.seed, query.generation, query.image)


def prompts_of_captions(captions: Sequence[str], generation: Generation) -> list[TaggedPrompt]:
    """Return captions as prompts, tagged by the shipped spaCy pipeline, each with its place as seed.

    Raises:
        InputError: spaCy is missing.
    """
    from daam_bench.prompts.nouns import parse_captions

    return [
        TaggedPrompt(f"prompt-{seed:05}", parsed.text, parsed.tokens, seed, generation)
        for seed, parsed in enumerate(parse_captions(captions))
    ]


def take(prompts: Sequence[TaggedPrompt], count: int) -> list[TaggedPrompt]:
    """Return `count` prompts: the first of them, or all of them and then again from further seeds.

    Args:
        prompts: The prompts, at least one.
        count: Number of images to generate, at least 1.

    Raises:
        InputError: A count below 1.
    """
    if count < 1:
        raise InputError(f"the count must be at least 1 image, not {count}")
    taken = []
    for place in range(count):
        again, index = divmod(place, len(prompts))
        prompt = prompts[index]
        if again:
            seed = prompt.seed + again * NEXT_SEED
            prompt = replace(prompt, id=f"{prompt.id}+{again}", seed=seed, image=None)
        taken.append(prompt)
    return taken


def measure_prompts(
    prompts: Sequence[TaggedPrompt],
    output: Path,
    *,
    source: PromptSource,
    tau: float = 0.4,
    device: str = "auto",
    dtype: str | None = None,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
    pipeline: Any = None,
) -> list[CoverageRecord]:
    """Generate prompts, traced, and measure what every word of them covers.

    Each batch is in `output/tokens.jsonl` before the next begins; an interrupted run resumes there.

    Args:
        prompts: The prompts.
        output: Folder for the file; made if needed.
        source: Where the prompts come from.
        tau: Threshold in [0, 1], relative to each map's maximum.
        device: A torch device, or "auto".
        dtype: Of the pipeline; None for the recorded one, but float32 on a CPU.
        batch_size: Images generated at once.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `output` instead of resuming it.
        pipeline: The pipeline of all prompts, if it is loaded already.

    Returns:
        The records of all prompts, in their order.

    Raises:
        InputError: A setting out of range, a model that can't be loaded or traced, or an `output` that
            holds another analysis.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    pipelines = Pipelines(device, dtype)
    path = output / TOKENS
    with LinesWriter(path, _header(prompts, source, tau, pipelines.dtype), restart=restart) as lines:
        records = {record.id: record for record in read_records(path)}
        missing = [prompt for prompt in prompts if not _is_done(prompt, records, path)]
        done = len(prompts) - len(missing)
        with tqdm(
            total=len(prompts), initial=done, desc="generating", unit="image", disable=not progress
        ) as bar:
            for batch in batches(missing, batch_size, key=lambda prompt: prompt.generation):
                measured = list(_measure(pipeline or _load(pipelines, batch[0].generation), batch, tau))
                lines.write(map(asdict, measured))
                records |= {record.id: record for record in measured}
                bar.update(len(batch))
    return [records[prompt.id] for prompt in prompts]


def read_records(path: Path) -> Iterator[CoverageRecord]:
    """Read the records of a `tokens.jsonl`; a torn last line is dropped.

    Raises:
        InputError: The file can't be read, or a line of it holds something else.
    """
    _, lines = read_lines(path)
    for line in lines:
        try:
            yield _RECORD.validate_python(line.record)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{path}, line {line.number} is no record of this analysis ({place}: {first['msg']}); "
                "use --restart to make it again"
            ) from None


def _load(pipelines: Pipelines, generation: Generation) -> Any:
    return pipelines.get(generation.model, generation.revision, generation.dtype)


def _measure(pipeline: Any, prompts: Sequence[TaggedPrompt], tau: float) -> Iterator[CoverageRecord]:
    texts, seeds = [prompt.text for prompt in prompts], [prompt.seed for prompt in prompts]
    traced = generate_traced(pipeline, texts, seeds, prompts[0].generation)
    for prompt, one in zip(prompts, traced, strict=True):
        covered = cover_tokens(one.maps, prompt.tokens, one.image.size, tau)
        difference = None if prompt.image is None else mean_difference(one.image, prompt.image)
        yield CoverageRecord(prompt.id, prompt.text, prompt.seed, covered, difference)


def _is_done(prompt: TaggedPrompt, records: Mapping[str, CoverageRecord], path: Path) -> bool:
    record = records.get(prompt.id)
    if record is None:
        return False
    if (record.prompt, record.seed) != (prompt.text, prompt.seed):
        raise InputError(
            f"{path} holds {prompt.id!r} of another prompt or seed; use --restart or another --output"
        )
    return True


def _header(
    prompts: Sequence[TaggedPrompt], source: PromptSource, tau: float, dtype: str | None
) -> PredictionsHeader:
    """Return the header, without which a file isn't resumed. More prompts may be added."""
    parameters = {"analysis": "pos", "tau": tau, "dtype": dtype, "generation": asdict(prompts[0].generation)}
    return PredictionsHeader("daam", parameters, source.dataset, source.splits, source.fingerprint)
