"""Methods that end their process, or fail, where a test says so; run by "module:Class"."""

import logging
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from tests.segmenters.methods import Gradient


class Deadly(Gradient):
    """Kills its process at an example, as often as there are files in a folder, each of which it removes."""

    name = "deadly"

    def __init__(self, example: str, folder: str):
        super().__init__()
        self._example, self._folder = example, Path(folder)

    def segment(self, queries):
        if self._example in {query.id for query in queries}:
            for path in sorted(self._folder.iterdir()):
                path.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().segment(queries)


class Torn(Deadly):
    """Kills its process with half of the result of an example written."""

    name = "torn"

    def segment(self, queries):
        if self._example in {query.id for query in queries}:
            for path in sorted(self._folder.iterdir())[:1]:
                path.unlink()
                Connection._send = _write_half
        return Gradient.segment(self, queries)


def _write_half(connection, content, *_):
    os.write(connection.fileno(), bytes(content)[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


class Barred(Gradient):
    """Shows a bar, as libraries do."""

    name = "barred"

    def segment(self, queries):
        return super().segment(list(tqdm(queries)))


class Unlike(Gradient):
    """Has other parameters in every process."""

    name = "unlike"

    def __init__(self):
        self.parameters = {"gain": os.getpid()}

    def segment(self, queries):
        # There is work left when the second process is up.
        time.sleep(3)
        return super().segment(queries)


class Warning(Gradient):
    """Warns of its split once, and of every example."""

    name = "warning"

    def begin_split(self, name, queries):
        logging.getLogger(__name__).warning("split %s has %d images", name, len(queries))

    def segment(self, queries):
        for query in queries:
            logging.getLogger(__name__).warning("image %s", query.id)
        return super().segment(queries)
