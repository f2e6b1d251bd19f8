"""A method that finds every noun in the upper left corner."""

import numpy as np


class Corner:
    name = "corner"

    def __init__(self, share: float = 0.5):
        self.parameters = {"share": share}

    def segment(self, queries):
        return [[self._mask(query.image) for noun in query.nouns] for query in queries]

    def _mask(self, image):
        mask = np.zeros((image.height, image.width), dtype=bool)
        share = self.parameters["share"]
        mask[: round(share * image.height), : round(share * image.width)] = True
        return mask
