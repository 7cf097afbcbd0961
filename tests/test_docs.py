"""The README lists what the program has: flags, keys, export formats, engines, folders."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

import launch
from annotation_store import export
from model import catalog
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def rows_between(text: str, start: str, end: str) -> list[list[str]]:
    """Cells of the table rows between two marks."""
    part = text.split(start)[1].split(end)[0]
    rows = [
        line.strip().strip("|").split("|") for line in part.splitlines() if line.startswith("|")
    ]
    return [[cell.strip() for cell in row] for row in rows if not set(row[0]) <= {"-", " "}]


def test_every_flag_of_the_program_is_in_the_readme_and_no_other():
    flags = {
        option
        for action in launch.parser()._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }

    section = README.split("## Flags")[1].split("##")[0]
    listed = {
        flag
        for row in re.findall(r"^\| (`[^|]+) \|", section, re.M)
        for flag in re.findall(r"`(--[a-z-]+)", row)
    }

    assert listed == flags


def test_the_readme_lists_the_keys_of_the_page():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    keys = (REPOSITORY / "app" / "components" / "shared" / "keys.js").as_uri()
    program = (
        f"import({keys!r}).then(({{ TABLE, spell }}) => console.log(JSON.stringify("
        "TABLE.map((row) => [row.pointer ? row.key : spell(row.key), row.label]))))"
    )
    ran = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True)
    table = json.loads(ran.stdout)

    listed = rows_between(README, "<!-- keys -->", "<!-- /keys -->")[1:]

    assert [[cell.replace("`", "") for cell in row] for row in listed] == table


def test_the_readme_lists_every_export_format():
    section = README.split("## Export")[1].split("##")[0]

    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.M)) == set(export.FORMATS)


def test_the_readme_names_every_engine():
    for entry in catalog.entries():
        family = re.sub(r"-(tiny|small|base-plus|large)$", "-*", entry.name)
        assert f"`{family}`" in README, entry.name


def places_in_the_readme() -> set[str]:
    """Paths in the tree of "Where things are"; two blanks deeper is one folder further in."""
    tree = README.split("## Where things are")[1].split("```")[1]
    places: set[str] = set()
    above: list[str] = []
    for line in tree.strip("\n").splitlines():
        name = line.split()[0]
        above[(len(line) - len(line.lstrip())) // 2 :] = [name]
        places.add("".join(above))
    return places


def test_every_place_the_readme_names_is_there():
    for place in places_in_the_readme():
        path = REPOSITORY / place

        assert path.is_dir() if place.endswith("/") else path.is_file(), place


@pytest.mark.parametrize("card", ["rem", "vdit"])
def test_every_place_a_card_names_is_there(card):
    text = (REPOSITORY / "model" / "demo" / card / "README.md").read_text()

    for place in re.findall(r"`(\w+/[\w./]*)`", text):
        assert (REPOSITORY / place).exists(), place


@pytest.mark.parametrize("package", ["app", "model", "annotation_store"])
def test_the_readme_names_every_folder_of_the_packages(package):
    code = [path for ending in ("py", "js") for path in (REPOSITORY / package).rglob(f"*.{ending}")]
    folders = {f"{path.parent.relative_to(REPOSITORY).as_posix()}/" for path in code}

    assert folders <= places_in_the_readme()
