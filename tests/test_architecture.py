"""The arrows of the house: app -> model, app -> annotation_store, all -> video_types."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
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


ROOMS_MAY_IMPORT = {
    "app.routes": {"app.work", "app.workers", "app.comparing"},
    "app.work": {"app.workers"},
    "app.workers": {"app.comparing"},
    "app.comparing": set(),
    "app.components": set(),
    "model.segmenters": set(),
    "model.refiners": set(),
    "model.synthetic": set(),
    "model.training": {"model.segmenters", "model.synthetic"},
    "annotation_store.formats": set(),
}
"""Rooms of the same package that a room may look into."""


def imported_modules(path: Path) -> set[str]:
    """Full names of everything `path` imports, wherever in the file; also what may be a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(path: Path) -> set[str]:
    """Top-level names of everything `path` imports."""
    return {name.split(".")[0] for name in imported_modules(path)}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


def arrows(package: str) -> dict[str, set[str]]:
    """Which modules of `package` each of its modules imports."""
    paths = {module_name(path): path for path in modules_of(package) if path.stem != "__init__"}
    return {name: imported_modules(path) & (paths.keys() - {name}) for name, path in paths.items()}


def modules_of(package: str) -> list[Path]:
    folder = REPOSITORY / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [REPOSITORY / f"{package}.py"]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_between_packages_point_one_way(package):
    for module in modules_of(package):
        imported = imported_packages(module)

        assert imported & OURS <= MAY_IMPORT[package], module
        assert not imported & FORBIDDEN_LIBRARIES[package], module


@pytest.mark.parametrize("room", ROOMS_MAY_IMPORT)
def test_a_room_looks_only_into_the_rooms_below_it(room):
    package, _, folder = room.partition(".")
    for path in modules_of(f"{package}/{folder}"):
        for name in imported_modules(path):
            other = ".".join(name.split(".")[:2])
            if not other.startswith(f"{package}.") or other not in ROOMS_MAY_IMPORT:
                continue

            assert other in {room, *ROOMS_MAY_IMPORT[room]}, f"{path.name} imports {name}"


def test_no_route_imports_a_route():
    serving = {
        module_name(path)
        for path in modules_of("app/routes")
        if re.search(r"^def \w+_routes\(", path.read_text(), re.M)
    }

    assert len(serving) >= 11
    for name, imported in arrows("app").items():
        if name in serving:
            assert not imported & serving, name


@pytest.mark.parametrize("package", ["app", "model", "annotation_store"])
def test_no_imports_run_in_a_circle(package):
    try:
        TopologicalSorter(arrows(package)).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


@pytest.mark.parametrize(
    "module",
    [
        "launch",
        "app.server",
        "app.workers.model_tasks",
        "app.workers.store_tasks",
        "annotation_store.workspace",
    ],
)
def test_the_web_process_and_the_store_load_neither_torch_nor_gradio(module):
    program = (
        f"import {module}, sys; sys.exit(', '.join({{'torch', 'gradio'}} & set(sys.modules)) or 0)"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stderr
