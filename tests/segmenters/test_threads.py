import os
from contextlib import suppress

import pytest
import torch

from daam_bench.segmenters.threads import computing_with, usable_cores
from daam_bench.types.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"), [("max 100000\n", None), ("150000 100000\n", 2), ("50000 100000", 1), ("?", None)]
)
def test_a_container_s_quota_bounds_the_cores(text, expected, tmp_path):
    (tmp_path / "cpu.max").write_text(text)
    affine = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path / "cpu.max") == (affine if expected is None else min(affine, expected))


def test_torch_has_its_threads_back_after_the_block():
    before = torch.get_num_threads()
    with suppress(ZeroDivisionError), computing_with(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_by_itself_it_takes_no_more_threads_than_torch_would():
    with computing_with(1), computing_with():
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_count_that_is_none(threads):
    with pytest.raises(InputError, match="threads must be a whole number"), computing_with(threads):
        pass
