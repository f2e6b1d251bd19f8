"""The memory of large models, as the docs print it, follows from their numbers of parameters."""

import re

import pytest

from benchmarks.model_memory import MODELS, gigabytes
from tests.docs.printed import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_printed_gigabytes_are_those_of_the_parameters(name):
    page = (ROOT / "docs" / "models.md").read_text()
    (row,) = re.findall(rf"^\| {re.escape(name)}[^|]*\| (.* \+ .*) \|$", page, re.MULTILINE)
    denoiser, encoders = gigabytes(name)
    for printed, share in zip(row.split(" | "), (1, 1 / 2, 1 / 4), strict=True):
        assert printed == f"{denoiser * share:.1f} + {encoders * share:.1f}"
