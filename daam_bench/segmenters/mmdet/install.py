"""Whether MMDetection is installed, with what it needs."""

from __future__ import annotations

from importlib import import_module

from daam_bench.types.errors import InputError

INSTALL = (
    "pip install 'setuptools<81' wheel ninja && "
    "pip install --no-build-isolation --no-cache-dir 'mmcv==2.1.0' && "
    "pip install 'daam-bench[mmdet]'"
)
"""What to type. Without build isolation mmcv finds torch and builds its compiled operators."""


def check_installed(method: str) -> None:
    """Check that MMDetection can be imported and that mmcv has its compiled operators.

    The names imported are those of open-mmlab's packages and of their maintained fork (onedl-mmdetection,
    onedl-mmcv) alike.

    Raises:
        InputError: Something is missing; the line says what to type.
    """
    try:
        import_module("mmcv")
    except ImportError as error:
        raise InputError(f"method {method!r} needs MMDetection; type: {INSTALL}") from error
    try:
        import_module("mmcv.ops")
    except ImportError as error:
        raise InputError(
            f"method {method!r} needs mmcv with its compiled operators, and the installed one came without; "
            f"type: pip uninstall -y mmcv && {INSTALL}"
        ) from error
    try:
        import_module("mmdet.registry")
    except ImportError as error:
        raise InputError(
            f"method {method!r} needs MMDetection, which can't be imported ({error}); type: {INSTALL}"
        ) from error
    except AssertionError as error:
        raise InputError(
            f"method {method!r}: MMDetection refuses what is installed beside it ({error}); type: "
            f"pip uninstall -y mmcv mmdet mmengine && {INSTALL}"
        ) from error
