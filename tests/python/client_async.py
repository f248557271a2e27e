"""Quick start and daily use of the published asynchronous client. Argument: direct or proxy."""

import asyncio
import os
import sys
from datetime import datetime, timedelta, timezone

from opensandbox import Sandbox, SandboxManager
from opensandbox.config import ConnectionConfig
from opensandbox.exceptions import SandboxApiException
from opensandbox.models.execd import ExecutionHandlers, RunCommandOpts
from opensandbox.models.filesystem import (
    ContentReplaceEntry,
    DirectoryListEntry,
    MoveEntry,
    SearchEntry,
    SetPermissionEntry,
    WriteEntry,
)
from opensandbox.models.sandboxes import SandboxFilter

IMAGE = "sandkeep/base:latest"
CONFIG = ConnectionConfig(use_server_proxy=sys.argv[1] == "proxy")


async def commands(sandbox):
    execution = await sandbox.commands.run("echo 'Hello Sandbox!'")
    assert execution.logs.stdout[0].text.rstrip() == "Hello Sandbox!", execution
    assert execution.exit_code == 0, execution

    seen, times = [], []

    async def line(message):
        seen.append(message.text.rstrip())
        times.append(asyncio.get_running_loop().time())

    loop = "for i in 1 2 3; do echo Count $i; sleep 0.3; done; echo oops >&2; exit 4"
    execution = await sandbox.commands.run(loop, handlers=ExecutionHandlers(on_stdout=line))
    assert seen == ["Count 1", "Count 2", "Count 3"], seen
    assert times[-1] - times[0] > 0.4, "the lines came together"
    assert execution.exit_code == 4 and execution.error.name == "CommandExecError", execution
    assert execution.logs.stderr[0].text.rstrip() == "oops", execution

    execution = await sandbox.commands.run(["echo", "$HOME", "two  words"])
    assert execution.text == "$HOME two  words", execution
    options = RunCommandOpts(working_directory="/tmp", envs={"NAME": "value"}, timeout=timedelta(seconds=20))
    execution = await sandbox.commands.run("pwd; echo $NAME", opts=options)
    assert execution.text == "/tmp\nvalue", execution
    execution = await sandbox.commands.run("sleep 30", opts=RunCommandOpts(timeout=timedelta(milliseconds=300)))
    assert execution.exit_code == -1, execution

    await sandbox.commands.set_env("KEPT", "a 'quoted' value")
    execution = await sandbox.commands.run("echo \"$KEPT\"")
    assert execution.text == "a 'quoted' value", execution


async def background(sandbox):
    options = RunCommandOpts(background=True)
    execution = await sandbox.commands.run("echo first; sleep 1; echo second", opts=options)
    status = await sandbox.commands.get_command_status(execution.id)
    assert status.running and status.exit_code is None, status
    logs = await sandbox.commands.get_background_command_logs(execution.id)
    text, cursor = logs.content, logs.cursor
    while (await sandbox.commands.get_command_status(execution.id)).running:
        await asyncio.sleep(0.1)
    logs = await sandbox.commands.get_background_command_logs(execution.id, cursor=cursor)
    assert text + logs.content == "first\nsecond\n", (text, logs)
    status = await sandbox.commands.get_command_status(execution.id)
    assert status.exit_code == 0 and status.finished_at >= status.started_at, status


async def interrupt(sandbox):
    started = asyncio.get_running_loop().create_future()

    async def on_init(init):
        started.set_result(init.id)

    run = asyncio.create_task(sandbox.commands.run("sleep 60", handlers=ExecutionHandlers(on_init=on_init)))
    execution_id = await asyncio.wait_for(started, 10)
    await sandbox.commands.interrupt(execution_id)
    execution = await asyncio.wait_for(run, 10)
    assert execution.exit_code not in (0, None), execution


async def files(sandbox):
    fs = sandbox.files
    await fs.create_directories([WriteEntry(path="/tmp/tree/deep", mode=755)])
    await fs.write_files(
        [
            WriteEntry(path="/tmp/tree/a.txt", data="alpha\nbeta\ngamma\n", mode=644),
            WriteEntry(path="/tmp/tree/deep/ünïcode.bin", data=bytes(range(256)) * 1000, mode=600),
        ]
    )
    assert await fs.read_file("/tmp/tree/a.txt") == "alpha\nbeta\ngamma\n"
    assert await fs.read_file("/tmp/tree/a.txt", offset=2, limit=1) == "beta"
    assert await fs.read_bytes("/tmp/tree/a.txt", range_header="bytes=0-4") == b"alpha"
    assert await fs.read_bytes("/tmp/tree/deep/ünïcode.bin") == bytes(range(256)) * 1000
    streamed = b"".join([part async for part in await fs.read_bytes_stream("/tmp/tree/deep/ünïcode.bin")])
    assert len(streamed) == 256_000

    info = (await fs.get_file_info(["/tmp/tree/a.txt"]))["/tmp/tree/a.txt"]
    assert (info.mode, info.size, info.owner, info.entry_type) == (644, 17, "root", "file"), info
    await fs.set_permissions([SetPermissionEntry(path="/tmp/tree/a.txt", mode=600, owner="nobody")])
    info = (await fs.get_file_info(["/tmp/tree/a.txt"]))["/tmp/tree/a.txt"]
    assert (info.mode, info.owner) == (600, "nobody"), info

    entry = ContentReplaceEntry(path="/tmp/tree/a.txt", old_content="beta", new_content="BETA")
    detailed = await fs.replace_contents_detailed([entry])
    assert detailed[0].replaced_count == 1, detailed
    await fs.move_files([MoveEntry(src="/tmp/tree/a.txt", dest="/tmp/tree/moved/b.txt")])
    found = await fs.search(SearchEntry(path="/tmp/tree", pattern="*.txt"))
    assert [entry.path for entry in found] == ["/tmp/tree/moved/b.txt"], found
    listed = await fs.list_directory(DirectoryListEntry(path="/tmp/tree", depth=2))
    names = sorted(entry.path for entry in listed)
    assert names == ["/tmp/tree/deep", "/tmp/tree/deep/ünïcode.bin", "/tmp/tree/moved", "/tmp/tree/moved/b.txt"], names

    await fs.delete_files(["/tmp/tree/moved/b.txt"])
    await fs.delete_directories(["/tmp/tree"])
    try:
        await fs.read_file("/tmp/tree/moved/b.txt")
    except SandboxApiException as error:
        assert error.status_code == 404, error
    else:
        raise AssertionError("a deleted file can be read")


async def lifecycle(sandbox):
    info = await sandbox.get_info()
    assert info.status.state == "Running" and info.id == sandbox.id, info
    renewed = await sandbox.renew(timedelta(hours=3))
    assert abs(renewed.expires_at - datetime.now(timezone.utc) - timedelta(hours=3)) < timedelta(seconds=20)
    patched = await sandbox.patch_metadata({"stage": "two", "gone": None})
    assert patched.metadata["stage"] == "two" and "gone" not in patched.metadata, patched
    metrics = await sandbox.get_metrics()
    assert metrics.cpu_count > 0 and metrics.memory_total_in_mib > 0, metrics
    async with await SandboxManager.create(connection_config=CONFIG) as manager:
        mine = SandboxFilter(metadata={"run": sandbox.id[:8]}, states=["Running"])
        await sandbox.patch_metadata({"run": sandbox.id[:8]})
        page = await manager.list_sandbox_infos(mine)
        assert [info.id for info in page.sandbox_infos] == [sandbox.id], page
        assert page.pagination.total_items == 1, page


async def main():
    sandbox = await Sandbox.create(
        IMAGE,
        connection_config=CONFIG,
        timeout=timedelta(minutes=10),
        env={"PURPOSE": "scenario"},
        metadata={"stage": "one", "gone": "soon"},
    )
    try:
        assert await sandbox.is_healthy()
        for scenario in (commands, background, interrupt, files, lifecycle):
            await scenario(sandbox)
        again = await Sandbox.connect(sandbox.id, connection_config=CONFIG)
        assert (await again.commands.run("echo $PURPOSE")).text == "scenario"
        await again.close()
    finally:
        await sandbox.kill()
    try:
        await sandbox.get_info()
    except SandboxApiException as error:
        assert error.status_code == 404 and error.request_id, error
    else:
        raise AssertionError("a killed sandbox is still there")
    await sandbox.close()
    wrong = ConnectionConfig(api_key="wrong")
    try:
        await Sandbox.create(IMAGE, connection_config=wrong)
    except SandboxApiException as error:
        assert error.status_code == 401 and error.error.code == "INVALID_API_KEY", error
    else:
        raise AssertionError("a wrong key was accepted")
    assert os.environ["OPEN_SANDBOX_API_KEY"]


asyncio.run(main())
print("ok")
