"""All that the texts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daam_bench.datasets.load import SHIPPED
from daam_bench.scoring.effects import FaithfulnessReport
from tools.refresh.orders import Orders
from tools.refresh.recording import Recorded


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the parts are made of.

    Attributes:
        recorded: Dataset -> what was recorded; empty without runs on the shipped one.
        orders: How the order of methods holds; None before there are two splits to compare.
        faithfulness: Dataset -> the published report of all methods, where there is one.
        by_word: That of one method by part of speech.
        disagreements: Whether there is a figure of the pairs where IoU and J disagree.
    """

    recorded: Mapping[str, Recorded]
    orders: Orders | None
    faithfulness: Mapping[str, FaithfulnessReport] = field(default_factory=dict)
    by_word: FaithfulnessReport | None = None
    disagreements: bool = False

    @property
    def shipped(self) -> Recorded:
        """The shipped dataset."""
        return self.recorded[SHIPPED]
