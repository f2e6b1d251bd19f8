"""`daam-bench show`: one prompt's image, and what each of its words attends to."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from daam_bench.console import say
from daam_bench.files.replacing import replacing_file
from daam_bench.types.errors import InputError
from daam_bench.types.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from daam_bench.analysis.tracing import Traced
    from daam_bench.attribution.tokens import TokenizedPrompt, Word
    from daam_bench.types.heat_map import HeatMap

_SEEDS = 2**63


def add_parser(subparsers: Any) -> None:
    """Add `show`: one prompt's image, and what each of its words attends to."""
    parser = subparsers.add_parser(
        "show",
        help="generate an image and show what its prompt's words attend to",
        description="Generate a prompt's image, or take an image, and lay the heat map of each word over it, "
        "with the outline of its mask at tau.",
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the prompt")
    parser.add_argument("--prompt", dest="prompt_option", metavar="PROMPT", help="the same, as an option")
    parser.add_argument("--image", type=Path, metavar="FILE", help="look at this image, generate none")
    parser.add_argument(
        "--model", default="emoji", metavar="emoji|PATH|HUB_ID", help="diffusers pipeline (default: emoji)"
    )
    parser.add_argument("--revision", help="its revision on the hub (default: the newest)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the noise (default: 0)")
    parser.add_argument("--steps", type=int, metavar="N", help="inference steps (default: 50)")
    parser.add_argument(
        "--guidance", type=float, metavar="G", help="guidance scale (default: 3 for emoji, else 7.5)"
    )
    parser.add_argument(
        "--words",
        metavar="WORDS",
        help="words to show, separated by commas, such as 'cat,teddy bear': all occurrences of each, or "
        "cat#2 for the second alone (default: the nouns)",
    )
    parser.add_argument(
        "--tau", type=float, default=0.4, metavar="T", help="threshold of the outlined masks (default: 0.4)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument("--dtype", default="float32", help="float32, float16 or bfloat16 (default: float32)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the figure: .png, .svg or .pdf (default: a PNG named after the prompt and the seed, unless "
        "--html is given); a file already there is replaced",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page with every word's map, in one file")
    parser.set_defaults(handler=show, when_interrupted="nothing was written")


class _Shown(NamedTuple):
    """An image with its maps, the prompt they are of, the words to show and where the image is from."""

    traced: Traced
    prompt: TokenizedPrompt
    words: tuple[Word, ...]
    note: str

    def named(self, words: Sequence[Word]) -> list[tuple[str, HeatMap]]:
        """Return the names and maps of words."""
        from daam_bench.analysis.one_prompt import labels

        maps = [self.traced.maps.word(word.start, word.end) for word in words]
        return list(zip(labels(words, self.prompt), maps, strict=True))


def show(arguments: argparse.Namespace) -> None:
    """Generate an image or take the given one, then write the figure and the page."""
    from daam_bench.analysis.one_prompt import choose_words, read_image
    from daam_bench.attribution.tokens import tokenize_prompt
    from daam_bench.diffusion.pipelines import load_pipeline

    prompt = _prompt(arguments)
    figure, page = _outputs(arguments, prompt)
    _check_numbers(arguments)
    image = None if arguments.image is None else read_image(arguments.image)
    pipeline = load_pipeline(arguments.model, arguments.revision, arguments.device, arguments.dtype)
    pipeline.set_progress_bar_config(disable=not sys.stderr.isatty(), leave=False)
    if (tokenizer := getattr(pipeline, "tokenizer", None)) is None:
        raise InputError(
            f"{type(pipeline).__name__} can't be traced: it has no tokenizer; Stable Diffusion 1 and 2 and "
            "SDXL pipelines can"
        )
    tokenized = tokenize_prompt(tokenizer, prompt)
    words = choose_words(tokenized, None if arguments.words is None else arguments.words.split(","))
    _warn(tokenized, arguments.model)
    if image is None:
        traced, note = _generate(pipeline, prompt, arguments)
    else:
        traced, note = _look(pipeline, prompt, image, arguments)
    shown = _Shown(traced, tokenized, words, note)
    if figure is not None:
        _write_figure(figure, shown, arguments.tau)
    if page is not None:
        _write_page(page, shown, arguments.tau)


def _prompt(arguments: argparse.Namespace) -> str:
    given = [text for text in (arguments.prompt, arguments.prompt_option) if text is not None]
    if len(given) != 1:
        what = "a prompt is missing" if not given else "two prompts are given"
        raise InputError(f"{what}; give one, such as: daam-bench show 'a cat on the grass'")
    prompt: str = given[0]
    if not prompt.strip():
        raise InputError("an empty prompt has no word to show; give one such as 'a cat on the grass'")
    return prompt


def _outputs(arguments: argparse.Namespace, prompt: str) -> tuple[Path | None, Path | None]:
    """Return where the figure and the page go, None for one that isn't wanted."""
    from daam_bench.figures.style import SUFFIXES

    figure, page = arguments.output, arguments.html
    if figure is None and page is None:
        figure = Path(f"{_slug(prompt)}-{arguments.seed}.png")
    if figure is not None and figure.suffix.lower() not in SUFFIXES:
        raise InputError(f"--output {figure} must end in {', '.join(SUFFIXES)}; a page is --html FILE")
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--html {page} must end in .html; a figure is --output FILE")
    for path in filter(None, (figure, page)):
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file in it")
        if arguments.image is not None and path.resolve() == arguments.image.resolve():
            raise InputError(f"{path} is the image to look at, and would be replaced; name another file")
    return figure, page


def _slug(prompt: str) -> str:
    """Name a file after a prompt.

    >>> _slug("A cat, and a pizza!")
    'a-cat-and-a-pizza'
    """
    return re.sub(r"[^\w]+", "-", prompt.lower()).strip("-_")[:60].strip("-_") or "prompt"


def _check_numbers(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.tau <= 1:
        raise InputError(f"--tau is a share of the map's maximum in [0, 1], not {arguments.tau}")
    if not 0 <= arguments.seed < _SEEDS:
        raise InputError(f"--seed must be at least 0 and below 2**63, not {arguments.seed}")
    if arguments.steps is not None and arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")
    if arguments.image is not None and (arguments.steps is not None or arguments.guidance is not None):
        raise InputError(
            "--steps and --guidance are for generating, not for looking at --image; leave them out"
        )


def _generate(pipeline: Any, prompt: str, arguments: argparse.Namespace) -> tuple[Traced, str]:
    from daam_bench.analysis.tracing import generate_traced
    from daam_bench.diffusion.generate import usual_generation

    generation = usual_generation(
        pipeline,
        arguments.model,
        revision=arguments.revision,
        dtype=arguments.dtype,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
    )
    traced = generate_traced(pipeline, [prompt], [arguments.seed], generation)[0]
    steps = f"{generation.steps} step{'s' if generation.steps > 1 else ''}"
    made = f"Generated by {arguments.model} from seed {arguments.seed}"
    return traced, f"{made} in {steps} with guidance {generation.guidance_scale:g}."


def _look(
    pipeline: Any, prompt: str, image: Image.Image, arguments: argparse.Namespace
) -> tuple[Traced, str]:
    from daam_bench.analysis.one_prompt import fitting_size, look_at

    size = fitting_size(pipeline, image.size)
    seen = f"{size[0]}x{size[1]} pixels"
    if size != image.size:
        say(f"{arguments.image}: {image.width}x{image.height} pixels, resized to {seen} for the model")
    traced = look_at(pipeline, prompt, image, seed=arguments.seed)
    return traced, f"{arguments.image.name}, looked at by {arguments.model} in {seen}."


def _warn(prompt: TokenizedPrompt, model: str) -> None:
    """Say what of the prompt the model doesn't see or know."""
    from daam_bench.analysis.one_prompt import unknown_words
    from daam_bench.diffusion.pipelines import SHIPPED
    from daam_bench.emoji.nouns import NOUNS

    if prompt.truncated:
        say(f"warning: the model sees only {prompt.limit} tokens, and not {printable(prompt.truncated)!r}")
    if model == SHIPPED and (unknown := unknown_words(prompt.words())):
        say(
            f"warning: the emoji model was never trained on {', '.join(map(printable, unknown))}; "
            f"the nouns it knows are {', '.join(sorted(NOUNS))}"
        )


def _write_figure(path: Path, shown: _Shown, tau: float) -> None:
    from daam_bench.figures.show_figure import show_figure
    from daam_bench.figures.style import save

    words = shown.named(shown.words)
    save(show_figure(shown.traced.image, shown.prompt.prompt, words, tau=tau, note=shown.note), path)
    sys.stdout.write(f"{path}: {', '.join(printable(name) for name, _ in words)}\n")


def _write_page(path: Path, shown: _Shown, tau: float) -> None:
    from daam_bench.analysis.one_prompt import all_words
    from daam_bench.figures.show_page import PageWord, show_page

    words = all_words(shown.prompt, shown.words)
    place = shown.words[0].start
    first = next(index for index, word in enumerate(words) if word.start <= place < word.end)
    named = zip(words, shown.named(words), strict=True)
    text = show_page(
        shown.traced.image,
        shown.prompt.prompt,
        [PageWord(word, name, heat_map) for word, (name, heat_map) in named],
        tau=tau,
        first=first,
        note=shown.note,
    )
    try:
        with replacing_file(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; give another --html") from None
    sys.stdout.write(f"{path}: a page about {len(words)} words; open it in a browser\n")
