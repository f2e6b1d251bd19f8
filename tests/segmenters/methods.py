"""Little methods that the tests run by "module:Class"."""

import os
import time

import numpy as np

from daam_bench.types.heat_map import HeatMap


def left_to_right(height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))


class Gradient:
    """A soft method: a heat map that grows from left to right, at a quarter of the image's size."""

    name = "gradient"

    def __init__(self, gain: float = 1.0):
        self.parameters = {"gain": gain}

    def segment(self, queries):
        return [
            [
                HeatMap(
                    left_to_right(query.image.height // 4, query.image.width // 4) * self.parameters["gain"]
                )
                for _ in query.nouns
            ]
            for query in queries
        ]


class Slow(Gradient):
    """A soft method that takes its time over every batch but the first, so that it can be caught in one."""

    name = "slow"
    begun = False

    def segment(self, queries):
        time.sleep(float(os.environ["SECONDS_A_BATCH"]) if self.begun else 0)
        self.begun = True
        return super().segment(queries)


class Tuned(Gradient):
    """A soft method that says what it is, what it was tuned on and what it costs."""

    name = "tuned"
    track = "tuned on masks"
    tuned_on = "dev"
    calls = "one a step"


class Returns:
    """A method that returns whatever a test says."""

    name = "returns"

    def __init__(self, answer):
        self.parameters = {}
        self.answer = answer

    def segment(self, queries):
        return self.answer(queries)


class Nameless:
    def __init__(self):
        self.parameters = {}

    def segment(self, queries):
        return []


NOT_CALLABLE = 3


class Raising(Gradient):
    """A soft method whose code fails at its second batch as the environment says: a bug, or an exit."""

    name = "raising"
    begun = False

    def segment(self, queries):
        if self.begun:
            if os.environ["FAILS_BY"] == "exit":
                raise SystemExit(0)
            if os.environ["FAILS_BY"] == "file":
                open("/no/such/weights")  # noqa: PTH123, SIM115
            return 1 // 0
        self.begun = True
        return super().segment(queries)


class Vandal(Gradient):
    """A soft method that draws into its images, forgets them, and leaves for another folder."""

    name = "vandal"

    def begin_split(self, name, queries):
        for query in queries:
            query.image.paste((1, 2, 3), (0, 0, *query.image.size))

    def segment(self, queries):
        answer = super().segment(queries)
        self.begin_split("", queries)
        os.chdir("/")
        return answer


class Needs(Gradient):
    """A method that can't be made of nothing."""

    def __init__(self, folder, source):
        super().__init__()
