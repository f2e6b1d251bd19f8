"""`daam-bench methods`: what `--method` may name."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `methods`: what `--method` may name."""
    parser = subparsers.add_parser("methods", help="list the installed methods")
    parser.set_defaults(handler=list_methods)


def list_methods(arguments: argparse.Namespace) -> None:
    """Print the name and the class of every installed method."""
    from daam_bench.segmenters.registry import method_names

    names = method_names()
    width = max(map(len, names), default=0)
    for name, target in names.items():
        sys.stdout.write(f"{name:<{width}}  {target}\n")
