"""Starts Refscribe: `python launch.py`, then annotate in the browser.  `--help` names the flags."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from app.settings import VERSION, Login, Settings, default_annotator, default_workspace

REFUSED = 2
LOGIN_VARIABLE = "REFSCRIBE_LOGIN"


class CannotStartError(Exception):
    """Refscribe cannot start; the text is a sentence for the person."""


def parser() -> argparse.ArgumentParser:
    """Every flag; the README names the same."""
    default = Settings(Path())
    flags = argparse.ArgumentParser(
        prog="python launch.py",
        description="An annotation studio for referring video segmentation, in the browser.",
    )
    flags.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="folder of the dataset, made if there is none; default: your data folder",
    )
    flags.add_argument(
        "--host",
        default=default.host,
        help=f"address to listen on; default {default.host}, which only this machine reaches",
    )
    flags.add_argument(
        "--port", type=int, default=default.port, help=f"default {default.port}; 0 for any free one"
    )
    flags.add_argument(
        "--annotator",
        metavar="NAME",
        help="who signs expressions and edits; default: your name on this system",
    )
    flags.add_argument(
        "--segmenter", default=default.segmenter, metavar="NAME", help="chosen at first"
    )
    flags.add_argument("--refiner", default=default.refiner, metavar="NAME", help="chosen at first")
    flags.add_argument(
        "--device",
        default=default.device,
        help="where networks run: auto, cpu, cuda, cuda:1, mps; default auto",
    )
    flags.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="take the segmenter's weights from here; with a segmenter's NAME, offer these weights "
        "beside its own, as often as wanted",
    )
    flags.add_argument(
        "--media",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="offer the videos and frame folders in DIR on the page; as often as wanted",
    )
    flags.add_argument(
        "--login",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="ask for a login, as often as there are people; the name signs their work. Others on "
        "this machine can read a command line: --login-file keeps passwords out of it, and so does "
        f"{LOGIN_VARIABLE} in the environment",
    )
    flags.add_argument(
        "--login-file",
        type=Path,
        metavar="FILE",
        help="ask for a login, NAME:PASSWORD on each line of a text file",
    )
    flags.add_argument(
        "--no-login",
        action="store_true",
        help="let everybody in who can reach --host; without it such a host needs a --login",
    )
    flags.add_argument(
        "--features-gb",
        type=float,
        default=default.features_bytes / 2**30,
        metavar="N",
        help="room in the workspace for features of frames, which save time; default 4, 0 for none",
    )
    flags.add_argument("--no-browser", action="store_true", help="do not open the browser")
    flags.add_argument("--version", action="version", version=f"Refscribe {VERSION}")
    return flags


def read_settings(arguments: Sequence[str] | None, environment: dict[str, str]) -> Settings:
    """Settings out of the command line and the environment.

    Raises:
        CannotStartError: they do not fit together.
    """
    given = parser().parse_args(arguments)
    logins = [_login(text) for text in given.login]
    if given.login_file is not None:
        logins += _logins_in(given.login_file)
    if environment.get(LOGIN_VARIABLE):
        logins.append(_login(environment[LOGIN_VARIABLE]))
    settings = Settings(
        workspace=(given.workspace or default_workspace()).expanduser().absolute(),
        host=given.host,
        port=given.port,
        annotator=given.annotator or default_annotator(),
        segmenter=_known("segmenter", given.segmenter),
        refiner=_known("refiner", given.refiner),
        device=given.device,
        weights=_own_weights(given.weights),
        checkpoints=_checkpoints(given.weights),
        media=tuple(_media_folder(folder) for folder in given.media),
        logins=tuple(logins),
        open_browser=not given.no_browser,
        features_bytes=int(given.features_gb * 2**30) if 0 <= given.features_gb < 2**20 else -1,
    )
    if settings.features_bytes < 0:
        raise CannotStartError(f"--features-gb is 0 or more, not {given.features_gb:g}.")
    if not 0 <= settings.port <= 65535:
        raise CannotStartError(f"A port is a number from 0 to 65535, not {settings.port}.")
    if not settings.is_loopback and not settings.logins and not given.no_login:
        raise CannotStartError(
            f"Others can reach {settings.host}: name who may come in with --login-file FILE or "
            "--login NAME:PASSWORD, or say --no-login."
        )
    return settings


def _own_weights(given: Sequence[str]) -> Path | None:
    """Of --weights, the path without a name: the chosen segmenter's."""
    paths = [_existing(Path(text)) for text in given if _named(text) is None]
    if len(paths) > 1:
        raise CannotStartError("Name the segmenter of all --weights but one: NAME=PATH.")
    return paths[0] if paths else None


def _checkpoints(given: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Of --weights, those with a name: further segmenters and where their weights are."""
    from model.catalog import checkpoint_name

    found: dict[str, Path] = {}
    for text in given:
        named = _named(text)
        if named is None:
            continue
        path = _existing(named[1])
        name = checkpoint_name(named[0], path)
        if name in found:
            raise CannotStartError(
                f"Two weights would be called “{name}”; rename one of the files."
            )
        found[name] = path
    return tuple(found.items())


def _named(text: str) -> tuple[str, Path] | None:
    """NAME=PATH apart; None for a path, which may hold an equals sign as well."""
    from model import catalog

    name, with_name, place = text.partition("=")
    names = [entry.name for entry in catalog.entries() if entry.kind == "segmenter"]
    return (name, Path(place)) if with_name and name in names else None


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CannotStartError(f"There are no weights at {path}.")
    return path.absolute()


def _known(kind: str, name: str) -> str:
    from model import catalog

    names = [entry.name for entry in catalog.entries() if entry.kind == kind]
    if name not in names:
        raise CannotStartError(f"There is no {kind} “{name}”; there are {', '.join(names)}.")
    return name


def _login(text: str) -> Login:
    name, colon, password = text.partition(":")
    if not (name.strip() and colon and password):
        raise CannotStartError("A login is a name, a colon and a password, such as ana:secret.")
    return Login(name.strip(), password)


def _logins_in(file: Path) -> list[Login]:
    """The logins of a text file, one a line; empty lines are left out."""
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CannotStartError(f"The logins in {file} cannot be read ({reason}).") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_login(line))
        except CannotStartError as error:
            raise CannotStartError(f"Line {number} of {file} is no login. {error}") from error
    if not found:
        raise CannotStartError(f"{file} holds no login; expected NAME:PASSWORD on each line.")
    return found


def _media_folder(folder: Path) -> Path:
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise CannotStartError(f"There is no folder {folder} to take media from.")
    return folder


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port`.

    Raises:
        CannotStartError: somebody else has the port, or this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With its protocol said, asyncio sets TCP_NODELAY: small answers come 40 ms sooner.
        bound = socket.socket(family, kind, protocol)
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStartError(
                f"Port {port} is taken, perhaps by another Refscribe. Choose another with --port."
            ) from error
        raise CannotStartError(
            f"Refscribe cannot listen on {host}, port {port} ({error.strerror or error})."
        ) from error
    return bound


def serve(settings: Settings) -> None:
    """Run until Ctrl-C.

    Raises:
        CannotStartError, StoreError: before anything is served.
    """
    from annotation_store.database import ANSWERED_IN_S
    from annotation_store.workspace import Workspace

    with Workspace.open(settings.workspace, patience_s=ANSWERED_IN_S) as workspace:
        bound = listen(settings.host, settings.port)
        port = bound.getsockname()[1]
        # Gradio takes seconds to import; whatever can go wrong has gone wrong before.
        import dataclasses

        import uvicorn

        from app.server import create_app

        settings = dataclasses.replace(settings, port=port)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{'localhost' if shown in ('0.0.0.0', '[::]') else shown}:{port}/"

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets=sockets)
                if self.started:
                    print(f"Refscribe is open at {url} (Ctrl-C ends it)", flush=True)
                    if settings.open_browser:
                        webbrowser.open(url)

        config = uvicorn.Config(
            create_app(settings, workspace),
            log_level="warning",
            access_log=False,
            # A page that is left open would keep the server from ending.
            timeout_graceful_shutdown=1,
            ws_max_size=2**16,
        )
        Server(config).run(sockets=[bound])


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Refscribe; 2 when it cannot start, and why stands on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from annotation_store.errors import StoreError

    try:
        settings = read_settings(arguments, dict(os.environ))
        os.environ.pop(LOGIN_VARIABLE, None)  # the processes beside this one need no password
        serve(settings)
    except (CannotStartError, StoreError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
