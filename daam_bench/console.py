"""What every command shares: its parser, its exit codes, its one line on stderr."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from daam_bench.types.errors import InputError, MethodFailedError, printable

if TYPE_CHECKING:
    from daam_bench.engine import WholeJob
    from daam_bench.engine.seam import Engine

DONE, FAULT, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

_UNRECOGNIZED = "unrecognized arguments: "
"""How argparse begins to say that there are words which no option takes."""

Handler = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with status 2."""
        hint = _hint(message.removeprefix(_UNRECOGNIZED)) if message.startswith(_UNRECOGNIZED) else ""
        self.exit(BAD_INPUT, f"{self.prog}: {message}{hint} (see {self.prog} --help)\n")


def _hint(extra: str) -> str:
    """Say what words that no option takes were probably meant as.

    >>> _hint("0.5")
    '; give several values with commas between them, such as 0.3,0.5'
    >>> _hint("cat on grass")
    '; put quotes around a text of several words'
    """
    words = extra.split()
    if any(word.startswith("-") for word in words):
        return ""
    if all(word.replace(".", "", 1).strip(",").isdigit() for word in words):
        return "; give several values with commas between them, such as 0.3,0.5"
    return "; put quotes around a text of several words"


def run_command(make_parser: Callable[[], Parser], argv: Sequence[str] | None) -> int:
    """Run the command of a command line and return its exit code.

    That is 2, with one line on stderr, for bad input and for what the file system refuses; 1, with a
    traceback, for a fault in the code of a method; 130 if interrupted.

    Args:
        make_parser: Makes the parser. Its defaults hold the command, `handler`, and may hold
            `when_interrupted`, which says how to resume.
        argv: The command line; None for that of the process.

    Raises:
        SystemExit: The command line is wrong, or asks for help only.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stdout is None:
        # The next file that is opened would take its place, and get what is printed.
        say("error: stdout is closed; send the output somewhere, such as to /dev/null")
        return BAD_INPUT
    how_to_resume: Any = None
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        try:
            arguments = make_parser().parse_args(argv)
            how_to_resume = getattr(arguments, "when_interrupted", None)
            handler: Handler = arguments.handler
            if sys.stderr.isatty():
                from daam_bench.diffusion import pipelines

                pipelines.show_steps = True
            status = handler(arguments) or DONE
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except InputError as error:
        say(f"error: {one_line(error)}")
        return BAD_INPUT
    except BrokenPipeError:
        # Who read the output has enough of it (`| head`).
        return DONE
    except OSError as error:
        place = "" if error.filename is None else f" {error.filename}"
        reason = one_line(error.strerror or error)
        say(f"error: can't read or write{printable(place)}: {reason}; give another place, or make room")
        return BAD_INPUT
    except MethodFailedError as error:
        with suppress(OSError):
            traceback.print_exception(error.__cause__ or error)
        say("; ".join(filter(None, (f"error: {one_line(error)}", printable(error.kept), how_to_resume))))
        return FAULT
    except KeyboardInterrupt:
        say("interrupted" + (f"; {how_to_resume}" if how_to_resume else ""))
        return INTERRUPTED
    finally:
        _forget_output()


def _forget_output() -> None:
    """Drop what is still buffered for stdout: Python would try to write it again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print a line to stderr; a full or closed one is no reason to stop."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def names(text: str) -> tuple[str, ...]:
    """Return names that commas separate, each once.

    >>> names("coco_gen, unreal_gen,coco_gen")
    ('coco_gen', 'unreal_gen')
    """
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise argparse.ArgumentTypeError("name at least one")
    return found


def one_line(error: object) -> str:
    """Return an error's text as one printable line: it may quote what others wrote."""
    return printable(" ".join(str(error).split()))


def add_engine(parser: argparse.ArgumentParser, *, shards: bool = True) -> None:
    """Add the options of where work is done."""
    add = parser.add_argument
    workers = "processes; auto: one for each GPU (default: 1; with Ray, as many as there is room for)"
    add("--workers", metavar="N|auto", help=workers)
    if shards:
        text = "do the I-th of N parts; the same command without it joins them"
        add("--shard", metavar="I/N|auto", help=text)
    add("--engine", choices=("local", "ray"), default="local", help="(default: local)")
    add("--address", metavar="ADDRESS", help="of a Ray cluster: host:port, or auto (default: start one here)")
    add("--gpus", type=float, metavar="F", help="GPUs a Ray worker; 0.5 shares one (default: 1)")
    threads = "CPU threads a worker (default: the cores, shared evenly; with Ray, 1)"
    add("--threads", type=int, metavar="N", help=threads)


def engine_of(arguments: argparse.Namespace, device: str | None, method: str = "") -> Engine | None:
    """Return the engine that options ask for, see `choose_engine`; None for this process, as it is."""
    given = {name: getattr(arguments, name) for name in ("workers", "engine", "address", "gpus", "threads")}
    if list(given.values()) == [None, "local", None, None, None]:
        return None
    from daam_bench.engine.choice import choose_engine

    return choose_engine(**given, device=device, method=method)


@contextmanager
def taking_part(
    shard: str | None, output: Path, batch_size: int, *, restart: bool = False
) -> Iterator[WholeJob]:
    """Hold the lock of an output folder or a shard's, and say which part is done here; see `sharing`."""
    from daam_bench.engine import SHARDS, WholeJob

    if shard is not None or (output / SHARDS).exists():
        from daam_bench.engine.shards import sharing

        with sharing(shard, output, batch_size, restart=restart) as part:
            yield part
        return
    from daam_bench.files.locks import locked

    with locked(output):
        yield WholeJob()


def say_shard_done(shard: str, output: Path) -> None:
    """Say what is next when a shard is done."""
    say(f"shard {shard} is done, below {output}; once all are, the same command without --shard joins them")
