"""What is wrong with a submission: all of it, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from daam_bench.types.printable import printable

MAX_LISTED = 200
"""Most problems that are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        place: Where: the file, and within it the line or the field.
        text: What is wrong and how to fix it. One line, printable.
    """

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass
class Problems:
    """Gathers problems.

    Attributes:
        listed: The first `MAX_LISTED` of them, in the order they were found.
        count: How many there are.
    """

    listed: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, place: str, text: str) -> None:
        """Add a problem; its text is made printable."""
        self.count += 1
        if self.count <= MAX_LISTED:
            self.listed.append(Problem(printable(place), printable(" ".join(text.split()))))

    def extend(self, others: Problems, place: str) -> None:
        """Add the problems of a part, whose name goes before their places."""
        for problem in others.listed:
            self.add(f"{place}/{problem.place}", problem.text)
        self.count += others.count - len(others.listed)

    def __len__(self) -> int:
        return self.count

    def lines(self) -> list[str]:
        """Write the problems for a person, one a line, and how many more there are."""
        lines = [str(problem) for problem in self.listed]
        if self.count > len(self.listed):
            lines.append(f"... and {self.count - len(self.listed)} more")
        return lines
