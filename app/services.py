"""What the routes work with, made once when the program starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from annotation_store.workspace import Workspace
from app.live import Live
from app.settings import Settings
from app.work.jobs import Jobs
from app.workers.downloads import Downloads
from app.workers.worker import Worker

_TAB = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EDIT = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True)
class Services:
    """`models` is the worker that runs networks, `files` the one that reads and writes much;
    `downloads` fetches weights when a person asks for them."""

    settings: Settings
    workspace: Workspace
    live: Live
    jobs: Jobs
    models: Worker
    files: Worker
    downloads: Downloads

    def annotator(self, request: Request) -> str:
        """Who signs this request's edits: who logged in, or who the program was started for."""
        return str(request.scope.get("refscribe.annotator", self.settings.annotator))


def edit_of(request: Request) -> str:
    """The name a page gave its edit, under which it is done once; "" if it gave none."""
    name = request.headers.get("x-edit", "")
    return name if _EDIT.fullmatch(name) else ""


def tab_of(request: Request) -> str:
    """The browser tab a request came from; "" if it does not say."""
    tab = request.headers.get("x-tab", "")
    return tab if _TAB.fullmatch(tab) else ""
