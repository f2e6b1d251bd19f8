"""A real Label Studio, started for a test and stopped after it."""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

USER, PASSWORD = "annotator@example.org", "a password of no use"
_SECONDS_TO_START = 1200


class Server:
    """Its HTTP API."""

    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token

    def get(self, path: str) -> Any:
        return self._call(Request(self._address + path))

    def post(self, path: str, record: Any) -> Any:
        data = json.dumps(record).encode()
        return self._call(Request(self._address + path, data, {"Content-Type": "application/json"}))

    def _call(self, request: Request) -> Any:
        request.add_header("Authorization", f"Token {self._token}")
        with urlopen(request, timeout=60) as response:
            return json.load(response)


@contextmanager
def running(executable: str, folder: Path) -> Iterator[Server]:
    """Start a server on a free port, its database below `folder`, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(20)
    options = ["--no-browser", "--port", str(port), "--username", USER, "--password", PASSWORD]
    options += ["--user-token", token, "--enable-legacy-api-token"]
    quiet = {"COLLECT_ANALYTICS": "False", "LATEST_VERSION_CHECK": "False", "SENTRY_DSN": ""}
    environment = os.environ | quiet | {"LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data")}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [executable, "start", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(process, address, folder / "server.log")
        yield Server(address, token)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            urlopen(f"{address}/health", timeout=5).close()
        except (URLError, OSError):
            time.sleep(1)
        else:
            return
    raise RuntimeError(f"Label Studio did not start:\n{log.read_text(errors='replace')[-3000:]}")
