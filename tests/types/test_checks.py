"""The checks that functions and commands share."""

import pytest

from daam_bench.types.checks import check_batch_size, check_limit, check_steps, check_tau
from daam_bench.types.errors import InputError


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (check_tau, (0, 0.4, 1), (-0.1, 1.1, float("nan")), "tau is a share of the heat map's maximum"),
        (check_batch_size, (1, 16), (0, -1), "the batch size must be at least 1"),
        (check_limit, (None, 1), (0, -1), "--limit must be at least 1 example"),
        (check_steps, (None, 1), (0, -1), "--steps must be at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(check, good, bad, message):
    for value in good:
        check(value)
    for value in bad:
        with pytest.raises(InputError, match=f"{message}.*, not {value}"):
            check(value)
