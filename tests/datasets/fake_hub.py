"""A hub on this machine, with the few routes that pushing and loading a small dataset take."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"


class FakeHub:
    """What the hub holds.

    Attributes:
        private: Repository -> whether it is private.
        branches: (repository, branch) -> commits, the last one newest.
        commits: Commit -> file name -> content.
    """

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.branches: dict[tuple[str, str], list[str]] = {}
        self.commits: dict[str, dict[str, bytes]] = {}
        self.endpoint = ""

    def create(self, name: str, private: bool) -> str:
        repo = name if "/" in name else f"me/{name}"
        if repo not in self.private:
            self.private[repo] = private
            self.branches[repo, "main"] = [self._add({})]
        return repo

    def commit(self, repo: str, branch: str, files: dict[str, bytes]) -> str:
        commits = self.branches[repo, branch]
        commits.append(self._add(self.commits[commits[-1]] | files))
        return commits[-1]

    def resolve(self, repo: str, revision: str) -> str | None:
        commits = self.branches.get((repo, revision))
        return commits[-1] if commits else revision if revision in self.commits else None

    def _add(self, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(json.dumps([len(self.commits), sorted(files)]).encode()).hexdigest()
        self.commits[oid] = files
        return oid


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Run a hub at `hub.endpoint`."""
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
        elif path == "/api/repos/create":
            record = json.loads(body)
            owner = record.get("organization")
            name = f"{owner}/{record['name']}" if owner else record["name"]
            private = record.get("visibility") == "private" or bool(record.get("private"))
            repo = self.hub.create(name, private)
            self._answer(200, {"url": f"{self.hub.endpoint}/datasets/{repo}", "id": repo})
        elif path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif match := re.fullmatch(r"/api/datasets/(.+/.+)/branch/(.+)", path):
            if (match[1], match[2]) in self.hub.branches:
                self._answer(409, {"error": "Reference already exists"})
            else:
                self.hub.branches[match[1], match[2]] = list(self.hub.branches[match[1], "main"])
                self._answer(200, {})
        elif match := re.fullmatch(r"/api/datasets/(.+/.+)/preupload/(.+)", path):
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif match := re.fullmatch(r"/api/datasets/(.+/.+)/commit/(.+)", path):
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            oid = self.hub.commit(match[1], match[2], files)
            url = f"{self.hub.endpoint}/datasets/{match[1]}/commit/{oid}"
            self._answer(200, {"success": True, "commitOid": oid, "commitUrl": url})
        else:
            self._answer(404, {"error": f"no route {path}"})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(/revision/(.+))?", path):
            oid = self.hub.resolve(match[1], match[3] or "main")
            if match[1] not in self.hub.private or oid is None:
                missing = "Revision" if match[1] in self.hub.private else "Repo"
                self._answer(404, {"error": "not found"}, {"X-Error-Code": f"{missing}NotFound"})
                return
            siblings = [{"rfilename": name} for name in self.hub.commits[oid]]
            self._answer(200, {"_id": "0", "id": match[1], "sha": oid, "siblings": siblings})
        elif match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)", path):
            oid = self.hub.resolve(match[1], match[2])
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.hub.commits[oid].items()
            ]
            self._answer(200, tree)
        elif match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            oid = self.hub.resolve(match[1], match[2])
            content = self.hub.commits[oid].get(match[3])
            if content is None:
                self._answer(404, {"error": "not found"}, {"X-Error-Code": "EntryNotFound"})
                return
            headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": oid}
            self._answer(200, content, headers)
        else:
            self._answer(404, {"error": f"no route {path}"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, record: object, headers: dict[str, str] | None = None) -> None:
        content = record if isinstance(record, bytes) else json.dumps(record).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
