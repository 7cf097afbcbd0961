"""Folders of work under way, each with who makes it: what a killed program left is told apart.

Beside `name` lies `.name.owner`, written before the folder and removed after it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotation_store.programs import FORGOTTEN_S, has_ended, this_program

log = logging.getLogger(__name__)

OLD_S = 24 * 3600.0
"""After this a folder is left behind that no owner is told of."""
WHAT = {"upload": "upload", "ingest": "import", "sample": "sample", ".": "export"}
"""What a folder's name begins with -> what it was to become."""


def begin(folder: Path) -> Path:
    """Make `folder`, which this program is going to fill."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _owner_of(folder).write_text(this_program(), encoding="utf-8")
    folder.mkdir()
    return folder


def end(folder: Path) -> None:
    """Remove `folder`, or only forget it where it was renamed away.

    What the system does not let go keeps its owner, and is tried again at a later start.
    """
    if _removed(folder):
        _removed(_owner_of(folder))


@contextmanager
def half_done(folder: Path) -> Iterator[Path]:
    """A folder of our own, gone afterwards unless it was renamed away."""
    try:
        yield begin(folder)
    finally:
        end(folder)


def clear(parents: list[Path]) -> str:
    """Remove what ended programs left half done in `parents`, and say what in a sentence; "" if
    there was nothing.

    What another program works on stays.
    """
    found: Counter[str] = Counter()
    for parent in parents:
        try:
            found.update(map(_kind, _left_in(parent)))
        except OSError as error:  # no reason to keep anybody from their work
            log.warning("what was half done cannot be looked for: %s", error)
    if not found:
        return ""
    counted = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in found.items()]
    sentence = (
        "Refscribe was ended in the middle of something; what was half done is removed: "
        f"{', '.join(counted)}. Start it again."
    )
    log.info(sentence)
    return sentence


def _left_in(parent: Path) -> Iterator[Path]:
    """Remove what is left in a folder, telling each that was there."""
    for path in sorted(parent.iterdir()):
        if path.name.endswith(".owner"):
            folder = parent / path.name.removeprefix(".").removesuffix(".owner")
            if _is_left(path, folder):
                there = folder.exists()
                end(folder)
                if there and not folder.exists():
                    yield folder
        elif (
            _is_half_done(path)
            and not _owner_of(path).exists()
            and _is_old(path)
            and _removed(path)
            and not path.name.startswith(".probe-")
        ):
            yield path


def _removed(path: Path) -> bool:
    """Remove a file or a folder; whether nothing of it is left."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("what was half done cannot be removed: %s", error)
        return False
    return True


def _is_left(owner: Path, folder: Path) -> bool:
    try:
        program = owner.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return _is_old(owner)
    if not program:
        return _is_old(owner)
    ended = has_ended(program)
    if ended is None:
        return all(_is_old(path, FORGOTTEN_S) for path in (owner, folder, *folder.rglob("*")))
    return ended


def _is_half_done(path: Path) -> bool:
    """Whether a path is of work under way: in `incoming` all, in `exports` by its name."""
    if path.parent.name == "exports":
        return path.name.startswith(".") and path.name.endswith(".partial")
    return True


def _is_old(path: Path, old_s: float = OLD_S) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > old_s
    except OSError:
        return False  # another program was faster, or nobody can tell


def _owner_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.owner")


def _kind(folder: Path) -> str:
    return next((what for begins, what in WHAT.items() if folder.name.startswith(begins)), "upload")
