"""`sb mcp serve` as the official MCP client sees it. Argument: stdio or http."""

import asyncio
import base64
import contextlib
import os
import sys
import time
import urllib.error
import urllib.request

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

SB, IMAGE, TOKEN = os.environ["SB"], "sandkeep/base:latest", "a-token-of-this-test"
SERVER = {name: os.environ[name] for name in ("SANDKEEP_URL", "OPEN_SANDBOX_API_KEY")}
# Generous: the machine may be busy with other things.
PATIENCE = 60


@contextlib.asynccontextmanager
async def over_stdio():
    # The handshake of older clients; HTTP is tried with the protocol that has none.
    program = StdioServerParameters(command=SB, args=["mcp", "serve"], env=SERVER)
    async with Client(program, mode="legacy") as client:
        yield client


@contextlib.asynccontextmanager
async def over_http():
    environment = {**os.environ, "SANDKEEP_MCP_TOKEN": TOKEN}
    words = ["mcp", "serve", "--transport", "http", "--port", "0"]
    server = await asyncio.create_subprocess_exec(SB, *words, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        told = (await asyncio.wait_for(server.stderr.readline(), PATIENCE)).decode().strip()
        assert told.startswith("listening on http://127.0.0.1:"), told
        url = told.removeprefix("listening on ")
        await asyncio.to_thread(strangers_stay_out, url)
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                yield client
    finally:
        server.terminate()
        assert await asyncio.wait_for(server.wait(), PATIENCE) == 0


def strangers_stay_out(url):
    def status(**headers):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    right = {"Authorization": f"Bearer {TOKEN}"}
    assert status() == 401
    assert status(Authorization="Bearer wrong") == 401
    assert status(**right, Host="rebound.example") == 403
    assert status(**right, Origin="http://rebound.example") == 403


async def until(what, look):
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = await look()
        if seen is not None:
            return seen
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


class Tools:
    def __init__(self, client):
        self.client = client

    async def call(self, name, **arguments):
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, (name, result.content)
        return result.structured_content

    async def refused(self, name, **arguments):
        result = await self.client.call_tool(name, arguments)
        assert result.is_error, (name, result)
        return result.content[0].text


async def commands(tools, sandbox):
    told = []

    async def on_progress(done, total, message):
        told.append(message)

    loop = "for i in 1 2 3; do echo line $i; done; cat; echo oops >&2; exit 3"
    given = {**sandbox, "command": loop, "stdin": "from here\n"}
    ran = (await tools.client.call_tool("command_run", given, progress_callback=on_progress)).structured_content
    assert ran["exit_code"] == 3 and ran["stderr"] == "oops\n", ran
    assert ran["stdout"] == "line 1\nline 2\nline 3\nfrom here\n", ran
    # The two streams may come in either order.
    assert sorted("".join(told).splitlines()) == sorted((ran["stdout"] + ran["stderr"]).splitlines()), told
    slow = await tools.call("command_run", **sandbox, command="sleep 600", timeout_seconds=1)
    assert slow["timed_out"] and "timeout_seconds" in slow["note"], slow

    # What is cut can be read on.
    whole = "".join(f"{number}\n" for number in range(1, 20001))
    ran = await tools.call("command_run", **sandbox, command="seq 1 20000", max_output_bytes=2000)
    assert len(ran["stdout"]) < 2100 and ran["stdout"].startswith("1\n2\n") and ran["stdout"].endswith("\n20000\n"), ran
    assert "command_output" in ran["note"] and str(len(whole)) in ran["note"], ran["note"]
    text, offset, more = "", 0, True
    while more:
        part = await tools.call(
            "command_output", **sandbox, command_id=ran["command_id"], offset=offset, max_output_bytes=50_000
        )
        text, offset, more = text + part["text"], part["next_offset"], part["more"]
    assert text == whole, (len(text), len(whole), offset)
    assert part["exit_code"] == 0 and not part["running"], part["exit_code"]


async def cancelling(tools, sandbox):
    started = asyncio.Event()

    async def on_progress(done, total, message):
        started.set()

    given = {**sandbox, "command": "echo begun; exec sleep 987"}
    call = asyncio.create_task(tools.client.call_tool("command_run", given, progress_callback=on_progress))
    await asyncio.wait_for(started.wait(), PATIENCE)

    async def running():
        listed = (await tools.call("command_list", **sandbox))["commands"]
        return [one for one in listed if "sleep 987" in one["command"] and one["running"]]

    assert len(await running()) == 1
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call

    async def ended():
        return None if await running() else True

    await until("the end of a command whose call was cancelled", ended)


async def code(tools, sandbox):
    await tools.call("code_run", **sandbox, code="x = 41")
    ran = await tools.call("code_run", **sandbox, code="print('hi')\nx + 1")
    assert ran["stdout"] == "hi\n" and ran["results"][0]["text"] == "42", ran
    own = await tools.call("code_context_create", **sandbox, language="python")
    ran = await tools.call("code_run", **sandbox, code="x", context_id=own["context_id"])
    assert ran["error"]["name"] == "NameError", ran
    listed = await tools.call("code_context_list", **sandbox)
    assert own["context_id"] in [one["context_id"] for one in listed["contexts"]], listed
    left = await tools.call("code_context_delete", **sandbox, context_id=own["context_id"])
    assert own["context_id"] not in [one["context_id"] for one in left["contexts"]], left
    picture = "class P:\n    def _repr_png_(self):\n        return b'not really'\nP()"
    result = await tools.client.call_tool("code_run", {**sandbox, "code": picture})
    images = [block for block in result.content if block.type == "image"]
    assert images and base64.b64decode(images[0].data) == b"not really", result


async def files(tools, sandbox):
    path = "/app/deep/text.txt"
    await tools.call("file_write", **sandbox, path=path, content="one\ntwo\n")
    await tools.call("file_edit", **sandbox, path=path, old="two", new="2")
    assert "unchanged" in await tools.refused("file_edit", **sandbox, path=path, old="absent", new="")
    read = await tools.call("file_read", **sandbox, path=path)
    assert read["content"] == "one\n2\n" and read["encoding"] == "text" and "note" not in read, read
    part = await tools.call("file_read", **sandbox, path=path, max_bytes=4)
    assert part["content"] == "one\n" and part["next_offset"] == 4 and "offset 4" in part["note"], part
    rest = await tools.call("file_read", **sandbox, path=path, offset=4)
    assert rest["content"] == "2\n", rest
    raw = base64.b64encode(bytes(range(256))).decode()
    await tools.call("file_write", **sandbox, path="/app/raw", content=raw, encoding="base64", mode=600)
    read = await tools.call("file_read", **sandbox, path="/app/raw")
    assert read["content"] == raw and read["encoding"] == "base64", read
    listed = await tools.call("file_list", **sandbox, path="/app", depth=2)
    assert {entry["path"] for entry in listed["entries"]} == {"/app/deep", path, "/app/raw"}, listed
    found = await tools.call("file_search", **sandbox, path="/app", pattern="*.txt")
    assert [entry["path"] for entry in found["entries"]] == [path], found
    await tools.call("directory_create", **sandbox, path="/app/other")
    await tools.call("file_move", **sandbox, **{"from": path, "to": "/app/other/moved"})
    await tools.call("file_delete", **sandbox, path="/app/other/moved")
    await tools.call("file_delete", **sandbox, path="/app")
    assert "Next:" in await tools.refused("file_read", **sandbox, path="/app/raw")


async def preview(tools, sandbox):
    serve = "mkdir -p /srv/www && cd /srv/www && echo page > index.html && exec python3 -m http.server 8000"
    started = await tools.call("command_start", **sandbox, command=serve)
    endpoint = await tools.call("port_endpoint", **sandbox, port=8000)
    request = urllib.request.Request(endpoint["url"], headers=endpoint["headers"])

    async def page():
        with contextlib.suppress(OSError):
            return await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=PATIENCE).read())

    assert await until("the page", page) == b"page\n"
    await tools.call("command_interrupt", **sandbox, command_id=started["command_id"])

    async def ended():
        told = await tools.call("command_output", **sandbox, command_id=started["command_id"], wait_seconds=5)
        return None if told["running"] else told

    assert "exit_code" in await until("the end of the server", ended)


async def policy(tools):
    given = {"image": IMAGE, "allow": ["a.example"]}
    sandbox = {"sandbox_id": (await tools.call("sandbox_create", **given))["sandbox_id"]}
    try:
        changes = {"allow": ["b.example"], "deny": ["c.example"], "remove": ["a.example"]}
        changed = await tools.call("network_policy_change", **sandbox, **changes)
        assert changed == await tools.call("network_policy_get", **sandbox), changed
        rules = {(rule["action"], rule["target"]) for rule in changed["rules"]}
        assert rules == {("allow", "b.example"), ("deny", "c.example")} and changed["default"] == "deny", changed
    finally:
        await tools.call("sandbox_delete", **sandbox)


async def main(transport):
    connected = over_http if transport == "http" else over_stdio
    async with connected() as client:
        assert "sandbox_create" in client.instructions, client.instructions
        listed = (await client.list_tools()).tools
        assert all(tool.output_schema and tool.description for tool in listed), listed
        tools = Tools(client)
        label = f"mcp-{transport}"
        made = await tools.call("sandbox_create", image=IMAGE, labels={"by": label}, timeout_seconds=600)
        sandbox = {"sandbox_id": made["sandbox_id"]}
        try:
            found = await tools.call("sandbox_list", labels={"by": label})
            assert [one["sandbox_id"] for one in found["sandboxes"]] == [made["sandbox_id"]], found
            await commands(tools, sandbox)
            await cancelling(tools, sandbox)
            await code(tools, sandbox)
            await files(tools, sandbox)
            if transport == "stdio":
                await preview(tools, sandbox)
                await policy(tools)
                assert "allow or deny" in await tools.refused("network_policy_get", **sandbox)
            assert (await tools.call("sandbox_pause", **sandbox))["state"] in ("Paused", "Pausing")
            assert (await tools.call("sandbox_resume", **sandbox))["state"] in ("Running", "Resuming")
            renewed = await tools.call("sandbox_renew", **sandbox, timeout_seconds=1200)
            assert renewed["expires_at"] > made["expires_at"], renewed
        finally:
            await tools.call("sandbox_delete", **sandbox)
        assert "Next: call sandbox_list" in await tools.refused("sandbox_get", **sandbox)
        assert "sandbox_id" in await tools.refused("command_run", command="true")


asyncio.run(main(sys.argv[1]))
print("ok")
