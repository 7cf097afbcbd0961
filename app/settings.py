"""Every default of the program, once."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

VERSION = "0.1.0"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Login:
    """A name and password that open the page; the name signs the person's edits."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """What launch.py was told; the other processes get it `without_logins`.

    Attributes:
        workspace: the folder of the dataset.
        port: 0 lets the system choose.
        annotator: signs edits where nobody logs in.
        device: "auto", "cpu", or a name torch knows.
        weights: a folder or file to take the segmenter's weights from; None for the usual places.
        checkpoints: further weights, each an engine of its own: its name in the catalog, the path.
        media: folders whose videos the page may offer.
        logins: empty where no login is asked for.
        features_bytes: room on disk for features of frames, 0 to keep none.
    """

    workspace: Path
    host: str = "127.0.0.1"
    port: int = 7860
    annotator: str = "annotator"
    segmenter: str = "rem-demo"
    refiner: str = "mobile-sam"
    device: str = "auto"
    weights: Path | None = None
    checkpoints: tuple[tuple[str, Path], ...] = ()
    media: tuple[Path, ...] = ()
    logins: tuple[Login, ...] = ()
    open_browser: bool = True
    features_bytes: int = 4 * 2**30
    max_upload_bytes: int = 8 * 2**30
    max_body_bytes: int = 64 * 2**20

    def weights_for(self, name: str) -> Path | None:
        """Where the engine called `name` is to take its weights; None for the usual places."""
        return dict(self.checkpoints).get(name, self.weights if name == self.segmenter else None)

    def without_logins(self) -> Settings:
        """What a process needs that talks to nobody."""
        return replace(self, logins=())

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """The engines that `checkpoints` add to the catalog."""
        return tuple(name for name, _ in self.checkpoints)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOOPBACK_NAMES


def default_workspace() -> Path:
    """The workspace in the place where this system keeps a person's data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("refscribe", appauthor=False)) / "workspace"


def default_annotator() -> str:
    """The name this system knows the person by."""
    try:
        return getpass.getuser() or "annotator"
    except (OSError, KeyError):  # no such user in a container
        return os.environ.get("USER") or "annotator"
