"""Strokes, verifying, undo and the live channel over HTTP, two tabs at once."""

from __future__ import annotations

import gzip
import json
import struct
import threading

import numpy as np
import pytest
from websockets.sync.client import connect

from annotation_store.edits import MaskChange
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.app.conftest import FRAMES, SIZE, disc, read_masks, write_masks


def stroke(server, target, frame_index, seen, mask, *, layer="target", tab=""):
    return server.ask(
        f"/api/targets/{target}/masks?kind=stroke",
        write_masks((frame_index, layer, seen, mask)),
        headers={"X-Tab": tab} if tab else {},
    )


def test_a_stroke_is_kept_and_read_back(server, target):
    reply = stroke(server, target, 3, 0, disc(60, 50))

    assert reply.json()["versions"] == [{"layer": "target", "frame_index": 3, "version": 1}]
    held = server.masks(target)
    assert list(held) == [("target", 3)]
    assert np.array_equal(held["target", 3].mask, disc(60, 50))
    assert held["target", 3].origin == "stroke"


def test_a_stroke_on_an_outdated_mask_is_refused_and_changes_nothing(server, target):
    stroke(server, target, 3, 0, disc(60, 50))

    reply = stroke(server, target, 3, 0, disc(100, 70))

    assert reply.status == 409
    assert reply.json()["code"] == "stale"
    assert "Frame 3 was changed elsewhere" in reply.json()["error"]
    held = server.masks(target)["target", 3]
    assert held.version == 1
    assert np.array_equal(held.mask, disc(60, 50))


def test_an_edit_whose_answer_was_lost_is_done_once_and_answered_again(server, clip, target):
    """A page that got no answer sends the same edit again, under the same name."""
    named = {"X-Edit": "m1x2-3abc"}
    body = write_masks((3, "target", 0, disc(60, 50)))
    path = f"/api/targets/{target}/masks?kind=stroke"
    first = server.ask(path, body, headers=named)
    stroke(server, target, 3, 1, disc(100, 70))

    again = server.ask(path, body, headers=named)

    assert (again.status, again.json()) == (200, first.json())
    held = server.masks(target)["target", 3]
    assert held.version == 2
    assert np.array_equal(held.mask, disc(100, 70))

    undo = {"X-Edit": "m1x2-undo"}
    answers = [
        server.ask(f"/api/clips/{clip['id']}/undo", {}, headers=undo).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert np.array_equal(server.masks(target)["target", 3].mask, disc(60, 50))


def test_one_outdated_frame_refuses_all_of_an_edit(server, target):
    stroke(server, target, 3, 0, disc(60, 50))
    data = write_masks((2, "target", 0, disc(10, 10)), (3, "target", 0, disc(10, 10)))

    assert server.ask(f"/api/targets/{target}/masks", data).status == 409

    assert list(server.masks(target)) == [("target", 3)]


@pytest.mark.parametrize(
    ("frame_index", "mask"), [(FRAMES, disc(60, 50)), (0, np.ones((3, 4), dtype=bool))]
)
def test_a_mask_that_does_not_fit_the_clip_is_refused(server, target, frame_index, mask):
    reply = stroke(server, target, frame_index, 0, mask)

    assert reply.status in (400, 422)
    assert server.masks(target) == {}


def test_a_small_request_cannot_ask_for_more_masks_than_the_clip_has_frames(server, target):
    whole = np.ones(SIZE, dtype=bool)  # 8 words of a request, 20,000 pixels
    entries = [(index % FRAMES, "target", 0, whole) for index in range(32_000)]
    data = write_masks(*entries)
    assert len(data) > 1_000_000

    reply = server.ask(f"/api/targets/{target}/masks", data)

    assert reply.status == 400
    assert "at most one mask a layer for each of the clip's 16 frames" in reply.json()["error"]
    twice = server.ask(f"/api/targets/{target}/masks", write_masks(*entries[: FRAMES + 1]))
    assert twice.status == 400
    assert "Frame 0 has two masks of one layer" in twice.json()["error"]
    assert server.masks(target) == {}


def test_a_repaired_mask_of_a_frame_that_had_none_is_shown_as_such(server, target):
    with Workspace.open(server.workspace) as workspace:
        change = MaskChange("target", 5, MaskRuns.encode(disc(60, 50)), 0)
        workspace.edits.apply(target, "repair", "ana", [change])

    assert server.masks(target)["target", 5].origin == "repair"


def test_only_the_frames_asked_for_are_sent_and_large_replies_are_zipped(server, target):
    for frame_index in range(6):
        stroke(server, target, frame_index, 0, disc(60, 50))

    assert {index for _, index in server.masks(target, "?frames=1,3-4")} == {1, 3, 4}
    zipped = server.ask(f"/api/targets/{target}/masks.bin", headers={"Accept-Encoding": "gzip, br"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(read_masks(gzip.decompress(zipped.body))) == 6
    assert server.ask(f"/api/targets/{target}/masks.bin?frames=1,,x").status == 400


def test_undo_and_redo_bring_back_what_was_there(server, clip, target):
    stroke(server, target, 3, 0, disc(60, 50))
    stroke(server, target, 3, 1, disc(100, 70))

    undone = server.ask(f"/api/clips/{clip['id']}/undo", {}).json()

    assert undone["changed"] == [{"target_id": target, "layer": "target", "frame_index": 3}]
    assert np.array_equal(server.masks(target)["target", 3].mask, disc(60, 50))
    server.ask(f"/api/clips/{clip['id']}/redo", {})
    assert np.array_equal(server.masks(target)["target", 3].mask, disc(100, 70))
    assert server.ask(f"/api/clips/{clip['id']}/redo", {}).json()["edit"] is None


def verify(server, target, frame_index, **wanted):
    return server.ask(f"/api/targets/{target}/verify", {"frames": [frame_index], **wanted})


def test_a_frame_is_verified_and_any_change_takes_that_back(server, target):
    stroke(server, target, 3, 0, disc(60, 50))

    assert verify(server, target, 3, verified=True).status == 200

    held = server.masks(target)["target", 3]
    assert held.verified
    assert held.origin == "stroke"
    stroke(server, target, 3, held.version, disc(61, 50))
    assert not server.masks(target)["target", 3].verified


def test_a_frame_without_the_target_is_verified_as_empty(server, target):
    refused = verify(server, target, 5, verified=True)
    assert refused.status == 422
    assert "Frame 5 has no mask to verify" in refused.json()["error"]

    verify(server, target, 5, verified=True, empty=True)

    held = server.masks(target)["target", 5]
    assert held.verified
    assert held.mask is not None
    assert not held.mask.any()


def test_an_edit_is_told_to_every_tab_and_says_whose_it_was(server, clip, target):
    url = server.url.replace("http", "ws") + "/api/live"
    with connect(url) as first, connect(url) as second:
        stroke(server, target, 3, 0, disc(60, 50), tab="tab-one")

        for tab in (first, second):
            message = hear(tab, "masks", target_id=target)
            assert message["clip_id"] == clip["id"]
            assert message["frames"] == [3]
            assert message["tab"] == "tab-one"
            assert message["revision"] >= 1


def hear(socket, kind, **facts):
    """The next message of `kind` with these facts."""
    while True:
        message = json.loads(socket.recv(timeout=30))
        if message["type"] == kind and facts.items() <= message.items():
            return message


def test_of_many_strokes_at_once_on_one_version_one_wins(server, target):
    replies = []

    def paint(number):
        replies.append(stroke(server, target, 3, 0, disc(40 + 5 * number, 50)).status)

    threads = [threading.Thread(target=paint, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(replies) == [200] + [409] * 7
    assert server.masks(target)["target", 3].version == 1


def test_targets_expressions_and_facts_are_told_to_other_tabs(server, clip):
    with connect(server.url.replace("http", "ws") + "/api/live") as tab:
        target = server.add_target(clip["id"])
        hear(tab, "clip", clip_id=clip["id"])
        reply = server.ask(f"/api/targets/{target}/expressions", {"text": " the <b>disc</b> "})
        hear(tab, "clip", clip_id=clip["id"])

    expression = reply.json()
    assert (expression["text"], expression["label"], expression["annotator"]) == (
        "the <b>disc</b>",
        "A1",
        "ana",
    )
    changed = server.ask(
        f"/api/clips/{clip['id']}", {"concept": "disc moving", "state": "done"}, method="PATCH"
    )
    assert changed.json()["concept"] == "disc moving"
    assert server.ask(f"/api/clips/{clip['id']}", {"state": "x"}, method="PATCH").status == 422
    listed = next(one for one in server.get("/api/clips")["clips"] if one["id"] == clip["id"])
    assert (listed["targets"], listed["expressions"], listed["annotators"]) == (1, 1, ["ana"])


def test_frames_are_kept_by_the_browser_but_not_across_workspaces(server, clip):
    session = server.ask("/api/session")
    frame = server.ask(f"/api/clips/{clip['id']}/frames/0.jpg")

    assert frame.status == 200
    assert frame.body[:2] == b"\xff\xd8"
    assert "immutable" in frame.headers["Cache-Control"]
    assert frame.headers["Vary"] == "Cookie"
    assert "refscribe-workspace-" in session.headers["Set-Cookie"]
    assert server.ask(f"/api/clips/{clip['id']}/frames/{FRAMES}.jpg").status == 404
    strip = server.ask(f"/api/clips/{clip['id']}/strip.jpg")
    assert strip.headers["X-Strip-Frames"].split(",")[0] == "0"


def test_several_frames_travel_in_one_reply_in_the_order_asked_for(server, clip):
    path = f"/api/clips/{clip['id']}"
    alone = {n: server.ask(f"{path}/frames/{n}.jpg").body for n in (7, 0, 1)}

    pack = server.ask(f"{path}/frames.pack?frames=7,0-1")

    count, *lengths = struct.unpack_from("<4I", pack.body)
    assert (count, lengths) == (3, [len(picture) for picture in alone.values()])
    assert pack.body[16:] == b"".join(alone.values())
    assert "immutable" in pack.headers["Cache-Control"]
    assert server.ask(f"{path}/frames.pack?frames=0-32").status == 400
    assert server.ask(f"{path}/frames.pack?frames=0,{FRAMES}").status == 404
    assert server.ask(f"{path}/frames.pack?frames=../1").status == 400


def test_a_removed_clip_is_gone_with_everything_of_it(server, clip, target):
    stroke(server, target, 3, 0, disc(60, 50))

    assert server.ask(f"/api/clips/{clip['id']}", method="DELETE").status == 200

    assert server.ask(f"/api/clips/{clip['id']}").status == 404
    assert server.ask(f"/api/targets/{target}/masks.bin").status == 404
    assert server.ask(f"/api/clips/{clip['id']}/frames/0.jpg").status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/targets/1/verify", {"frames": [], "verified": True}),
        ("/api/targets/1/verify", {"frames": "all", "verified": 3}),
        ("/api/targets/x/verify", {"frames": [1], "verified": True}),
        ("/api/export", {"clip_ids": [1], "mask_step": 3}),
        ("/api/export", {"clip_ids": [1], "formats": ["../x"]}),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(server, path, body):
    reply = server.ask(path, body)

    assert reply.status == 422
    assert reply.json()["code"] == "invalid"
    assert "Traceback" not in reply.json()["error"]
