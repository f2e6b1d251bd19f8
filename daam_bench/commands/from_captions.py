"""`daam-bench nouns`, `swap` and `build`: what becomes of captions."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands.options import add_call, choose_splits
from daam_bench.console import add_engine, engine_of, names, say, say_shard_done, taking_part
from daam_bench.segmenters.registry import VARIANT, add_offload
from daam_bench.types.errors import InputError, full_dtype

if TYPE_CHECKING:
    from daam_bench.datasets.plan import PlannedPrompt
    from daam_bench.prompts.nouns import ParsedCaption
    from daam_bench.prompts.swap import NounCaption

_CAPTIONS = (
    "COCO captions (.json, .json.gz), a text file with one caption a line, or a column of a dataset "
    "(owner/name:column, folder:column, @split behind it)"
)
_AS_GIVEN = (
    *("model", "revision", "size", "seed", "min_nouns", "steps", "height", "width", "scheduler", "dtype"),
    *("licence", "device", "batch_size", "offload", "variant"),
)
"""Options of `build` that are settings of the same name."""

_OF_MODEL = (
    *("split", "revision", "variant", "steps", "guidance", "height", "width", "argument", "scheduler"),
    *("batch_size", "device", "dtype", "offload", "workers", "shard", "engine", "address", "gpus", "threads"),
    "restart",
)
"""Options of `build` that say how a model generates: without one they have no meaning."""

_OF_CAPTIONS = ("seed", "min_nouns", "pipeline_nlp")
"""Options of `build` that say how prompts are made of captions."""

_SIZE = 150

_SPACY = "name or path of the spaCy pipeline that finds nouns (default: the shipped one)"


def add_parser(subparsers: Any) -> None:
    """Add `nouns`, `swap` and `build`."""
    parser = subparsers.add_parser("nouns", help="list the nouns of captions, kept and dropped, with reasons")
    parser.set_defaults(handler=list_nouns)
    add = parser.add_argument
    add("captions", nargs="?", metavar="CAPTIONS", help=_CAPTIONS)
    add("--caption", metavar="TEXT", help="one caption, instead of CAPTIONS")
    add("--pipeline", metavar="NAME", help=_SPACY)
    add("--summary", action="store_true", help="count lemmas instead of listing captions")

    parser = subparsers.add_parser("swap", help="exchange the nouns of prompts among them")
    parser.set_defaults(handler=swap_prompts)
    add = parser.add_argument
    add("file", metavar="FILE|DATASET:COLUMN", help=_CAPTIONS)
    add("--seed", type=int, default=0, metavar="N", help="seed of the exchange (default: 0)")
    add("--pipeline", metavar="NAME", help=_SPACY)

    parser = subparsers.add_parser(
        "build",
        help="build a dataset from captions or prompts and a model",
        description="Pick captions, swap their nouns among them, and generate the images of both; or "
        "generate prompts as they are. Without --model only the prompts are written, to be generated later.",
    )
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--captions", metavar="FILE|DATASET:COLUMN", help=_CAPTIONS)
    prompts = "prompts to generate as they are: those of COCO that come along, or a dataset"
    source.add_argument("--prompts", metavar="coco|PATH|HUB_ID", help=prompts)
    model = "diffusers pipeline that generates the images (default: none, write the prompts alone)"
    add("--model", metavar="emoji|PATH|HUB_ID", help=model)
    add("--revision", help="its revision on the hub (default: the newest)")
    add("--variant", metavar="NAME", help=VARIANT)
    splits = "splits to generate (default: coco_gen,unreal_gen)"
    add("--split", type=names, metavar="NAME,...", help=splits)
    add("--output", "--out", type=Path, required=True, metavar="DIR", help="folder of the dataset")
    add("--size", type=int, metavar="N", help=f"examples a split (default: {_SIZE}; all of --prompts)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the choice and the swap (default: 0)")
    add("--min-nouns", type=int, default=1, metavar="N", help="countable nouns a caption has (default: 1)")
    add_call(parser)
    scheduler = "scheduler of diffusers, such as DDIMScheduler (default: its own)"
    add("--scheduler", metavar="NAME", help=scheduler)
    add("--batch-size", type=int, default=4, metavar="N", help="images generated at once (default: 4)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    dtype = "float32, float16 or bfloat16 (default: float32; the preset's on a GPU)"
    add("--dtype", type=full_dtype, help=dtype)
    add_offload(parser)
    add("--pipeline-nlp", metavar="NAME", help=_SPACY)
    add("--licence", default="other", metavar="NAME", help="licence for the card (default: other)")
    add_engine(parser)
    add("--restart", action="store_true", help="start over instead of resuming an earlier run")
    parser.set_defaults(
        handler=build,
        default=parser.get_default,
        when_interrupted="what was generated is kept; the same command resumes where it stopped",
    )


def list_nouns(arguments: argparse.Namespace) -> None:
    """Print the nouns of captions: which are kept, and why the others are not."""
    from daam_bench.datasets.caption_sources import read_captions
    from daam_bench.prompts.nouns import parse_captions

    if (arguments.captions is None) == (arguments.caption is None):
        raise InputError("give either CAPTIONS or --caption TEXT")
    if arguments.captions is None:
        texts = [arguments.caption]
    else:
        texts = [caption.text for caption in read_captions(arguments.captions)]
    parsed = parse_captions(texts, arguments.pipeline, progress=True)
    lines = _summary(parsed) if arguments.summary else _listing(parsed)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _listing(parsed: Sequence[ParsedCaption]) -> list[str]:
    lines = []
    for caption in parsed:
        lines.append(caption.text)
        for found in caption.nouns:
            mark = "+" if found.countable else "-"
            number = "plural" if found.plural else "singular"
            lines.append(f"  {mark} {found.noun.text} ({found.noun.lemma}, {number}): {found.reason}")
    return lines


def _summary(parsed: Sequence[ParsedCaption]) -> list[str]:
    """Return one line a lemma, verdict and reason (without the caption's own words), by count."""
    counts = Counter(
        (found.noun.lemma, found.countable, found.reason.split(" with ")[0])
        for caption in parsed
        for found in caption.nouns
    )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{count:7,} {'+' if kept else '-'} {lemma}: {reason}" for (lemma, kept, reason), count in ranked]


def swap_prompts(arguments: argparse.Namespace) -> None:
    """Print prompts with their countable nouns exchanged, one a line; blank ones are left out."""
    from daam_bench.datasets.caption_sources import read_captions
    from daam_bench.prompts.swap import swap_nouns

    captions = [caption.text for caption in read_captions(arguments.file)]
    parsed = _countable(captions, arguments.pipeline, progress=True)
    if not any(caption.nouns for caption in parsed):
        raise InputError(f"{arguments.file} has no countable noun, so there is none to exchange")
    for swapped in swap_nouns(parsed, arguments.seed):
        sys.stdout.write(f"{swapped.text}\n")


def _countable(captions: Sequence[str], pipeline: str | None, progress: bool = False) -> list[NounCaption]:
    from daam_bench.prompts.nouns import parse_captions

    return [parsed.countable() for parsed in parse_captions(captions, pipeline, progress=progress)]


def build(arguments: argparse.Namespace) -> None:
    """Pick captions and swap their nouns, or take prompts as they are; generate their images."""
    from daam_bench.datasets.build import (
        BuildSettings,
        build_dataset,
        check_settings,
        work_folder,
        write_prompt_set,
    )
    from daam_bench.datasets.caption_sources import read_captions
    from daam_bench.datasets.plan import SPLITS
    from daam_bench.scoring.report import describe_environment

    source = arguments.captions or arguments.prompts
    if arguments.model is None and arguments.prompts:
        raise InputError("--prompts are there already; say with --model what is to generate them")
    if arguments.model is None:
        _refuse(arguments, _OF_MODEL, "--model; without it the prompts alone are written, of both splits")
    if arguments.prompts:
        _refuse(arguments, _OF_CAPTIONS, "--captions; prompts are generated as they are")
    environment = describe_environment()
    wanted = ("diffusers", "transformers", "torch", "spacy")
    versions = {name: environment.libraries[name] for name in wanted if name in environment.libraries}
    given = {name: value for name, value in vars(arguments).items() if name in _AS_GIVEN}
    size = _SIZE if arguments.size is None else arguments.size
    prompts = _prompts(source, arguments.size) if arguments.prompts else ()
    known = tuple(dict.fromkeys(prompt.split for prompt in prompts)) or SPLITS
    settings = BuildSettings(
        **given | {"model": arguments.model or "", "size": size},
        captions=read_captions(source) if arguments.captions else (),
        prompts=prompts,
        splits=tuple(choose_splits(arguments.split, known)) if arguments.split else SPLITS,
        source=Path(source).name if Path(source).exists() else source,
        guidance_scale=arguments.guidance,
        arguments=dict(arguments.argument),
        nlp=arguments.pipeline_nlp or "daam-bench's own spaCy pipeline",
        libraries={"daam-bench": environment.version, **versions},
    )
    parse = partial(_countable, pipeline=arguments.pipeline_nlp)
    if arguments.model is None:
        plan = write_prompt_set(arguments.output, settings, parse)
        what = "prompts, to be generated with `build --prompts`"
    else:
        check_settings(arguments.output, settings)
        work, restart = work_folder(arguments.output), arguments.restart
        engine = engine_of(arguments, arguments.device)
        with taking_part(arguments.shard, work, settings.batch_size, restart=restart) as part:
            built = build_dataset(
                arguments.output, settings, parse, restart=restart, say=say, engine=engine, part=part
            )
        if built is None:
            say_shard_done(arguments.shard, work)
            return
        plan = built
        what = "examples, not annotated yet"
    counts = Counter(prompt.split for prompt in plan.prompts)
    said = " and ".join(f"{count} in {split}" for split, count in counts.items())
    sys.stdout.write(f"{arguments.output}/: {said}: {what}\n")


def _refuse(arguments: argparse.Namespace, options: Sequence[str], why: str) -> None:
    """Refuse options that were given and would do nothing."""
    for name in options:
        if getattr(arguments, name) != arguments.default(name):
            raise InputError(f"--{name.replace('_', '-')} goes with {why}")


def _prompts(source: str, size: int | None) -> tuple[PlannedPrompt, ...]:
    """Return the prompts of a dataset, the first `size` of each split if that is given."""
    from daam_bench.datasets.prompt_sets import read_prompts

    prompts = read_prompts(source)
    if size is None:
        return prompts
    if size < 1:
        raise InputError(f"--size must be at least 1, not {size}")
    kept: list[PlannedPrompt] = []
    for prompt in prompts:
        if sum(one.split == prompt.split for one in kept) < size:
            kept.append(prompt)
    return tuple(kept)
