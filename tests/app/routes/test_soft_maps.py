"""A draft's soft maps over HTTP, alone and several to a reply."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from annotation_store import runs
from annotation_store.workspace import Workspace
from tests.app.conftest import FRAMES, disc, disc_x


def soft_map(frame_index):
    """(60, 84) uint8: unlike that of any other frame."""
    return np.full((60, 84), 3 * frame_index, dtype=np.uint8)


@pytest.fixture
def draft(server, target):
    text = {"text": "the orange disc"}
    expression = server.ask(f"/api/targets/{target}/expressions", text).json()["id"]
    with Workspace.open(server.workspace) as workspace:
        made = workspace.drafts.start(expression, "rem-demo", "w", 0, {}, 0.5)
        frames = [
            (
                index,
                runs.encode(disc(disc_x(index), 60)),
                cv2.imencode(".png", soft_map(index))[1].tobytes(),
            )
            for index in range(FRAMES)
        ]
        workspace.drafts.save_frames(made.id, frames)
        workspace.drafts.finish(made.id, "done")
    return made.id


def test_several_soft_maps_travel_in_one_reply_in_the_order_asked_for(server, draft):
    reply = server.ask(f"/api/drafts/{draft}/maps.pack?frames=7,2-3")

    count, *lengths = struct.unpack("<4I", reply.body[:16])
    assert count == 3
    at = 16
    for frame_index, length in zip((7, 2, 3), lengths, strict=True):
        one = np.frombuffer(reply.body[at : at + length], dtype=np.uint8)
        picture = cv2.imdecode(one, cv2.IMREAD_UNCHANGED)
        assert np.array_equal(picture, soft_map(frame_index))
        at += length
    assert at == len(reply.body)


def test_a_pack_with_a_map_that_is_not_there_is_refused_in_a_sentence(server, draft):
    reply = server.ask(f"/api/drafts/{draft}/maps.pack?frames=2,{FRAMES}")

    assert reply.status == 404
    assert f"The soft map of frame {FRAMES} is not there" in reply.json()["error"]


def test_a_pack_is_of_a_bounded_size(server, draft):
    reply = server.ask(f"/api/drafts/{draft}/maps.pack?frames=0-40")

    assert reply.status == 400
    assert "at most 32 frames" in reply.json()["error"]
