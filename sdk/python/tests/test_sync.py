"""The blocking half is generated from the asynchronous one: here each of its parts is used once."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import IMAGE
from sandkeep import CommandFailed, NotFound
from sandkeep.sync import Client, Sandbox


def test_commands(blocking_sb: Sandbox) -> None:
    seen: list[str] = []
    done = blocking_sb.run("echo out; echo err >&2; exit 3", on_stdout=seen.append, on_stderr=seen.append)
    assert (done.stdout, done.stderr, done.exit_code, sorted(seen)) == ("out\n", "err\n", 3, ["err\n", "out\n"])
    assert blocking_sb.run("cat", stdin=io.BytesIO(b"hello")).stdout == "hello"
    assert [event.text for event in blocking_sb.stream("echo a")] == ["a\n"]
    with pytest.raises(CommandFailed):
        blocking_sb.run("false", check=True)
    with blocking_sb.stream("echo up; cat", stdin=True) as process:
        assert next(process).text == "up\n"
        process.write("typed\n", close=True)
        assert process.wait().stdout == "up\ntyped\n"


def test_leaving_a_stream_ends_the_command(blocking_sb: Sandbox) -> None:
    with blocking_sb.stream("echo up; sleep 1000") as process:
        next(process)
    for _ in range(1200):
        if not (status := process.status()).running:
            break
        time.sleep(0.05)
    assert status.exit_code == 128 + 15


def test_code(blocking_sb: Sandbox) -> None:
    assert blocking_sb.code.python("6 * 7").text == "42"
    with blocking_sb.code.context() as context:
        assert context.run("x = 1; x").text == "1"
    with pytest.raises(NotFound):
        blocking_sb.code.get(context.id)


def test_files(blocking_sb: Sandbox, place: str, tmp_path: Path) -> None:
    def come() -> Iterator[bytes]:
        yield from (b"a", b"b")

    files = blocking_sb.files
    files.write(f"{place}/f", come())
    files.write(f"{place}/g", "text")
    assert files.read(f"{place}/f") == b"ab"
    with files.open(f"{place}/g") as stream:
        assert b"".join(stream) == b"text"
    assert files.download_tree(place, tmp_path / "back").entries == 2
    assert files.upload_tree(tmp_path / "back", f"{place}/again").bytes == 6
    with files.watch(place) as changes:
        files.mkdir(f"{place}/new")
        assert any(change.path == f"{place}/new" for change in iter(lambda: next(changes), None))


def test_shells(blocking_sb: Sandbox, place: str) -> None:
    with blocking_sb.sessions.create() as session:
        session.run("x=1", check=True)
        assert session.run("echo $x").stdout == "1\n"
    with blocking_sb.terminals.create() as terminal:
        terminal.write("echo $((40 + 2)); exit 5\n")
        assert b"42" in b"".join(terminal) and terminal.exit_code == 5
    blocking_sb.files.mkdir(place)
    with blocking_sb.isolated.create(place, mode="overlay") as isolated:
        isolated.run("echo x > x", check=True)
        assert isolated.files.read_text(f"{place}/x") == "x\n"
    assert not blocking_sb.files.exists(f"{place}/x")


def test_the_server() -> None:
    with Client() as client:
        sb = Sandbox.create(IMAGE, client=client)
        with client.events(sandboxes=[sb.id], after=0) as events:
            assert next(events).sandbox_id == sb.id
        assert sb.id in [one.id for one in client.all()]
        with sb.tunnel(44772) as tunnel:
            tunnel.send(b"GET /ping HTTP/1.0\r\n\r\n")
            assert tunnel.receive().startswith(b"HTTP/1.")
        with Sandbox.connect(sb.id, client=client) as again:
            again.delete()
        with pytest.raises(NotFound):
            client.get(sb.id)
