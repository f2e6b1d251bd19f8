"""Downloads from a real server on this machine."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from daam_bench.segmenters.mmdet.detector_files import download, find_checkpoint
from daam_bench.types.errors import InputError

CONTENT = bytes(range(256)) * 5000
NAME = f"model-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class Handler(BaseHTTPRequestHandler):
    """Serves `CONTENT` under every name but "absent", in parts if asked; "torn" breaks off half-way."""

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        if "absent" in self.path:
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT) // 2 if "torn" in self.path and not start else len(CONTENT)
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges = []
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_file_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        download(f"{server.address}/{NAME}", tmp_path / "zoo" / NAME)
    assert (tmp_path / "zoo" / NAME).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_broken_download_resumes(server, tmp_path):
    path = tmp_path / NAME
    with pytest.raises(InputError, match="try again to resume where it stopped"):
        download(f"{server.address}/torn/{NAME}", path)
    assert not path.exists()
    download(f"{server.address}/torn/{NAME}", path)
    assert path.read_bytes() == CONTENT
    assert server.ranges[1] == f"bytes={len(CONTENT) // 2}-"


def test_a_download_that_was_complete_but_not_renamed_is_kept(server, tmp_path):
    path = tmp_path / NAME
    path.with_name(f"{NAME}.part").write_bytes(CONTENT)
    download(f"{server.address}/{NAME}", path)
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_not_what_its_name_says_is_thrown_away(server, tmp_path):
    with pytest.raises(InputError, match="came damaged"):
        download(f"{server.address}/model-0123456a.pth", tmp_path / "model-0123456a.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_date_in_a_name_is_no_digest(server, tmp_path):
    download(f"{server.address}/model-20200204.pth", tmp_path / "model-20200204.pth")
    assert (tmp_path / "model-20200204.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["{}/absent.pth", "http://127.0.0.1:1/model.pth"])
def test_an_address_that_gives_nothing_is_told(address, server, tmp_path):
    with pytest.raises(InputError, match="can't be downloaded") as caught:
        download(address.format(server.address), tmp_path / "model.pth")
    assert f"put the file at {tmp_path / 'model.pth'}" in str(caught.value)


def test_a_checkpoint_s_address_is_downloaded_to_where_torch_keeps_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = find_checkpoint(f"{server.address}/{NAME}", tmp_path / "config.py")
    assert path == tmp_path / "hub" / "checkpoints" / NAME
    assert path.read_bytes() == CONTENT


def test_a_checkpoint_that_is_no_file_is_told(tmp_path):
    with pytest.raises(InputError, match="no such file; --checkpoint takes a path or a URL"):
        find_checkpoint(str(tmp_path / "nothing.pth"), tmp_path / "config.py")
    with pytest.raises(InputError, match="no weights are known for"):
        find_checkpoint(None, tmp_path / "config.py")
