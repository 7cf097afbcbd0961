"""The database's file in the hands of others: held, removed, replaced, cut short, or older."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import inspect

from annotation_store import migrations, runs
from annotation_store.database_file import DatabaseFile
from annotation_store.edits import MaskChange
from annotation_store.errors import (
    NewerWorkspaceError,
    StoreError,
    WorkspaceBusyError,
    WorkspaceLostError,
    WorkspaceUnusableError,
)
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY

SIZE = (6, 9)
OLDER = range(1, migrations.VERSION)


def add_clip(workspace, name="kettle steaming", place=lambda _clip_id: None):
    return workspace.clips.add(
        name=name,
        width=SIZE[1],
        height=SIZE[0],
        frame_count=5,
        source_name="kettle.mp4",
        source_sha256="0" * 64,
        time_table=[n / 24 for n in range(5)],
        place=place,
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def workspace(folder):
    with Workspace.open(folder, patience_s=0.2) as opened:
        add_clip(opened)
        yield opened


@pytest.fixture
def file(folder):
    return folder / "refscribe.sqlite"


# -- held by another program -----------------------------------------------------------------------


def test_a_write_that_another_program_keeps_waiting_is_busy_and_works_afterwards(workspace, file):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(WorkspaceBusyError, match="Nothing was changed; try again in a moment"):
        workspace.targets.add(1, "steam")
    assert workspace.targets.list(1) == []  # reading goes on

    other.close()
    assert workspace.targets.add(1, "steam").number == 1


def test_a_read_is_busy_where_another_program_keeps_the_file_to_itself(workspace, file):
    workspace.close()  # the pages that are open keep others from taking all
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE clip SET revision = revision")
    other.execute("COMMIT")

    with pytest.raises(WorkspaceBusyError):
        workspace.clips.list()
    with pytest.raises(WorkspaceBusyError):
        Workspace.open(workspace.folder, patience_s=0.2)

    other.close()
    assert len(workspace.clips.list()) == 1


# -- taken away ------------------------------------------------------------------------------------


def remove(file):
    file.unlink()


def replace(file):
    shutil.copyfile(file, file.with_suffix(".copy"))
    os.replace(file.with_suffix(".copy"), file)


def cut_short(file):
    os.truncate(file, 0)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (remove, "was removed"),
        (replace, "was replaced by another"),
        (cut_short, "was cut short"),
    ],
)
def test_a_file_that_is_gone_takes_no_edit_and_says_so(workspace, file, harm, sentence):
    harm(file)

    with pytest.raises(WorkspaceLostError, match=sentence):
        workspace.targets.add(1, "steam")
    with pytest.raises(WorkspaceLostError, match=sentence):
        workspace.clips.list()
    if harm is remove:
        assert not file.exists()  # nothing began a new one in its place


def test_a_file_that_goes_while_an_edit_is_written_is_not_said_to_hold_it(workspace, file):
    with pytest.raises(WorkspaceLostError, match="was removed"):
        add_clip(workspace, "whistle", place=lambda _clip_id: file.unlink())


def test_a_file_that_was_lost_is_not_trusted_again_before_the_next_start(workspace, file):
    away = file.with_suffix(".away")
    file.rename(away)
    with pytest.raises(WorkspaceLostError):
        workspace.clips.list()

    away.rename(file)

    with pytest.raises(WorkspaceLostError, match="start again"):
        workspace.clips.list()
    with Workspace.open(workspace.folder) as restarted:
        assert len(restarted.clips.list()) == 1


class LookedAt(type(Path())):
    """A path where something happens just after it was looked at."""

    meanwhile = staticmethod(lambda: None)

    def stat(self, *, follow_symlinks=True):
        status = super().stat(follow_symlinks=follow_symlinks)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return status


def test_a_file_that_grows_while_it_is_looked_at_is_not_taken_for_cut_short(tmp_path):
    path = LookedAt(tmp_path / "refscribe.sqlite")
    path.write_bytes(b"x" * 100)
    file = DatabaseFile(path)

    def grow():
        path.write_bytes(b"x" * 200)
        file.require_there()

    path.meanwhile = grow
    file.require_there()

    file.require_there()
    os.truncate(path, 150)
    with pytest.raises(WorkspaceLostError, match="cut short"):
        file.require_there()


def test_a_file_that_cannot_be_looked_at_for_a_moment_is_not_lost(tmp_path):
    path = LookedAt(tmp_path / "refscribe.sqlite")
    path.write_bytes(b"x")
    file = DatabaseFile(path)

    def refuse():
        raise OSError(errno.ESTALE, "Stale file handle")

    path.meanwhile = refuse
    with pytest.raises(StoreError, match=r"cannot be reached \(Stale file handle\)") as refused:
        file.require_there()

    assert not isinstance(refused.value, WorkspaceLostError)
    file.require_there()


def test_a_damaged_file_is_a_sentence(workspace, file):
    workspace.close()  # all is in the file now
    size = file.stat().st_size
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (size - 4096))

    with pytest.raises(WorkspaceLostError, match="is damaged"):
        workspace.clips.list()


def test_a_disk_that_takes_no_more_is_a_sentence_and_the_last_good_state_stays(folder):
    program = """
import resource, sys
from annotation_store.errors import StoreError
from annotation_store.workspace import Workspace
from tests.annotation_store.test_workspace_file import add_clip
with Workspace.open(sys.argv[1]) as workspace:
    add_clip(workspace)
    log = workspace.folder / "refscribe.sqlite-wal"
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000,) * 2)
    try:
        for n in range(5000):
            workspace.targets.add(1, f"steam {n}")
    except StoreError as error:
        print(n, error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    saved, sentence = ran.stdout.split(" ", 1)
    assert "not saved" in sentence
    with Workspace.open(folder) as workspace:
        assert len(workspace.targets.list(1)) == int(saved) > 0


# -- versions --------------------------------------------------------------------------------------


def schema_of(workspace):
    """Every table's columns, keys and indices, as the database has them."""
    seen = inspect(workspace._database.engine)
    return {
        name: (
            {
                column["name"]: (str(column["type"]), column["nullable"])
                for column in seen.get_columns(name)
            },
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted(
                (key["constrained_columns"], key["referred_table"], key["options"]["ondelete"])
                for key in seen.get_foreign_keys(name)
            ),
            sorted(index["column_names"] for index in seen.get_indexes(name)),
        )
        for name in seen.get_table_names()
    }


def make_older(folder, version):
    """A workspace as Refscribe of that version left it."""
    folder.mkdir()
    script = REPOSITORY / "tests" / "fixtures" / f"workspace_version_{version}.sql"
    connection = sqlite3.connect(folder / "refscribe.sqlite")
    connection.executescript(script.read_text())
    connection.close()


@pytest.mark.parametrize("version", OLDER)
def test_a_workspace_of_any_older_version_becomes_one_of_today(folder, tmp_path, version):
    make_older(folder, version)

    with Workspace.open(folder) as workspace, Workspace.open(tmp_path / "new") as new:
        assert schema_of(workspace) == schema_of(new)
        (clip,) = workspace.clips.list()
        held = workspace.masks.load(1, "target", 3)
        (draft,) = workspace.drafts.list(clip.id)
        assert (clip.name, clip.crop, clip.revision) == ("kettle steaming", (0, 0, 9, 6), 2)
        assert held.decode(SIZE)[2:4, :7].all()
        assert (held.version, held.origin, held.confidence) == (2, "click", None)
        assert (draft.segmenter, draft.frames_done, draft.query) == ("rem-demo", 1, None)


@pytest.mark.parametrize("version", OLDER)
def test_a_workspace_brought_up_to_date_is_worked_on_as_any_other(folder, version):
    make_older(folder, version)
    counts = runs.encode(np.eye(*SIZE, dtype=bool))

    with Workspace.open(folder) as workspace:
        workspace.edits.undo(1, "ana")
        unsure = MaskChange("target", 4, MaskRuns(counts, SIZE), 0, confidence=0.25)
        workspace.edits.apply(1, "propagation", "ana", [unsure])
        workspace.drafts.queries.note(1, [0.9, 0.1], 0)
        workspace.drafts.queries.save(1, [(0, [(counts, b"map")])])

        assert workspace.masks.load(1, "target", 3).decode(SIZE)[2:4, :4].all()
        assert workspace.masks.load(1, "target", 4).confidence == 0.25
        assert len(workspace.drafts.queries.list(1)) == 2
        workspace.targets.remove(1)
        assert workspace.drafts.list(1) == []


@pytest.mark.parametrize("version", OLDER)
def test_an_older_workspace_is_updated_after_a_backup_copy(folder, version):
    make_older(folder, version)

    Workspace.open(folder).close()

    (copy,) = folder.glob(f"refscribe-version-{version}-*.sqlite")
    old = sqlite3.connect(copy)
    assert old.execute("SELECT name FROM clip").fetchall() == [("kettle steaming",)]
    assert old.execute("SELECT value FROM facts").fetchall() == [(str(version),)]
    old.close()


def test_a_backup_that_cannot_be_made_is_a_sentence_and_leaves_no_half_of_one(folder):
    make_older(folder, 1)
    file = folder / "refscribe.sqlite"
    size = file.stat().st_size
    program = """
import resource, sys
from annotation_store.errors import WorkspaceUnusableError
from annotation_store.workspace import Workspace
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]) // 2,) * 2)
try:
    Workspace.open(sys.argv[1])
except WorkspaceUnusableError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(size)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "its backup copy" in ran.stdout
    assert list(folder.glob("refscribe-version-*")) == []


def test_an_update_that_fails_leaves_the_workspace_as_it_was(folder):
    make_older(folder, 1)
    broken = sqlite3.connect(folder / "refscribe.sqlite")
    broken.execute("CREATE TABLE draft_query_frame (novelty INTEGER)")  # the last step's own name
    broken.commit()

    with pytest.raises(StoreError, match="already exists"):
        Workspace.open(folder)

    columns = [row[1] for row in broken.execute("PRAGMA table_info(mask)")]
    assert "confidence" not in columns
    assert broken.execute("SELECT value FROM facts").fetchall() == [("1",)]
    broken.close()


def test_a_workspace_of_a_newer_program_is_refused_and_left_alone(workspace, folder, file):
    newer = sqlite3.connect(file)
    newer.execute("UPDATE facts SET value = '99' WHERE name = 'schema_version'")
    newer.commit()
    newer.close()

    with pytest.raises(NewerWorkspaceError, match="made by a newer Refscribe"):
        Workspace.open(folder)


def test_a_new_workspace_begins_at_the_version_of_today(workspace, file):
    stored = sqlite3.connect(file)
    found = stored.execute("SELECT value FROM facts WHERE name = 'schema_version'").fetchone()
    stored.close()

    assert found == (str(migrations.VERSION),)


def test_a_file_that_is_no_database_is_refused(folder):
    folder.mkdir()
    (folder / "refscribe.sqlite").write_bytes(b"not a database at all" * 100)

    with pytest.raises(WorkspaceUnusableError, match="cannot be used"):
        Workspace.open(folder)


# -- whose it is -----------------------------------------------------------------------------------


def test_a_workspace_has_a_word_of_its_own_that_clearing_the_cache_does_not_change(folder):
    with Workspace.open(folder) as first:
        word = first.identity()
    shutil.rmtree(folder / "cache")
    with Workspace.open(folder) as again:
        assert again.identity() == word

    shutil.rmtree(folder)
    with Workspace.open(folder) as made_anew:
        assert made_anew.identity() != word


def start_draft(workspace):
    target = workspace.targets.add(workspace.clips.list()[0].id)
    expression = workspace.expressions.add(target.id, "the steam", "ana")
    return workspace.drafts.start(expression.id, "rem-demo", "abc", 0, {})


def reopened_state(folder, draft):
    with Workspace.open(folder) as opened:
        return opened.drafts.get(draft.id).state


def give_to(file, draft, owner, days=0):
    """Make a draft one that `owner` began so many days ago."""
    stored = sqlite3.connect(file)
    stored.execute(
        "UPDATE draft SET owner = ?, created_at = created_at - ? WHERE id = ?",
        (owner, days * 24 * 3600, draft.id),
    )
    stored.commit()
    stored.close()


def owner_of(file, draft):
    stored = sqlite3.connect(file)
    (owner,) = stored.execute("SELECT owner FROM draft WHERE id = ?", (draft.id,)).fetchone()
    stored.close()
    return owner.split(":", 2)


def test_a_running_draft_stays_so_while_its_program_runs(workspace, folder):
    draft = start_draft(workspace)

    assert reopened_state(folder, draft) == "running"


def test_a_program_that_got_the_number_of_the_one_that_ended_is_not_taken_for_it(
    workspace, folder, file
):
    draft = start_draft(workspace)
    number, started, computer = owner_of(file, draft)

    give_to(file, draft, f"{number}:1{started}:{computer}")

    assert reopened_state(folder, draft) == "failed"


def test_a_clock_that_is_set_ends_no_running_draft(workspace, folder, monkeypatch):
    draft = start_draft(workspace)

    before = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda one: before(one) + 3600)

    assert reopened_state(folder, draft) == "running"


def test_a_draft_made_before_the_computer_was_started_anew_has_failed(workspace, folder, file):
    draft = start_draft(workspace)
    number, started, computer = owner_of(file, draft)
    start, space, _ = started.split("/")

    give_to(file, draft, f"{number}:{start}/{space}/00000000:{computer}")

    assert reopened_state(folder, draft) == "failed"


@pytest.mark.parametrize(("days", "state"), [(2, "running"), (4, "failed")])
def test_a_draft_of_another_computer_is_given_three_days(workspace, folder, file, days, state):
    draft = start_draft(workspace)
    _, started, computer = owner_of(file, draft)

    give_to(file, draft, f"{2**22 + 1}:{started}:{computer}-of-ben", days)

    assert reopened_state(folder, draft) == state


def test_a_draft_of_another_container_is_given_three_days(workspace, folder, file):
    draft = start_draft(workspace)
    number, started, computer = owner_of(file, draft)
    start, _, boot = started.split("/")

    give_to(file, draft, f"{number}:1{start}/1/{boot}:{computer}")

    assert reopened_state(folder, draft) == "running"
