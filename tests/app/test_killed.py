"""A server that is killed in the middle of an upload and of an export, and started again."""

from __future__ import annotations

import contextlib
import http.client
from urllib.parse import urlsplit

import psutil

from tests.app.conftest import disc, disc_video, start_server, stop_server, wait_for, write_masks


def killed(server):
    """Kill a server and its workers, as a machine without memory does."""
    processes = [psutil.Process(server.process.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    server.process.wait()
    psutil.wait_procs(processes, timeout=30)
    server.process.stdout.close()


def test_what_a_killed_server_left_is_removed_at_the_next_start_and_said_once(tmp_path):
    server = start_server(tmp_path / "workspace")
    incoming, exports = server.workspace / "incoming", server.workspace / "exports"
    clip = server.add_clip(disc_video(tmp_path / "a.mp4", 400))
    target = server.add_target(clip["id"])
    server.ask(f"/api/targets/{target}/masks", write_masks((0, "target", 0, disc(60, 60))))
    upload = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port)
    upload.putrequest("POST", "/api/uploads?name=b.mp4")
    upload.putheader("Content-Length", "1000000")
    upload.endheaders()
    upload.send(b"x" * 200_000)
    wait_for(lambda: list(incoming.glob("upload-*/b.mp4")), "the beginning of the upload")
    server.ask("/api/export", {"clip_ids": [clip["id"]], "formats": ["ref-vps", "overlay"]})
    wait_for(lambda: list(exports.glob(".*.partial/*")), "the beginning of the export")

    killed(server)
    upload.close()
    left = [*incoming.iterdir(), *exports.iterdir()]
    again = start_server(server.workspace)
    try:
        said = again.get("/api/session")["notices"]
        later = again.get("/api/session")["notices"]
        clips = again.get("/api/clips")["clips"]
    finally:
        stop_server(again)

    assert len(left) == 4, left
    assert list(incoming.iterdir()) == list(exports.iterdir()) == []
    assert len(said) == 1
    assert "1 upload, 1 export" in said[0]
    assert later == []
    assert [one["id"] for one in clips] == [clip["id"]]
