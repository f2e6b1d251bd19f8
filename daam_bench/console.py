"""What every command shares: its parser, its exit codes, its one line on stderr."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from daam_bench.types.errors import InputError
from daam_bench.types.printable import printable

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130
"""Exit codes."""

Handler = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def run_command(handler: Handler, arguments: argparse.Namespace) -> int:
    """Run a command and return its exit code: 2 with one line on stderr for bad input, 130 if interrupted.

    Args:
        handler: The command.
        arguments: Its arguments. `when_interrupted`, if it is among them, says how to resume.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        status = handler(arguments) or DONE
        sys.stdout.flush()
        return status
    except InputError as error:
        say(f"error: {one_line(error)}")
        return BAD_INPUT
    except BrokenPipeError:
        # Who read the output has enough of it (`| head`). What is still buffered must not be tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        how_to_resume: Any = getattr(arguments, "when_interrupted", None)
        say("interrupted" + (f"; {how_to_resume}" if how_to_resume else ""))
        return INTERRUPTED


def say(line: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(f"{line}\n")


def one_line(error: Exception) -> str:
    """Return an error's text as one printable line: it may quote what others wrote."""
    return printable(" ".join(str(error).split()))
