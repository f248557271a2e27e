from __future__ import annotations

import asyncio
import io
import tarfile

import pytest

from sandkeep import NotFound, Sandbox, SandkeepError

pytestmark = pytest.mark.anyio


async def test_sessions_remember(sb: Sandbox) -> None:
    async with sb.sessions.create(cwd="/usr") as session:
        await session.run("cd lib; here=1; greet() { echo hello $1; }", check=True)
        assert (await session.run("pwd; greet $here")).stdout == "/usr/lib\nhello 1\n"
        assert (await session.run("exit 6")).exit_code == 6
        assert (await session.run("echo $here $THERE", env={"THERE": "2"})).stdout == "1 2\n"
        assert (await session.run("sleep 1000", timeout=0.3)).timed_out
    with pytest.raises(NotFound):
        await sb.sessions.get(session.id).run("true")


async def test_cancelling_ends_the_run_and_not_the_session(sb: Sandbox) -> None:
    async with sb.sessions.create() as session:
        up = asyncio.Event()
        task = asyncio.create_task(session.run("kept=3; echo up; sleep 1000", on_stdout=lambda _: up.set()))
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await session.run("echo $kept", timeout=120)).stdout == "3\n"


async def test_a_terminal(sb: Sandbox) -> None:
    async with sb.terminals.create(cols=100, rows=40) as terminal:
        await terminal.write("stty size; echo $((20 + 22))\n")
        assert b"40 100" in await terminal.read_until("42")
        await terminal.resize(90, 30)
        await terminal.write("stty size\n")
        assert b"30 90" in await terminal.read_until("30 90")
        await terminal.write("""sh -c 'echo be""gun; exec sleep 1000'\n""")
        await terminal.read_until("begun")
        await terminal.signal("SIGINT")
        await terminal.write(b"exit 9\n")
        async for _ in terminal:
            pass
        assert terminal.exit_code == 9
    with pytest.raises(NotFound):
        await terminal.status()


async def test_coming_back_to_a_terminal(sb: Sandbox) -> None:
    async with sb.terminals.create("echo one; read line; echo two $line; read line") as terminal:
        await terminal.read_until("one")
        await terminal.detach()
        with pytest.raises(SandkeepError):
            await terminal.write("x")
        assert (await terminal.status()).running
        async with sb.terminals.attach(terminal.id, since=0) as again:
            assert b"one" in await again.read_until("one")
            await again.write("x\n")
            assert b"two x" in await again.read_until("two x")
            seen = again.position
            async with sb.terminals.attach(terminal.id, since=seen, takeover=True) as third:
                await third.write("y\n")
                async for _ in third:
                    pass
                assert third.exit_code == 0


async def test_pipes_instead_of_a_terminal(sb: Sandbox) -> None:
    async with sb.terminals.create("tty; exit 2", pipes=True) as terminal:
        assert b"not a tty" in b"".join([piece async for piece in terminal])
        assert terminal.exit_code == 2


async def test_an_unknown_terminal(sb: Sandbox) -> None:
    with pytest.raises(NotFound):
        await sb.terminals.attach("nope")


async def test_isolated_sessions_keep_changes_apart(sb: Sandbox, place: str) -> None:
    assert (await sb.isolated.capabilities()).available
    await sb.files.write(f"{place}/old", "old")
    async with sb.isolated.create(place, mode="overlay") as session:
        assert session.id in [one.session_id for one in await sb.isolated.list()]
        assert (await sb.isolated.get(session.id).state()).status == "active"
        done = await session.run("echo new > new; cat old; echo $X", env={"X": "x"})
        assert done.stdout == "oldx\n"
        assert not await sb.files.exists(f"{place}/new")
        async with session.diff() as diff:
            with tarfile.open(fileobj=io.BytesIO(await diff.read())) as archive:
                assert "new" in [name.removeprefix("./") for name in archive.getnames()]
        run = await session.start("echo behind; exit 4")
        while (await run.status()).running:
            await asyncio.sleep(0.05)
        assert (await run.logs()).text == "behind\n"
        assert (await session.background(run.id).status()).exit_code == 4
        assert (await session.run("sleep 1000", timeout=1)).timed_out
        assert (await session.commit()).written >= 1
    assert await sb.files.read_text(f"{place}/new") == "new\n"
    with pytest.raises(NotFound):
        await session.state()


async def test_files_of_an_isolated_session(sb: Sandbox, place: str) -> None:
    await sb.files.mkdir(place)
    async with sb.isolated.create(place, mode="overlay") as session:
        files = session.files
        await files.mkdir(f"{place}/d")
        await files.write(f"{place}/d/f", "a-a")
        assert await files.read_text(f"{place}/d/f") == "a-a"
        assert await files.replace(f"{place}/d/f", "a", "b") == 2
        assert (await files.info(f"{place}/d/f")).size == 3
        await files.chmod(f"{place}/d/f", 0o600)
        assert len(await files.list(f"{place}/d")) == len(await files.search(f"{place}/d", "*")) == 1
        await files.move(f"{place}/d/f", f"{place}/d/g")
        await files.remove(f"{place}/d/g")
        await files.rmtree(f"{place}/d")
        assert await files.list(place) == []
    assert await sb.files.list(place) == []
