"""The arrows of the house: app -> model, app -> annotation_store, all -> video_types."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MAY_IMPORT = {
    "video_types": set(),
    "model": {"model", "video_types"},
    "annotation_store": {"annotation_store", "video_types"},
    "app": {"app", "model", "annotation_store", "video_types"},
}
OURS = {"app", "model", "annotation_store", "video_types", "launch", "benchmarks", "tests"}
FORBIDDEN_LIBRARIES = {
    "video_types": {"torch", "gradio", "sqlalchemy", "cv2"},
    "model": {"gradio", "sqlalchemy", "fastapi"},
    "annotation_store": {"torch", "gradio", "fastapi", "transformers", "diffusers"},
    "app": set(),
}


def imported_packages(path: Path) -> set[str]:
    """Top-level names of everything `path` imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def modules_of(package: str) -> list[Path]:
    folder = REPOSITORY / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [REPOSITORY / f"{package}.py"]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_between_packages_point_one_way(package):
    for module in modules_of(package):
        imported = imported_packages(module)

        assert imported & OURS <= MAY_IMPORT[package], module
        assert not imported & FORBIDDEN_LIBRARIES[package], module


@pytest.mark.parametrize("package", ["model", "annotation_store", "app", "launch"])
def test_importing_a_package_loads_neither_torch_nor_gradio(package):
    program = (
        f"import {package}, sys; sys.exit(', '.join({{'torch', 'gradio'}} & set(sys.modules)) or 0)"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stderr
