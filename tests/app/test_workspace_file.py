"""What the page is told when the workspace's database is held or gone."""

from __future__ import annotations

import sqlite3

import numpy as np

from tests.app.conftest import disc, disc_video, start_server, stop_server, write_masks


def test_a_busy_workspace_keeps_nobody_waiting_and_a_lost_one_takes_no_edit(tmp_path):
    server = start_server(tmp_path / "workspace")
    try:
        clip = server.add_clip(disc_video(tmp_path / "disc.mp4"))
        target = server.add_target(clip["id"])
        file = server.workspace / "refscribe.sqlite"
        stroke = write_masks((3, "target", 0, disc(60, 50)))

        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        busy = server.ask(f"/api/targets/{target}/masks", stroke, timeout_s=15)
        other.close()
        saved = server.ask(f"/api/targets/{target}/masks", stroke)

        assert (busy.status, busy.json()["code"]) == (503, "busy")
        assert "another program holds it" in busy.json()["error"]
        assert saved.status == 200
        assert np.array_equal(server.masks(target)["target", 3].mask, disc(60, 50))

        file.rename(file.with_suffix(".away"))
        again = write_masks((3, "target", 1, disc(90, 50)))
        lost = server.ask(f"/api/targets/{target}/masks", again)
        read = server.ask(f"/api/targets/{target}/masks.bin")

        for reply in (lost, read):
            assert (reply.status, reply.json()["code"]) == (503, "workspace-lost")
            assert "was removed" in reply.json()["error"]
    finally:
        stop_server(server)
