"""Fetching planned files into the Hugging Face cache: what is not whole never counts.

Loads no torch.  `fetch` uses the network, and only what a person asked for calls it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model.hub import Download, cache_folder, reaching, repository_folder
from model.segmenter import ModelError

Say = Callable[[int, int, str], None]
"""Hears how far it is: bytes here, bytes in all, and what is done just now."""

LOOK_S = 0.25
SPARE_BYTES = 200_000_000
"""A disk filled to the last byte stops everything else on the machine."""
LOCK_WAIT_S = 0.1


def fetch(downloads: Sequence[Download], say: Say | None = None) -> None:
    """Download into the Hugging Face cache; files that are there already are not fetched again.

    A repository changes its state once every file is here and is what the hub states; until then,
    and when this is cut short or killed, the last state stands.

    Raises:
        ModelError: the hub cannot be reached, or refuses, the disk is too full, or a file is not
            what the hub states.
    """
    from huggingface_hub import hf_hub_download

    clear_leftovers({one.repository for one in downloads})
    missing = [one for one in downloads if not _is_here(one)]
    require_room(sum(one.size_bytes for one in missing))
    total = sum(one.size_bytes for one in downloads)
    done = total - sum(one.size_bytes for one in missing)
    for one in missing:
        with _watched(one, done, total, say), reaching(one.repository):
            path = hf_hub_download(one.repository, one.file, revision=one.revision)
        done += one.size_bytes
        if say is not None:
            say(done, total, f"Checking {one.file}")
        _require_as_stated(Path(path), one)
    for repository, revision in {one.repository: one.revision for one in downloads}.items():
        _settle(repository, revision)


def free_bytes() -> int:
    """Room on the disk of the cache, which need not be there yet."""
    folder = cache_folder().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_room(needed_bytes: int) -> None:
    """Raises ModelError where the disk of the cache has no room for so much."""
    free = free_bytes()
    if needed_bytes and needed_bytes + SPARE_BYTES > free:
        raise ModelError(
            f"The disk is too full: {needed_bytes / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB "
            f"are free at {cache_folder()}. Make room there, or name a folder on another disk in "
            "HF_HOME, then try again."
        )


def clear_leftovers(repositories: Iterable[str]) -> None:
    """Remove what killed downloads left behind and nobody can use.

    A download holds a lock of its file; one under way in another program is left alone, and so is
    a part that the library goes on with by itself, which has the plain name of its file.
    """
    for repository in repositories:
        folder = repository_folder(repository)
        for part in folder.glob("blobs/*.*.incomplete"):
            lock = cache_folder() / ".locks" / folder.name / f"{part.name.split('.')[0]}.lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
            _remove_unless_held(part, lock)


def _remove_unless_held(part: Path, lock: Path) -> None:
    from huggingface_hub.utils._fixes import WeakFileLock

    try:
        with WeakFileLock(lock, timeout=LOCK_WAIT_S):
            part.unlink(missing_ok=True)
    except (TimeoutError, OSError):
        return


def _is_here(one: Download) -> bool:
    return (repository_folder(one.repository) / "snapshots" / one.revision / one.file).exists()


@contextmanager
def _watched(one: Download, done: int, total: int, say: Say | None) -> Iterator[None]:
    """Say how large the file has grown on the disk, until the end."""
    if say is None:
        yield
        return
    over = threading.Event()
    blobs = repository_folder(one.repository) / "blobs"

    def watch() -> None:
        while True:
            parts = [_written(path) for path in blobs.glob(f"{one.sha256}*.incomplete")]
            here = max(parts, default=0) if one.sha256 else 0
            say(done + min(here, one.size_bytes), total, "")
            if over.wait(LOOK_S):
                return

    watching = threading.Thread(target=watch, name="download watcher", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _written(path: Path) -> int:
    """Bytes of a file that are on the disk: one that was made at its full size is still empty."""
    try:
        facts = path.stat()
    except OSError:
        return 0
    blocks = getattr(facts, "st_blocks", None)
    return facts.st_size if blocks is None else min(facts.st_size, blocks * 512)


def _require_as_stated(path: Path, one: Download) -> None:
    size = path.stat().st_size
    if one.size_bytes and size != one.size_bytes:
        wrong = f"{size} bytes instead of {one.size_bytes}"
    elif one.sha256 and _sha256(path) != one.sha256:
        wrong = "another SHA-256 than the hub states"
    else:
        return
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise ModelError(
        f"{one.file} of {one.repository} arrived damaged, with {wrong}, and was removed. Try again."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settle(repository: str, revision: str) -> None:
    """Make `revision` the state of a repository that is looked for, in one step."""
    if revision == "main":
        return  # the hub named no revision, and the library keeps the name by itself
    name = repository_folder(repository) / "refs" / "main"
    name.parent.mkdir(parents=True, exist_ok=True)
    aside = name.with_name(f"main.{os.getpid()}.new")
    aside.write_text(revision, encoding="utf-8")
    os.replace(aside, name)
