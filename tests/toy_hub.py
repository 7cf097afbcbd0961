"""A hub on this machine that serves toy files as Hugging Face's does, and misbehaves if asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REVISION = "c0ffee" + 34 * "0"
PIECE = 1 << 20


class ToyHub:
    """`files` are contents by name, by repository.

    `refusal` is a status every request is answered with; `held_at` stops files at that many bytes
    until `go_on` is set; `stated` overrules sizes and `spoiled` hashes by file name; `asked` are
    the requests so far.
    """

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self.files = {repository: dict(held) for repository, held in files.items()}
        self.refusal: int | None = None
        self.held_at: int | None = None
        self.go_on = threading.Event()
        self.cuts = False
        self.stated: dict[str, int] = {}
        self.spoiled: set[str] = set()
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="toy hub", daemon=True).start()

    def environment(self, cache: Path) -> dict[str, str]:
        """What makes a program fetch from here, into `cache`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_ETAG_TIMEOUT": "5",
            "HF_HUB_DOWNLOAD_TIMEOUT": "60",
        }

    def info(self, repository: str) -> dict[str, Any]:
        """What the hub states of a repository."""
        siblings = []
        for name, data in self.files[repository].items():
            size = self.stated.get(name, len(data))
            hashed = hashlib.sha256(data).hexdigest() if name not in self.spoiled else 64 * "0"
            siblings.append(
                {
                    "rfilename": name,
                    "size": size,
                    "blobId": 40 * "0",
                    "lfs": {"sha256": hashed, "size": size, "pointerSize": 130},
                }
            )
        return {"id": repository, "sha": REVISION, "siblings": siblings}

    def end(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def toy_hub(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[ToyHub]:
    hub = ToyHub(files)
    try:
        yield hub
    finally:
        hub.end()


def _handler(hub: ToyHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            if hub.refusal is not None:
                self._send(hub.refusal, b"{}", body=body)
                return
            if path.startswith("/api/models/"):
                repository = path.removeprefix("/api/models/")
                if repository in hub.files:
                    self._send(200, json.dumps(hub.info(repository)).encode(), body=body)
                    return
            owner, _, rest = path[1:].partition("/resolve/")
            revision, _, name = rest.partition("/")
            data = hub.files.get(owner, {}).get(name)
            if data is None or revision not in ("main", REVISION):
                self._send(404, b"{}", body=body)
            else:
                self._send_file(data, body=body)

        def _send(self, status: int, data: bytes, *, body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def _send_file(self, data: bytes, *, body: bool) -> None:
            asked = self.headers.get("Range", "")
            first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                place = f"bytes {first}-{len(data) - 1}/{len(data)}"
                self.send_header("Content-Range", place)
            self.send_header("Content-Length", str(len(data) - first))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if body:
                self._send_pieces(data, first)

        def _send_pieces(self, data: bytes, first: int) -> None:
            for start in range(first, len(data), PIECE):
                if hub.held_at is not None and start >= hub.held_at:
                    if hub.cuts:
                        self.close_connection = True
                        self.connection.shutdown(2)
                        return
                    hub.go_on.wait()
                try:
                    self.wfile.write(data[start : start + PIECE])
                except OSError:
                    self.close_connection = True
                    return

    return Handler
