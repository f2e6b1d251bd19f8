"""All that the texts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daam_bench.datasets.load import SHIPPED
from tools.refresh.orders import Orders
from tools.refresh.recording import Recorded


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the parts are made of; `orders` is None before there are two splits to compare."""

    recorded: Mapping[str, Recorded]
    orders: Orders | None

    @property
    def shipped(self) -> Recorded:
        """The shipped dataset."""
        return self.recorded[SHIPPED]
