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
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.diffusion.generate import batches, mean_difference
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.locks import locked
from daam_bench.types import Generation, PredictionsHeader, Split, Token
from daam_bench.types.errors import InputError, check_batch_size, check_tau
from daam_bench.types.heat_map import HeatMap

TOKENS = "tokens.jsonl"

NEXT_SEED = 1_000_000
"""How far apart the seeds lie of one prompt that is generated several times."""


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


_RECORD = TypeAdapter(CoverageRecord)


@dataclass(frozen=True, slots=True)
class TaggedPrompt:
    """A prompt to generate, with the parts of speech of its words and punctuation marks.

    Attributes:
        id: Its name, unique in the analysis.
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
    """Where prompts come from: a dataset and its splits, separated by commas, or a file and "prompts"."""

    dataset: str
    splits: str
    fingerprint: str


def prompts_of_splits(splits: Sequence[Split]) -> list[TaggedPrompt]:
    """Return the prompts of splits, taken in turn from each, so that any first few are of all of them.

    Raises:
        InputError: No model generated a split's images.
    """
    prompts = []
    for row in zip_longest(*(split.examples for split in splits)):
        for split, example in zip(splits, row, strict=True):
            if example is None:
                continue
            one = example.query
            if one.generation is None or one.seed is None:
                raise InputError(
                    f"no model generated example {one.id!r} of split {split.name!r}; "
                    "choose generated splits, such as --split coco_gen,unreal_gen"
                )
            prompts.append(
                TaggedPrompt(one.id, one.prompt, example.tokens, one.seed, one.generation, one.image)
            )
    return prompts


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
    offload: str | None = None,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
    pipeline: Any = None,
) -> list[CoverageRecord]:
    """Generate prompts, traced, and measure what every word of them covers.

    Each batch is in `output/tokens.jsonl` before the next begins; an interrupted run resumes there, unless
    `restart` overwrites it. `tau` is in [0, 1], relative to each map's maximum; `pipeline` is that of all
    prompts if it is loaded already. A `dtype` of None is the recorded one, but float32 on a CPU.

    Raises:
        InputError: A setting out of range, a model that can't be loaded or traced, or an `output` that
            holds another analysis or that another process writes to.
    """
    check_tau(tau)
    check_batch_size(batch_size)
    pipelines = Pipelines(device, dtype, offload)
    path = output / TOKENS
    # A file of another header isn't resumed. More prompts may be added.
    usual = {"tau": tau, "dtype": pipelines.dtype, "generation": asdict(prompts[0].generation)}
    header = PredictionsHeader(
        "daam", {"analysis": "pos", **usual}, source.dataset, source.splits, source.fingerprint
    )
    with locked(output), LinesWriter(path, header, restart=restart) as lines:
        records = {record.id: record for record in read_records(path)}
        missing = [prompt for prompt in prompts if not _is_done(prompt, records, path)]
        done = len(prompts) - len(missing)
        with tqdm(
            total=len(prompts), initial=done, desc="generating", unit="image", disable=not progress
        ) as bar:
            for batch in batches(missing, batch_size, key=lambda prompt: prompt.generation):
                how = batch[0].generation
                model = pipeline or pipelines.get(how.model, how.revision, how.dtype)
                measured = list(_measure(model, batch, tau))
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


def _measure(pipeline: Any, prompts: Sequence[TaggedPrompt], tau: float) -> Iterator[CoverageRecord]:
    texts, seeds = [prompt.text for prompt in prompts], [prompt.seed for prompt in prompts]
    traced = generate_traced(pipeline, texts, seeds, prompts[0].generation)
    for prompt, one in zip(prompts, traced, strict=True):
        covered = cover_tokens(one.maps, prompt.tokens, one.image.size, tau)
        difference = None if prompt.image is None else mean_difference(one.image, prompt.image)
        yield CoverageRecord(prompt.id, prompt.text, prompt.seed, covered, difference)


def _is_done(prompt: TaggedPrompt, records: Mapping[str, CoverageRecord], path: Path) -> bool:
    record = records.get(prompt.id)
    if record is not None and (record.prompt, record.seed) != (prompt.text, prompt.seed):
        raise InputError(
            f"{path} holds {prompt.id!r} of another prompt or seed; use --restart or another --output"
        )
    return record is not None


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
