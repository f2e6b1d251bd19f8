"""`daam-bench demo`: a page to type prompts into, in a browser."""

from __future__ import annotations

import argparse
import os
from typing import Any

from daam_bench.commands.options import USUAL_DTYPE
from daam_bench.segmenters.registry import VARIANT, add_offload
from daam_bench.types.errors import InputError, full_dtype


def add_parser(subparsers: Any) -> None:
    """Add `demo`."""
    parser = subparsers.add_parser(
        "demo",
        help="type prompts into a page in a browser, and look at their words",
        description="Serve a page: type a prompt, generate it, click a word, move tau, choose method, layers "
        "and steps. Needs the extra `demo`.",
    )
    add = parser.add_argument
    add("--model", default="emoji", metavar="emoji|PATH|HUB_ID", help="diffusers pipeline (default: emoji)")
    add("--revision", help="its revision on the hub (default: the newest)")
    add("--variant", metavar="NAME", help=VARIANT)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    add("--dtype", type=full_dtype, help=f"float32, float16 or bfloat16 (default: {USUAL_DTYPE})")
    add_offload(parser)
    add("--host", default="127.0.0.1", help="address to serve at; 0.0.0.0 for other machines too")
    add("--port", type=int, help="port to serve at (default: the first free one from 7860)")
    add("--no-open", action="store_true", help="open no browser")
    parser.set_defaults(handler=demo, when_interrupted="the page is closed")


def demo(arguments: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    from daam_bench.analysis.demo_page import build_page
    from daam_bench.analysis.looking import Looker

    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    looker = Looker(
        arguments.model,
        arguments.revision,
        arguments.device,
        arguments.dtype,
        arguments.offload,
        arguments.variant,
    )
    page = build_page(looker)
    try:
        page.launch(server_name=arguments.host, server_port=arguments.port, inbrowser=not arguments.no_open)
    except OSError as error:
        place = arguments.host if arguments.port is None else f"{arguments.host}:{arguments.port}"
        raise InputError(
            f"can't serve at {place}: {error}; give a free --port, and an address of this machine as --host"
        ) from error
