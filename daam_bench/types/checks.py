"""Checks of the settings that many functions and commands share."""

from __future__ import annotations

from collections.abc import Collection

from daam_bench.types.errors import InputError


def check_tau(tau: float) -> None:
    """Check a threshold.

    Raises:
        InputError: It is outside [0, 1], or not a number.
    """
    if not 0 <= tau <= 1:
        raise InputError(f"tau is a share of the heat map's maximum in [0, 1], not {tau}")


def check_taus(taus: Collection[float]) -> None:
    """Check several thresholds.

    Raises:
        InputError: There is none, or one outside [0, 1].
    """
    if not taus:
        raise InputError("no tau is given; give at least one, such as 0.4")
    for tau in taus:
        check_tau(tau)


def check_batch_size(batch_size: int) -> None:
    """Check how many images are processed at once.

    Raises:
        InputError: It is below 1.
    """
    if batch_size < 1:
        raise InputError(f"the batch size must be at least 1, not {batch_size}")


def check_limit(limit: int | None) -> None:
    """Check how many examples of each split are taken; None for all of them.

    Raises:
        InputError: It is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1 example, not {limit}")


def check_steps(steps: int | None) -> None:
    """Check a number of inference steps; None for the model's usual one.

    Raises:
        InputError: It is below 1.
    """
    if steps is not None and steps < 1:
        raise InputError(f"--steps must be at least 1, not {steps}")
