"""What programs left half done, told apart from what others work on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annotation_store import half_done
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY

HOLD = """
import sys, pathlib
from annotation_store import half_done
for name in sys.argv[1:]:
    (half_done.begin(pathlib.Path(name)) / "part").write_bytes(b"half")
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """Starts programs that begin folders and hold them."""
    running = []

    def start(*folders: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, *map(str, folders)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_program_left_is_removed_and_said(tmp_path, other):
    Workspace.open(tmp_path).close()
    process = other(
        tmp_path / "incoming" / "upload-1",
        tmp_path / "incoming" / "upload-2",
        tmp_path / "incoming" / "ingest-3",
        tmp_path / "exports" / ".refscribe-2026-01-01.1234.partial",
    )
    process.kill()
    process.wait()

    with Workspace.open(tmp_path) as workspace:
        said = workspace.cleared

    assert "1 import, 2 uploads, 1 export" in said
    assert names(tmp_path / "incoming") == names(tmp_path / "exports") == set()
    with Workspace.open(tmp_path) as workspace:
        assert workspace.cleared == ""


def test_what_a_running_program_works_on_stays(tmp_path, other):
    Workspace.open(tmp_path).close()
    folders = (tmp_path / "incoming" / "upload-1", tmp_path / "exports" / ".a.1.partial")
    other(*folders)

    with Workspace.open(tmp_path) as workspace:
        assert workspace.cleared == ""

    for folder in folders:
        assert (folder / "part").read_bytes() == b"half"


def test_what_nobody_owns_is_left_behind_after_a_day(tmp_path):
    Workspace.open(tmp_path).close()
    for name in ("old", "new"):
        (tmp_path / "incoming" / name).mkdir()
        (tmp_path / "exports" / f".{name}.partial").mkdir()
    (tmp_path / "exports" / "refscribe-2020-01-01").mkdir()
    for path in ("incoming/old", "exports/.old.partial", "exports/refscribe-2020-01-01"):
        os.utime(tmp_path / path, (1, 1))

    Workspace.open(tmp_path).close()

    assert names(tmp_path / "incoming") == {"new"}
    assert names(tmp_path / "exports") == {".new.partial", "refscribe-2020-01-01"}


def test_a_folder_that_was_given_its_name_stays_when_its_work_ends(tmp_path):
    with half_done.half_done(tmp_path / "aside") as folder:
        assert names(tmp_path) == {"aside", ".aside.owner"}
        folder.rename(tmp_path / "final")

    assert names(tmp_path) == {"final"}


def test_a_killed_program_that_had_renamed_its_folder_left_nothing_to_say(tmp_path, other):
    Workspace.open(tmp_path).close()
    process = other(tmp_path / "exports" / ".a.1.partial")
    (tmp_path / "exports" / ".a.1.partial").rename(tmp_path / "exports" / "a")
    process.kill()
    process.wait()

    with Workspace.open(tmp_path) as workspace:
        assert workspace.cleared == ""

    assert names(tmp_path / "exports") == {"a"}


def test_an_owner_nobody_can_read_is_given_a_day(tmp_path):
    Workspace.open(tmp_path).close()
    (tmp_path / "incoming" / "upload-1").mkdir()
    owner = tmp_path / "incoming" / ".upload-1.owner"
    owner.write_bytes(b"")

    Workspace.open(tmp_path).close()
    kept = names(tmp_path / "incoming")
    os.utime(owner, (1, 1))
    Workspace.open(tmp_path).close()

    assert kept == {"upload-1", ".upload-1.owner"}
    assert names(tmp_path / "incoming") == set()


@pytest.mark.parametrize(("days", "stays"), [(2, True), (4, False)])
def test_what_a_program_out_of_sight_began_stays_for_three_days(tmp_path, days, stays):
    Workspace.open(tmp_path).close()
    folder = half_done.begin(tmp_path / "incoming" / "upload-1")
    part, owner = folder / "part", tmp_path / "incoming" / ".upload-1.owner"
    part.write_bytes(b"half")
    owner.write_text(owner.read_text() + "-of-ben")
    for path in (folder, owner):
        os.utime(path, (1, 1))
    newest = time.time() - days * 24 * 3600
    os.utime(part, (newest, newest))

    with Workspace.open(tmp_path) as workspace:
        said = workspace.cleared

    assert part.exists() is stays
    assert ("1 upload" in said) is not stays


def test_an_owner_that_is_no_file_and_an_old_probe_are_nothing_to_say(tmp_path):
    Workspace.open(tmp_path).close()
    incoming = tmp_path / "incoming"
    (incoming / ".upload-1.owner").mkdir()
    (incoming / ".probe-12").write_bytes(b"")
    for path in incoming.iterdir():
        os.utime(path, (1, 1))

    with Workspace.open(tmp_path) as workspace:
        assert workspace.cleared == ""

    assert ".probe-12" not in names(incoming)
