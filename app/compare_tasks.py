"""What the store worker does for a comparison."""

from __future__ import annotations

from annotation_store.workspace import Workspace
from app.compare_numbers import boundaries
from app.worker_process import Tasks


def compare_tasks(workspace: Workspace) -> Tasks:
    """Tasks beside those of `tasks.store_tasks`."""
    del workspace
    return {"boundaries": boundaries}
