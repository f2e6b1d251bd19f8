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

_MOST_SEEDS = 2**63


def add_parser(subparsers: Any) -> None:
    """Add `show`: one prompt's image, and what each of its words attends to."""
    parser = subparsers.add_parser(
        "show",
        help="draw a prompt and show what its words attend to",
        description="Draw a prompt, or take an image, and lay the heat map of each word over it, with the "
        "outline of its mask at tau.",
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the prompt")
    parser.add_argument("--prompt", dest="prompt_option", metavar="PROMPT", help="the same, as an option")
    parser.add_argument("--image", type=Path, metavar="FILE", help="look at this image instead of drawing")
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


class _Outputs(NamedTuple):
    """Where the figure and the page go; None for one that isn't wanted."""

    figure: Path | None
    page: Path | None


class _Shown(NamedTuple):
    """An image with its maps, the prompt they are of, the words to show and where the image is from."""

    traced: Traced
    prompt: TokenizedPrompt
    words: tuple[Word, ...]
    note: str

    def named(self, words: Sequence[Word]) -> list[tuple[str, HeatMap]]:
        """Return the names and maps of words."""
        from daam_bench.analysis.show_words import labels

        maps = [self.traced.maps.word(word.start, word.end) for word in words]
        return list(zip(labels(words, self.prompt), maps, strict=True))


def show(arguments: argparse.Namespace) -> None:
    """Draw or look, then write the figure and the page."""
    from daam_bench.analysis.show_words import choose_words
    from daam_bench.diffusion.pipelines import load_pipeline

    prompt = _prompt(arguments)
    outputs = _outputs(arguments, prompt)
    _check_numbers(arguments)
    picture = _image(arguments.image)
    pipeline = load_pipeline(arguments.model, arguments.revision, arguments.device, arguments.dtype)
    pipeline.set_progress_bar_config(disable=not sys.stderr.isatty(), leave=False)
    tokenized = _tokenized(pipeline, prompt)
    words = choose_words(tokenized, None if arguments.words is None else arguments.words.split(","))
    _warn(tokenized, arguments.model)
    if picture is None:
        traced, note = _draw(pipeline, prompt, arguments)
    else:
        traced, note = _look(pipeline, prompt, picture, arguments)
    shown = _Shown(traced, tokenized, words, note)
    if outputs.figure is not None:
        _write_figure(outputs.figure, shown, arguments.tau)
    if outputs.page is not None:
        _write_page(outputs.page, shown, arguments.tau)


def _prompt(arguments: argparse.Namespace) -> str:
    given = [text for text in (arguments.prompt, arguments.prompt_option) if text is not None]
    if len(given) != 1:
        what = "a prompt is missing" if not given else "two prompts are given"
        raise InputError(f"{what}; give one, such as: daam-bench show 'a cat on the grass'")
    prompt: str = given[0]
    if not prompt.strip():
        raise InputError("an empty prompt has no word to show; give one such as 'a cat on the grass'")
    return prompt


def _outputs(arguments: argparse.Namespace, prompt: str) -> _Outputs:
    """Settle where things go before anything is drawn."""
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
    return _Outputs(figure, page)


def _slug(prompt: str) -> str:
    """Name a file after a prompt.

    >>> _slug("A cat, and a pizza!")
    'a-cat-and-a-pizza'
    """
    return re.sub(r"[^\w]+", "-", prompt.lower()).strip("-_")[:60].strip("-_") or "prompt"


def _check_numbers(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.tau <= 1:
        raise InputError(f"--tau is a share of the map's maximum in [0, 1], not {arguments.tau}")
    if not 0 <= arguments.seed < _MOST_SEEDS:
        raise InputError(f"--seed must be at least 0 and below 2**63, not {arguments.seed}")
    if arguments.steps is not None and arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")
    if arguments.image is not None and (arguments.steps is not None or arguments.guidance is not None):
        raise InputError("--steps and --guidance are for drawing, not for looking at --image; leave them out")


def _image(path: Path | None) -> Image.Image | None:
    if path is None:
        return None
    from daam_bench.analysis.show_images import read_image

    return read_image(path)


def _draw(pipeline: Any, prompt: str, arguments: argparse.Namespace) -> tuple[Traced, str]:
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
    note = (
        f"Drawn by {arguments.model} from seed {arguments.seed} in {generation.steps} "
        f"step{'s' if generation.steps > 1 else ''} with guidance {generation.guidance_scale:g}."
    )
    return traced, note


def _look(
    pipeline: Any, prompt: str, picture: Image.Image, arguments: argparse.Namespace
) -> tuple[Traced, str]:
    from daam_bench.analysis.show_images import fitting_size, look_at

    size = fitting_size(pipeline, picture.size)
    seen = f"{size[0]}x{size[1]} pixels"
    if size != picture.size:
        say(f"{arguments.image}: {picture.width}x{picture.height} pixels, resized to {seen} for the model")
    traced = look_at(pipeline, prompt, picture, seed=arguments.seed)
    return traced, f"{arguments.image.name}, looked at by {arguments.model} in {seen}."


def _tokenized(pipeline: Any, prompt: str) -> TokenizedPrompt:
    from daam_bench.attribution.tokens import tokenize_prompt

    if (tokenizer := getattr(pipeline, "tokenizer", None)) is None:
        raise InputError(
            f"{type(pipeline).__name__} can't be traced: it has no tokenizer; Stable Diffusion 1 and 2 and "
            "SDXL pipelines can"
        )
    return tokenize_prompt(tokenizer, prompt)


def _warn(prompt: TokenizedPrompt, model: str) -> None:
    """Say what of the prompt the model doesn't see or know."""
    from daam_bench.analysis.show_words import known_nouns, unknown_words
    from daam_bench.diffusion.pipelines import SHIPPED

    if prompt.truncated:
        say(f"warning: the model sees only {prompt.limit} tokens, and not {printable(prompt.truncated)!r}")
    if model == SHIPPED and (unknown := unknown_words(prompt.words())):
        say(
            f"warning: the emoji model was never trained on {', '.join(map(printable, unknown))}; "
            f"the nouns it knows are {', '.join(known_nouns())}"
        )


def _write_figure(path: Path, shown: _Shown, tau: float) -> None:
    from daam_bench.figures.show_figure import save_figure, show_figure

    words = shown.named(shown.words)
    save_figure(show_figure(shown.traced.image, shown.prompt.prompt, words, tau=tau, note=shown.note), path)
    sys.stdout.write(f"{path}: {', '.join(printable(name) for name, _ in words)}\n")


def _write_page(path: Path, shown: _Shown, tau: float) -> None:
    from daam_bench.analysis.show_words import all_words
    from daam_bench.figures.show_page import PageWord, show_page

    words = all_words(shown.prompt, shown.words)
    place = shown.words[0].start
    first = next(index for index, word in enumerate(words) if word.start <= place < word.end)
    page = show_page(
        shown.traced.image,
        shown.prompt.prompt,
        [PageWord(word, *named) for word, named in zip(words, shown.named(words), strict=True)],
        tau=tau,
        first=first,
        note=shown.note,
    )
    _write(path, page)
    sys.stdout.write(f"{path}: a page about {len(words)} words; open it in a browser\n")


def _write(path: Path, text: str) -> None:
    try:
        with replacing_file(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; give another --html") from None
