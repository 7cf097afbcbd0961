"""Odd values in every field of every route: a sentence each time, and nothing is changed by it."""

from __future__ import annotations

import http.client
import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation_store.workspace import Workspace
from app.server import ROUTES, create_services
from app.settings import Settings
from tests.app.conftest import Server, disc_video

LONE = "half a pair \ud800"
NUMBERS = [
    *(-1, 0, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400),
    *(0.5, -0.0, 1e308, math.nan, math.inf, -math.inf),
]
TEXTS = [
    *("", " ", "\0", "a\0b", LONE, "\U0001f525" * 90, "ü" * 300, "x" * 70_000, "9" * 5000),
    *("../../etc/passwd", "NaN", "-1", "1e999", "٣", "١٢", "<img src=x>", "%00", "\r\nX: y"),
]
OTHERS = [None, True, [], {}, [[]], [None], {"a": 1}, [1] * 3, "all", [2**70], [LONE], [math.nan]]
ODD: list[Any] = [*NUMBERS, *TEXTS, *OTHERS]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"seed":' + b"9" * 5000 + b"}",
    b'{"threshold": NaN}',
    b"\x00" * 64,
    b"RSM1" + b"\xff" * 20,
]


class Door:
    """One connection to the server, kept open; opened again where the server grew tired of it."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, 120)

    def ask(self, method: str, address: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            return self._ask(method, address, body)
        except (ConnectionError, http.client.RemoteDisconnected):
            self._connection.close()
            return self._ask(method, address, body)

    def _ask(self, method: str, address: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "X-Tab": "odd"}
        self._connection.request(method, address, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def close(self) -> None:
        self._connection.close()


class Watch:
    """Tells whether anything was written to a workspace's database since last asked."""

    def __init__(self, workspace: Path) -> None:
        file = workspace / "refscribe.sqlite"
        self._store = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        self.changed()

    def changed(self) -> bool:
        (version,) = self._store.execute("PRAGMA data_version").fetchone()
        before, self._version = getattr(self, "_version", version), version
        return bool(version != before)

    def close(self) -> None:
        self._store.close()


@dataclass(frozen=True)
class Used:
    """The server with a clip, a target and an expression, whose numbers are `ids`."""

    door: Door
    watch: Watch
    ids: tuple[int, int, int]


@pytest.fixture(scope="module")
def used(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    clip = server.add_clip(disc_video(tmp_path_factory.mktemp("odd") / "a.mp4", 3), "odd.mp4")
    target = server.add_target(clip["id"])
    said = server.ask(f"/api/targets/{target}/expressions", {"text": "the disc"}).json()
    door, watch = Door(server), Watch(server.workspace)
    yield Used(door, watch, (clip["id"], target, said["id"]))
    watch.close()
    door.close()


def operations(folder: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, description) of every route of ours, as FastAPI knows them."""
    app = FastAPI()
    with Workspace.open(folder) as workspace:
        services = create_services(Settings(folder), workspace)
        for routes in ROUTES:
            app.include_router(routes(services))
        described = app.openapi()
    schemas = described["components"]["schemas"]
    return [
        (method.upper(), path, {**about, "fields": body_fields(about, schemas)})
        for path, methods in described["paths"].items()
        for method, about in methods.items()
    ]


def body_fields(about: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    content = about.get("requestBody", {}).get("content", {})
    named = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return list(schemas.get(named.rpartition("/")[2], {}).get("properties", {}))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, dict[str, Any]]]:
    return operations(tmp_path_factory.mktemp("described"))


USUAL: dict[str, Any] = {
    "frames": [0],
    "verified": True,
    "first": 0,
    "last": 2,
    "seen": 0,
    "clicks": [],
    "frame_index": 0,
    "runs": ["target:1"],
    "formats": ["csv"],
    "segmenters": ["none such"],
    "segmenter": "none such",
    "refiner": "none such",
    "text": "a disc",
    "operation": "grow",
    "pixels": 1,
    "index": 0,
}


def usual_body(fields: list[str], ids: tuple[int, int, int]) -> dict[str, Any]:
    """A body that could be right; no network is named in it, so that none is started."""
    known = {"clip_id": ids[0], "target_id": ids[1], "expression_ids": [ids[2]], "clip_ids": []}
    known |= USUAL
    return {field: known[field] for field in fields if field in known}


def address_of(path: str, ids: tuple[int, int, int], odd: dict[str, str]) -> str:
    """The path with its numbers filled in, `odd` ones first."""
    usual = dict(zip(("clip_id", "target_id", "expression_id"), map(str, ids), strict=True))
    usual |= {"draft_id": "1", "frame_index": "0", "job_id": "999", "what": "cancel"}
    for name, value in ({"medium_id": "0", "name": "none"} | usual | odd).items():
        path = path.replace(f"{{{name}}}", quote(value.encode("utf-8", "surrogatepass"), safe=""))
    return path


def requests_of(
    method: str, path: str, about: dict[str, Any], ids: tuple[int, int, int], odd: list[Any]
) -> Iterator[tuple[str, str, bytes | None]]:
    """The requests of one route in which one field each is odd.

    Those that take something away are left out: some odd number would be one of ours.
    """
    if method == "DELETE" or path == "/api/samples":
        return
    body = json.dumps(usual_body(about["fields"], ids)).encode() if about["fields"] else None
    for parameter in about.get("parameters", []):
        for value in odd:
            text = value if isinstance(value, str) else json.dumps(value)
            encoded = text.encode("utf-8", "surrogatepass")
            if len(encoded) > 20_000:
                continue  # no server reads such an address
            if parameter["in"] == "path":
                yield method, address_of(path, ids, {parameter["name"]: text}), body
            else:
                query = {"runs": "target:1", "frames": "0", "name": "a.mp4"}
                asked = urlencode(query | {parameter["name"]: encoded})
                yield method, f"{address_of(path, ids, {})}?{asked}", body
    for field in about["fields"]:
        for value in odd:
            changed = usual_body(about["fields"], ids) | {field: value}
            yield method, address_of(path, ids, {}), json.dumps(changed).encode()
    if method in ("POST", "PATCH"):
        for whole in BODIES:
            yield method, address_of(path, ids, {}), whole


def refused_well(status: int, body: bytes) -> bool:
    """Whether an answer is one of ours: it worked, or says in a sentence why not."""
    if status < 400:
        return True
    said = json.loads(body)
    return status < 500 and set(said) == {"error", "code"} and len(said["error"]) > 10


def wrongly_answered(used: Used, request: tuple[str, str, bytes | None]) -> str:
    """What is wrong with the answer to a request; "" if nothing is."""
    for _ in range(
        3
    ):  # a job begun before may write just then; what writes itself does so each time
        used.watch.changed()
        status, body = used.door.ask(*request)
        if not refused_well(status, body):
            break
        if status < 400 or not used.watch.changed():
            return ""
    return f"{request[0]} {request[1][:120]} {(request[2] or b'')[:80]!r}: {status} {body[:200]!r}"


def test_every_route_answers_odd_values_with_a_sentence_and_keeps_the_store(used, every):
    assert len(every) > 40
    wrong, asked = [], 0
    for method, path, about in every:
        for request in requests_of(method, path, about, used.ids, ODD):
            wrong.append(wrongly_answered(used, request))
            asked += 1

    assert asked > 2000
    assert [one for one in wrong if one] == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(which=st.integers(0, 1000), values=st.dictionaries(st.integers(0, 20), ANYTHING, min_size=1))
def test_so_do_values_nobody_thought_of(used, every, which, values):
    with_body = [one for one in every if one[2]["fields"]]
    method, path, about = with_body[which % len(with_body)]
    fields = about["fields"]
    changed = {fields[at % len(fields)]: value for at, value in values.items()}
    body = json.dumps(usual_body(fields, used.ids) | changed).encode()

    assert wrongly_answered(used, (method, address_of(path, used.ids, {}), body)) == ""


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"/api/clips/{2**63}", None, "clip_id"),
        ("/api/clips/1/frames/-1.jpg", None, "frame_index"),
        ("/api/expressions/1/segment", b'{"seed": 2147483648}', "seed"),
        ("/api/expressions/1/segment", b'{"threshold": NaN}', "threshold"),
        ("/api/clips/1/targets", b'{"name": "half \\ud800"}', "name"),
        ("/api/media/0/ingest", b'{"trim_start": -Infinity}', "trim_start"),
    ],
)
def test_a_refusal_names_the_field_and_what_was_expected(used, path, body, field):
    status, said = used.door.ask("POST" if body else "GET", path, body)

    assert status == 422
    assert json.loads(said)["error"].startswith(f"{field}: ")


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"seed":' + b"9" * 5000 + b"}", b"\xff"])
def test_a_body_that_is_no_json_says_so(used, body):
    status, said = used.door.ask("POST", "/api/expressions/1/segment", body)

    assert status in (400, 422)
    assert "JSON" in json.loads(said)["error"]
