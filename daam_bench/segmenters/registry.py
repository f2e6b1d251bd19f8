"""Methods by name, ours, other packages' (entry points) or `module:Class`, and their options.

Loads nothing heavy, for the command line's help needs it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError, full_dtype

if TYPE_CHECKING:
    from daam_bench.segmenters.base import Segmenter

GROUP = "daam_bench.methods"
"""Entry point group in which another package names its methods."""

OURS = {
    "anchor-diff": "anchor_diff:AnchorDiff",
    "clipseg": "clipseg:ClipSeg",
    "concept-attention": "concept_attention:ConceptAttention",
    "daam": "daam:Daam",
    "daam-mean": "daam_mean:DaamMean",
    "daam-self": "daam_self:DaamSelf",
    "daam-superpixels": "daam_superpixels:DaamSuperpixels",
    "daam-superpixels-dev": "chosen_on_dev:DaamSuperpixelsDev",
    "diffseg": "diffseg:DiffSeg",
    "diffseg-dev": "chosen_on_dev:DiffSegDev",
    "diffsegmenter": "diffsegmenter:DiffSegmenter",
    "diffsegmenter-dev": "chosen_on_dev:DiffSegmenterDev",
    "drop-word": "drop_word:DropWord",
    "gradient": "gradient:GradientAttention",
    "grounded-sam": "grounded_sam:GroundedSam",
    "head-selection": "head_selection:HeadSelection",
    "iseg": "iseg:ISeg",
    "iseg-dev": "chosen_on_dev:ISegDev",
    "jvp": "jvp:Jvp",
    "mask2former": "mmdet.method:Mask2Former",
    "mask2former-hf": "mask2former_hf:Mask2FormerHF",
    "mask_rcnn": "mmdet.method:MaskRCNN",
    "mmdet": "mmdet.method:Mmdet",
    "ovam": "ovam:Ovam",
    "ovam-dev": "chosen_on_dev:OvamDev",
    "ovam-tokens": "ovam_tokens:OvamTokens",
    "owlv2-sam": "owlv2_sam:Owlv2Sam",
    "precomputed": "precomputed:Precomputed",
    "queryinst": "mmdet.method:QueryInst",
    "random": "trivial:RandomHalf",
    "sam3": "sam3:Sam3",
    "sclip": "sclip:SClip",
    "seg4diff": "seg4diff:Seg4Diff",
    "whole": "trivial:WholeImage",
}
"""The methods of this package: name -> "module:Class" in daam_bench.segmenters. The one place to add one."""

VARIANT = "which of the model's weights to load, such as fp16 (default: those without a variant)"
"""Help of --variant."""

_OPTIONS: dict[str, tuple[str, Callable[[str], Any], str | None, str]] = {
    "device": ("--device", str, None, "auto, cpu, cuda, cuda:1, mps ... (default: auto)"),
    "dtype": (
        "--dtype",
        full_dtype,
        None,
        "float32, float16 or bfloat16 (default: the recorded one; float32 on a CPU)",
    ),
    "model": (
        "--model",
        str,
        "PATH|HUB_ID",
        "pipeline that the method looks into (default: the dataset's generator), or its model",
    ),
    "variant": ("--variant", str, "NAME", VARIANT),
    "seed": ("--seed", int, "N", "seed of a random method (default: 0)"),
    "checkpoint": ("--checkpoint", str, "PATH|URL", "weights of a detector"),
    "config": ("--config", str, "PATH|NAME", "MMDetection config of a detector"),
    "score": ("--score", float, "S", "least score in [0, 1] of a detector's instances (default: 0.5)"),
    "source": ("--from", str, "DIR", "masks or heat maps of the method `precomputed`"),
}
"""The usual options of methods: name -> flag, type, placeholder, help."""


def get_segmenter(name: str, **options: Any) -> Segmenter:
    """Make the method of a name.

    Args:
        name: A name from `method_names()`, or "module:Class" for a class (or function) that makes a method;
            the module may lie in the current folder.
        options: What the method is made with.

    Raises:
        InputError: There is no such method, it can't be loaded, or it has no such option.
    """
    return make_segmenter(name, options)


def make_segmenter(
    name: str, options: Mapping[str, Any], offers: Mapping[str, Any] | None = None
) -> Segmenter:
    """Make the method of a name, as `get_segmenter` does.

    Args:
        name: See `get_segmenter`.
        options: What the user asked for: an option that the method lacks is an error.
        offers: What the method may have if it has such an option, and else does without.
    """
    from daam_bench.segmenters.base import NotAMethodError, as_segmenter, method_code

    factory = find_method(name)
    accepted = options_of(name, factory)
    if accepted is not None:
        for option in options:
            if option not in accepted:
                raise InputError(
                    f"method {name!r} has no option {option!r}; its options: {', '.join(accepted) or 'none'}"
                )
        offers = {option: value for option, value in (offers or {}).items() if option in accepted}
    given = {**(offers or {}), **options}
    _check_required(name, factory, given)
    try:
        with method_code(name):
            made = factory(**given)
        return as_segmenter(made)
    except NotAMethodError as error:
        raise InputError(f"{name!r} makes no method: {error}") from None


def _check_required(name: str, factory: Callable[..., Any], given: Mapping[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in fixed
        and parameter.name not in given
    ]
    if not missing:
        return
    if unnamed := [one.name for one in missing if one.kind is one.POSITIONAL_ONLY]:
        raise InputError(
            f"method {name!r} can't be made: its argument {unnamed[0]!r} has no name to give it by"
        )
    flags = [_OPTIONS[one.name][0] if one.name in _OPTIONS else f"--option {one.name}=" for one in missing]
    raise InputError(
        f"method {name!r} lacks what it is made with; give {', '.join(f'{flag} ...' for flag in flags)}"
    )


def method_names() -> dict[str, str]:
    """Return the installed methods: name -> "module:Class", in ABC order."""
    outside = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    ours = {name: f"daam_bench.segmenters.{target}" for name, target in OURS.items()}
    return dict(sorted((outside | ours).items()))


def find_method(name: str) -> Callable[..., Any]:
    """Return the class or function that makes a method; InputError if there is none or it can't be loaded."""
    known = method_names()
    if name in known:
        return _load(name, known[name])
    if ":" in name and not name.partition(":")[0].endswith(".py") and "/" not in name:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        return _load(name, name)
    from daam_bench.segmenters.meant import meant

    near = meant(name, known)
    hint = f"; did you mean {near!r}?" if near else ";"
    raise InputError(
        f"no method {name!r}{hint} Methods: {', '.join(known)}, or module:Class for one of yours"
    )


def _load(name: str, target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    from daam_bench.segmenters.base import method_code

    try:
        with method_code(name, passing=(AttributeError, ImportError, ValueError)):
            factory = reduce(getattr, attribute.split("."), import_module(module_name))
    except ModuleNotFoundError as error:
        raise InputError(
            f"method {name!r} needs the module {error.name!r}, which is not installed; install it, or run "
            "where it can be imported"
        ) from error
    except (AttributeError, ImportError, ValueError) as error:
        raise InputError(f"method {name!r} can't be loaded from {target!r}: {error}") from error
    if not callable(factory):
        raise InputError(
            f"method {name!r}: {target!r} is no class or function, but a {type(factory).__name__}"
        )
    made: Callable[..., Any] = factory
    return made


def options_of(name: str, factory: Callable[..., Any]) -> list[str] | None:
    """Return the names of a factory's options; None if it takes any."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        raise InputError(
            f"method {name!r} is nothing that makes a method: it does not say its options"
        ) from None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in parameters if parameter.kind in named]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of methods to a parser: flags for the usual ones, `--option` for any."""
    for name, (flag, kind, metavar, text) in _OPTIONS.items():
        parser.add_argument(flag, dest=name, type=kind, metavar=metavar, help=text)
    add_offload(parser)
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=parse_option,
        metavar="NAME=VALUE",
        help="any other option of the method; a value is JSON, or else text (may be repeated)",
    )


def add_offload(parser: argparse.ArgumentParser) -> None:
    """Add the option of where a pipeline's weights wait."""
    text = (
        "keep weights in the CPU's memory until they are needed: a model, a layer (sequential), or a layer "
        "with the next one on its way (group); --offload alone is model"
    )
    kinds = "model|sequential|group"
    parser.add_argument("--offload", nargs="?", const="model", metavar=kinds, help=text)


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given: name -> value."""
    named = {name: getattr(arguments, name) for name in (*_OPTIONS, "offload")}
    return {name: value for name, value in named.items() if value is not None} | dict(arguments.option)


def parse_option(text: str) -> tuple[str, Any]:
    """Split "name=value"; the value is JSON, or else text.

    >>> parse_option("threads=2"), parse_option("template=a {}")
    (('threads', 2), ('template', 'a {}'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as threads=2")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value
