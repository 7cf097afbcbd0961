"""The page as it is built, before any browser: what it refers to exists; nothing leaves home."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import components
from tests.conftest import REPOSITORY

COMPONENTS = Path(components.__file__).parent
IMPORTED = re.compile(r"new URL\('studio/([\w/]+\.js)', document\.baseURI\)")


# Building Blocks leaves event loops and sockets behind: in a process of its own they end with it.
BUILD = """
import json
from app.page import build_page, mount_options
options = mount_options()
print(json.dumps({
    "page": build_page().get_config_file(),
    "head": options["head"],
    "fonts": options["theme"]._stylesheets,
}, default=str))
"""


@pytest.fixture(scope="module")
def built() -> Any:
    """The page's configuration, the head of the document, and the fonts the theme would fetch."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def config(built: Any) -> Any:
    return built["page"]


def scripts(config: Any) -> list[str]:
    """Every piece of JavaScript that Python hands to the browser."""
    handlers = [each["js"] for each in config["dependencies"] if each.get("js")]
    parts = [each["props"].get("js_on_load") for each in config["components"]]
    return [*handlers, *(part for part in parts if part)]


def test_every_module_the_page_imports_is_shipped_and_exports_what_is_called(
    config: Any,
) -> None:
    found = 0
    for script in scripts(config):
        for name in IMPORTED.findall(script):
            module = (COMPONENTS / name).read_text()
            found += 1
            for called in re.findall(r"\b(?:module|page)\.(\w+)\(", script):
                assert f"function {called}(" in module, (name, called)
    assert found >= 10


def test_every_part_named_in_python_is_known_to_the_browser(config: Any) -> None:
    known = re.search(
        r"const PARTS = \{(.*?)\};", (COMPONENTS / "studio/page.js").read_text(), re.S
    )
    assert known is not None
    named = set(re.findall(r"mountPart\('(\w+)'", "\n".join(scripts(config))))

    assert named == set(re.findall(r"(\w+):", known.group(1)))


def test_no_button_goes_through_gradios_queue(config: Any) -> None:
    for dependency in config["dependencies"]:
        assert dependency["backend_fn"] is False, dependency


def test_stylesheets_are_ours_and_no_font_or_file_comes_from_another_host(built: Any) -> None:
    sheets = re.findall(r'href="studio/([^"]+)"', built["head"])

    assert sheets
    for sheet in sheets:
        assert (COMPONENTS / sheet).is_file(), sheet
    assert built["fonts"] == []
    for path in [*COMPONENTS.rglob("*.css"), *COMPONENTS.rglob("*.js")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path


def test_browser_modules_never_turn_text_into_markup() -> None:
    for path in COMPONENTS.rglob("*.js"):
        text = path.read_text()
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text, (path.name, way)


def test_both_themes_define_the_same_colours_and_fields_stand_out() -> None:
    text = (COMPONENTS / "studio/theme.css").read_text()
    light, dark = (block(text, start) for start in (":root {\n  color-scheme", ".dark {"))

    assert set(light) == set(dark)
    for colours in (light, dark):
        for words, ground, least in [
            ("--rs-text", "--rs-panel", 7.0),
            ("--rs-text", "--rs-chosen", 4.5),
            ("--rs-muted", "--rs-panel", 4.5),
            ("--rs-muted", "--rs-raised", 4.5),
            ("--rs-muted", "--rs-chosen", 4.5),
            ("--rs-on-accent", "--rs-accent", 4.5),
            ("--rs-on-target", "--rs-target", 4.5),
            ("--rs-on-draft", "--rs-draft", 4.5),
            ("--rs-bad", "--rs-panel", 4.5),
            ("--rs-warn", "--rs-warn-soft", 4.5),
            ("--rs-ok", "--rs-panel", 4.5),
            ("--rs-field", "--rs-panel", 3.0),
        ]:
            assert contrast(colours[words], colours[ground]) >= least, (words, ground)


def block(text: str, start: str) -> dict[str, str]:
    """The colours (#rrggbb) that the rule beginning with `start` defines."""
    rule = text[text.index(start) :]
    return dict(re.findall(r"(--rs-[\w-]+): (#[0-9a-f]{6});", rule[: rule.index("}")]))


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21, as WCAG 2 defines it.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, 0 to 1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
