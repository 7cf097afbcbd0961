"""Fixtures every part of the suite uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# A suite that leaves the machine for a font, a counter or a model is broken.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# As in the model process, before torch is imported: threads that spin slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and golden numbers, which is not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real clips and golden numbers is not beside the project")
    return SHARED
