from __future__ import annotations

import asyncio

import pytest

from sandkeep import CommandFailed, NotFound, Sandbox, StreamBroken

pytestmark = pytest.mark.anyio

LONG = 1000
"""Seconds that no test waits out."""


async def until_ended(sb: Sandbox, id: str) -> int | None:
    """Exit code of a command that ends soon."""
    for _ in range(1200):
        status = await sb.commands.get(id).status()
        if not status.running:
            return status.exit_code
        await asyncio.sleep(0.05)
    raise AssertionError(f"{id} goes on")


async def test_output_and_exit_code(sb: Sandbox) -> None:
    done = await sb.run("echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 3)
    assert not done.ok and not done.timed_out and done.error is None and done.id
    assert (await sb.run("true")).ok


async def test_arguments_need_no_quoting(sb: Sandbox) -> None:
    done = await sb.run(["printf", "%s|", "a b", "$HOME", "'"])
    assert done.stdout == "a b|$HOME|'|"


async def test_directory_environment_and_user(sb: Sandbox) -> None:
    done = await sb.run(
        'echo "$PWD $GREETING $(id -u):$(id -g)"', cwd="/tmp", env={"GREETING": "hi"}, user=(1234, 1235)
    )
    assert done.stdout == "/tmp hi 1234:1235\n"


async def test_a_time_limit_ends_it(sb: Sandbox) -> None:
    done = await sb.run(f"sleep {LONG}", timeout=0.5)
    assert (done.timed_out, done.exit_code) == (True, -1)
    with pytest.raises(ValueError, match="time limit"):
        await sb.run("true", timeout=0)


async def test_what_cannot_start_says_why(sb: Sandbox) -> None:
    done = await sb.run(["no-such-program"])
    assert done.exit_code == 255 and "no-such-program" in (done.error or "")


async def test_check_raises(sb: Sandbox) -> None:
    with pytest.raises(CommandFailed, match="exit code 2: sorry") as failed:
        await sb.run("echo sorry >&2; exit 2", check=True)
    assert failed.value.result.exit_code == 2


async def test_callbacks_get_output_as_it_comes(sb: Sandbox, place: str) -> None:
    out: list[str] = []

    async def on_stdout(text: str) -> None:
        # The command waits for this file, so its output cannot have come at the end.
        out.append(text)
        await sb.files.write(place, "go on")

    done = await sb.run(
        f"echo ready; until [ -s {place} ]; do sleep 0.05; done; echo late >&2",
        on_stdout=on_stdout,
        on_stderr=out.append,
        timeout=120,
    )
    assert out == ["ready\n", "late\n"] and done.ok


async def test_events_by_iterator(sb: Sandbox) -> None:
    seen = [(event.kind, event.text) async for event in sb.stream("echo a; echo b >&2; exit 4")]
    assert sorted(seen[:2]) == [("stderr", "b\n"), ("stdout", "a\n")]
    assert seen[2][0] == "error"
    async with sb.stream("echo again") as process:
        assert process.id
        with pytest.raises(StreamBroken):
            _ = process.result
        assert [event.text async for event in process] == ["again\n"]
        assert process.result.stdout == "again\n"


async def test_standard_input(sb: Sandbox) -> None:
    assert (await sb.run("wc -c", stdin=b"x" * 300_000)).stdout == "300000\n"
    assert (await sb.run("cat", stdin="text")).stdout == "text"
    assert (await sb.run("head -n 1", stdin="one\ntwo\n" * 200_000)).stdout == "one\n"
    assert (await sb.run("true", stdin="unread")).ok
    async with sb.stream("while read line; do echo got $line; done", stdin=True) as process:
        assert await process.write("one\n") == 4
        assert (await process.__anext__()).text == "got one\n"
        await process.write("two\n")
        await process.close_stdin()
        assert (await process.wait()).stdout == "got one\ngot two\n"


async def test_background_and_coming_back(sb: Sandbox, place: str) -> None:
    command = await sb.commands.start(f"echo first; until [ -e {place} ]; do sleep 0.05; done; echo second; exit 5")
    assert command.id in [one.id for one in await sb.commands.list(running=True)]
    process = command.attach()
    first = await process.__anext__()
    assert first.text == "first\n" and first.offset == process.position == 6
    await process.aclose()
    assert (await command.status()).running, "leaving what one came back to ends nothing"
    await sb.files.write(place, "")
    assert [event.text async for event in command.attach(6) if event.kind == "stdout"] == ["second\n"]
    assert (await command.wait()).exit_code == 5
    logs = await command.logs()
    assert (logs.text, logs.cursor) == ("first\nsecond\n", 13)
    assert (await command.logs(6)).text == "second\n"
    assert (await command.status()).exit_code == 5


async def test_background_standard_input(sb: Sandbox) -> None:
    command = await sb.commands.start("cat", stdin=True)
    assert await command.write("hello", close=True) == 5
    assert (await command.wait()).stdout == "hello"


async def test_interrupting(sb: Sandbox) -> None:
    command = await sb.commands.start(f"sleep {LONG}")
    await command.interrupt()
    assert await until_ended(sb, command.id) == 128 + 15


async def test_leaving_a_stream_ends_the_command_unless_detached(sb: Sandbox) -> None:
    async with sb.stream(f"echo up; sleep {LONG}") as process:
        assert (await process.__anext__()).text == "up\n"
    assert await until_ended(sb, process.id) == 128 + 15
    async with sb.stream(f"echo up; sleep {LONG}") as process:
        assert (await process.status()).running
        process.detach()
    assert (await process.status()).running
    await process.interrupt()
    assert await until_ended(sb, process.id) == 128 + 15


async def test_cancelling_the_task_ends_the_command(sb: Sandbox, place: str) -> None:
    up = asyncio.Event()
    task = asyncio.create_task(sb.run(f"echo {place}; sleep {LONG}", on_stdout=lambda _: up.set()))
    await up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (found,) = [one for one in await sb.commands.list() if place in one.content]
    assert await until_ended(sb, found.id) == 128 + 15


async def test_cancelling_before_the_first_event_ends_it_too(sb: Sandbox, place: str) -> None:
    task = asyncio.create_task(sb.run(f": {place}; sleep {LONG}"))
    await asyncio.sleep(0)  # it has begun, and knows no id yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for one in await sb.commands.list():
        if place in one.content:
            assert await until_ended(sb, one.id) == 128 + 15


async def test_an_unknown_command(sb: Sandbox) -> None:
    with pytest.raises(NotFound) as refused:
        await sb.commands.get("0" * 32).status()
    assert refused.value.status == 404 and refused.value.code and refused.value.request_id
