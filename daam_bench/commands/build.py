"""`daam-bench build`: a dataset of your own, from captions and a diffusers pipeline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say

if TYPE_CHECKING:
    from daam_bench.datasets.plan import Plan
    from daam_bench.prompts.swap import NounCaption


def add_parser(subparsers: Any) -> None:
    """Add `build`: a dataset of your own, from captions and a diffusers pipeline."""
    parser = subparsers.add_parser("build", help="build a dataset from captions and a model")
    parser.add_argument(
        "--captions",
        required=True,
        metavar="FILE|DATASET:COLUMN",
        help="COCO captions (.json, .json.gz), a text file with one caption a line, or a column of a dataset "
        "(owner/name:column, folder:column, @split behind it)",
    )
    parser.add_argument(
        "--model", required=True, metavar="emoji|PATH|HUB_ID", help="diffusers pipeline that draws"
    )
    parser.add_argument("--revision", help="its revision on the hub (default: the newest)")
    parser.add_argument(
        "--output", "--out", type=Path, required=True, metavar="DIR", help="folder of the dataset"
    )
    parser.add_argument("--size", type=int, default=150, metavar="N", help="examples a split (default: 150)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the choice and the swap (default: 0)"
    )
    parser.add_argument(
        "--min-nouns", type=int, default=1, metavar="N", help="countable nouns a caption has (default: 1)"
    )
    parser.add_argument("--steps", type=int, default=50, metavar="N", help="inference steps (default: 50)")
    parser.add_argument(
        "--guidance", type=float, default=7.5, metavar="X", help="guidance scale (default: 7.5)"
    )
    parser.add_argument("--height", type=int, metavar="PIXELS", help="(default: the pipeline's own)")
    parser.add_argument("--width", type=int, metavar="PIXELS", help="(default: the pipeline's own)")
    parser.add_argument(
        "--scheduler", metavar="NAME", help="scheduler of diffusers, such as DDIMScheduler (default: its own)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=4, metavar="N", help="images drawn at once (default: 4)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument("--dtype", default="float32", help="float32, float16 or bfloat16 (default: float32)")
    parser.add_argument(
        "--pipeline-nlp", metavar="NAME", help="spaCy pipeline that finds the nouns (default: our own)"
    )
    parser.add_argument(
        "--licence", default="other", metavar="NAME", help="licence for the card (default: other)"
    )
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of going on with an earlier run"
    )
    parser.set_defaults(
        handler=build,
        when_interrupted="what was drawn is kept; the same command resumes where it stopped",
    )


def build(arguments: argparse.Namespace) -> None:
    """Pick captions, swap their nouns, draw both splits and write them as a dataset folder."""
    from daam_bench.datasets.build import Settings, build_dataset
    from daam_bench.prompts.captions import read_captions
    from daam_bench.prompts.nouns import parse_captions
    from daam_bench.scoring.environment import describe_environment

    settings = Settings(
        captions=read_captions(arguments.captions),
        source=Path(arguments.captions).name if Path(arguments.captions).exists() else arguments.captions,
        model=arguments.model,
        revision=arguments.revision,
        size=arguments.size,
        seed=arguments.seed,
        min_nouns=arguments.min_nouns,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
        height=arguments.height,
        width=arguments.width,
        scheduler=arguments.scheduler,
        dtype=arguments.dtype,
        nlp=arguments.pipeline_nlp or "daam-bench's own spaCy pipeline",
        libraries=_libraries(describe_environment()),
        licence=arguments.licence,
        device=arguments.device,
        batch_size=arguments.batch_size,
    )

    def parse(captions: Sequence[str]) -> list[NounCaption]:
        return [parsed.countable() for parsed in parse_captions(captions, arguments.pipeline_nlp)]

    plan = build_dataset(arguments.output, settings, parse, restart=arguments.restart, say=_say_passed_over)
    sys.stdout.write(
        f"{arguments.output}/: {plan.size} examples each in coco_gen and unreal_gen, not annotated yet\n"
    )


def _libraries(environment: Any) -> dict[str, str]:
    """Return the versions that prompts and images depend on."""
    wanted = ("diffusers", "transformers", "torch", "spacy")
    versions = {name: environment.libraries[name] for name in wanted if name in environment.libraries}
    return {"daam-bench": environment.version, **versions}


def _say_passed_over(plan: Plan) -> None:
    from daam_bench.datasets.pick import describe_passed_over

    say(f"captions passed over: {describe_passed_over(plan.passed_over)}")
