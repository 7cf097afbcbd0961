"""Starting and ending: one sentence when it cannot be, and gone when it should be."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess

import psutil
import pytest
from websockets.sync.client import connect

import launch
from annotation_store.workspace import Workspace
from tests.app.conftest import launch_command, start_server, stop_server, wait_for
from tests.conftest import REPOSITORY


def refused(*flags, environment=None):
    """What launch.py says on stderr when it does not start."""
    ran = subprocess.run(
        launch_command(*flags),
        cwd=REPOSITORY,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2, ran
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    return ran.stderr.strip()


def test_a_taken_port_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = refused("--workspace", str(tmp_path / "w"), "--port", str(port))

    assert said == (
        f"Port {port} is taken, perhaps by another Refscribe. Choose another with --port."
    )


def test_a_workspace_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")

    said = refused("--workspace", str(tmp_path / "file" / "w"))

    assert said.startswith("The workspace folder")
    assert "\n" not in said


def test_a_workspace_of_a_newer_program_is_one_sentence(tmp_path):
    with Workspace.open(tmp_path / "w"):
        pass
    database = sqlite3.connect(tmp_path / "w" / "refscribe.sqlite")
    database.execute("UPDATE facts SET value = '999' WHERE name = 'schema_version'")
    database.commit()
    database.close()

    said = refused("--workspace", str(tmp_path / "w"))

    assert said.startswith("This workspace was made by a newer Refscribe")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "--login"),
        (["--login", "ana"], "a colon and a password"),
        (["--login", ":secret"], "a colon and a password"),
        (["--segmenter", "magic"], "There is no segmenter “magic”"),
        (["--refiner", "rem-demo"], "There is no refiner “rem-demo”"),
        (["--port", "70000"], "A port is a number"),
        (["--media", "/no/such/folder"], "There is no folder"),
        (["--weights", "/no/such/file"], "There are no weights"),
        (["--weights", "rem=/no/such/file"], "There are no weights"),
        (["--weights", f"magic={__file__}"], "There are no weights at magic="),
        (["--weights", __file__, "--weights", __file__], "all --weights but one"),
        (["--weights", f"rem={__file__}", "--weights", f"rem={__file__}"], "rename one"),
    ],
)
def test_flags_that_do_not_fit_are_refused(tmp_path, flags, words):
    with pytest.raises(launch.CannotStartError, match=words):
        launch.read_settings(["--workspace", str(tmp_path), *flags], {})

    assert list(tmp_path.iterdir()) == [], "nothing was made"


def test_further_weights_are_segmenters_of_their_own(tmp_path):
    for name in ("early.pt", "late.pt", "step=20.pt"):
        (tmp_path / name).touch()
    flags = ["--weights", f"rem={tmp_path}/early.pt", "--weights", f"rem={tmp_path}/late.pt"]

    settings = launch.read_settings(
        ["--segmenter", "rem", "--weights", f"{tmp_path}/step=20.pt", *flags], {}
    )

    assert settings.checkpoint_names == ("rem:early", "rem:late")
    assert settings.weights_for("rem:late") == tmp_path / "late.pt"
    assert settings.weights_for("rem") == tmp_path / "step=20.pt"
    assert settings.weights_for("vdit") is None


def test_logins_come_from_flags_a_file_and_the_environment(tmp_path):
    file = tmp_path / "logins.txt"
    file.write_bytes("\ufeffcem: mit Leerzeichen\r\n\r\ndörte:ß\n".encode())
    flags = ["--workspace", str(tmp_path), "--host", "0.0.0.0", "--login", "ana:a:b"]

    settings = launch.read_settings(
        [*flags, "--login-file", str(file)], {"REFSCRIBE_LOGIN": "ben:c"}
    )

    assert [(one.name, one.password) for one in settings.logins] == [
        ("ana", "a:b"),
        ("cem", " mit Leerzeichen"),
        ("dörte", "ß"),
        ("ben", "c"),
    ]
    assert "a:b" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\xff\xfe\x00", "cannot be read (it is no text)"),
        (b"\n \n", "holds no login; expected NAME:PASSWORD on each line"),
        (b"ana:Zauberwort\nhush\n", "Line 2 of"),
    ],
)
def test_a_file_that_holds_no_logins_is_one_sentence_that_tells_no_password(
    tmp_path, content, sentence
):
    file = tmp_path / "logins.txt"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(launch.CannotStartError) as caught:
        launch.read_settings(["--workspace", str(tmp_path), "--login-file", str(file)], {})

    assert sentence in str(caught.value)
    assert "Zauberwort" not in str(caught.value)
    assert "hush" not in str(caught.value)


def workers_of(server):
    """Every process the server started; both workers are among them once it says so."""

    def look():
        children = psutil.Process(server.process.pid).children(recursive=True)
        return children if len(children) >= 2 else None

    return wait_for(look, "two workers", 30)


def test_ctrl_c_ends_it_while_a_page_listens_and_leaves_no_process(tmp_path):
    server = start_server(tmp_path / "w")
    children = workers_of(server)

    with connect(server.url.replace("http", "ws") + "/api/live"):
        stop_server(server)  # fails when it takes longer than a busy machine explains

    assert server.process.returncode == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_workers_end_when_the_server_is_killed(tmp_path):
    server = start_server(tmp_path / "w")
    children = workers_of(server)

    server.process.kill()
    server.process.wait()
    server.process.stdout.close()

    wait_for(lambda: not any(child.is_running() for child in children), "the end of all", 10)


def test_no_process_shows_a_password_of_a_file_or_tells_one_of_the_environment(tmp_path):
    file = tmp_path / "logins.txt"
    file.write_text("ana:Zauberwort\n")
    environment = {"REFSCRIBE_LOGIN": "ben:Losungswort"}
    server = start_server(tmp_path / "w", "--login-file", str(file), environment=environment)
    try:
        children = workers_of(server)
        shown = [
            part
            for one in [psutil.Process(server.process.pid), *children]
            for part in one.cmdline()
        ]
        passed_on = [value for child in children for value in child.environ().values()]
        assert server.ask("/api/clips").status == 401
    finally:
        stop_server(server)

    assert not any("Zauberwort" in text or "Losungswort" in text for text in shown + passed_on)


def test_with_a_login_the_server_asks_for_it(tmp_path):
    server = start_server(tmp_path / "w", "--login", "ana:secret")
    try:
        assert server.ask("/api/clips").status == 401
        assert server.ask("/config").status == 401
        assert server.ask("/gradio_api/info").status == 401
        page = server.ask("/", headers={"Accept": "text/html"})
        assert b"password" in page.body
    finally:
        stop_server(server)
