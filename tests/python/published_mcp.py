"""The minimal workflow of the published MCP server, as its documentation tells it, driven by the official MCP client.

Arguments: stdio or http, direct or proxy. Every tool the documentation lists is used once.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
import urllib.request

from mcp import Client
from mcp.client.stdio import StdioServerParameters

TRANSPORT, WAY = sys.argv[1:3]
PROGRAM = os.path.join(os.path.dirname(sys.executable), "opensandbox-mcp")
TOOLS = {
    *("sandbox_create", "sandbox_connect", "sandbox_kill", "sandbox_get_info", "sandbox_list", "sandbox_renew"),
    *("sandbox_healthcheck", "sandbox_get_metrics", "sandbox_get_endpoint", "command_run", "command_interrupt"),
    *("file_read", "file_write", "file_delete", "file_search", "file_create_directories"),
    *("file_delete_directories", "file_move", "file_replace_contents"),
}


def arguments():
    key, domain = os.environ["OPEN_SANDBOX_API_KEY"], os.environ["OPEN_SANDBOX_DOMAIN"]
    proxy = ["--use-server-proxy"] if WAY == "proxy" else []
    return ["--api-key", key, "--domain", domain, *proxy]


@contextlib.asynccontextmanager
async def connected():
    if TRANSPORT == "stdio":
        async with Client(StdioServerParameters(command=PROGRAM, args=arguments())) as client:
            yield client
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = ["--transport", "streamable-http", "--port", str(port)]
    server = await asyncio.create_subprocess_exec(PROGRAM, *words, *arguments(), stderr=asyncio.subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline and server.returncode is None, "the server does not listen"
                await asyncio.sleep(0.1)
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            yield client
    finally:
        server.terminate()
        await server.wait()


async def main():
    async with connected() as client:
        assert TOOLS == {tool.name for tool in (await client.list_tools()).tools}

        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            assert not result.is_error, (name, result.content)
            return result.structured_content

        progress = []

        async def on_progress(done, total, message):
            progress.append(message)

        created = await client.call_tool("sandbox_create", {"image": "python:3.11"}, progress_callback=on_progress)
        assert not created.is_error, created.content
        sandbox = {"sandbox_id": created.structured_content["sandbox_id"]}
        assert progress[-1] == "Done", progress
        try:
            await use(call, sandbox)
        finally:
            assert (await call("sandbox_kill", **sandbox))["status"] == "killed"


async def use(call, sandbox):
    id = sandbox["sandbox_id"]
    await call("sandbox_connect", **sandbox)
    assert (await call("sandbox_get_info", **sandbox))["id"] == id
    listed = await call("sandbox_list", filter={"states": ["Running"]})
    assert id in str(listed), listed
    await call("sandbox_renew", **sandbox, timeout_seconds=1200)
    assert (await call("sandbox_healthcheck", **sandbox))["healthy"] is True
    assert (await call("sandbox_get_metrics", **sandbox))["cpu_count"] > 0

    await call("file_create_directories", **sandbox, entries=[{"path": "/app/sub"}])
    await call("file_write", **sandbox, path="/app/main.py", content="print(6 * 7)\n")
    assert (await call("file_read", **sandbox, path="/app/main.py"))["content"] == "print(6 * 7)\n"
    replace = [{"path": "/app/main.py", "old_content": "6", "new_content": "5"}]
    await call("file_replace_contents", **sandbox, entries=replace)
    ran = await call("command_run", **sandbox, command="python3 main.py", working_directory="/app")
    assert ran["logs"]["stdout"][0]["text"].strip() == "35", ran
    await call("file_move", **sandbox, entries=[{"src": "/app/main.py", "dest": "/app/sub/moved.py"}])
    assert "moved.py" in str(await call("file_search", **sandbox, path="/app", pattern="*.py"))

    served = "mkdir -p /srv/www && echo it works > /srv/www/index.html && cd /srv/www && exec python3 -m http.server 8000"
    background = await call("command_run", **sandbox, command=served, background=True)
    endpoint = await call("sandbox_get_endpoint", **sandbox, port=8000)
    headers = {**(endpoint.get("headers") or {})}
    if WAY == "proxy":
        headers["OPEN-SANDBOX-API-KEY"] = os.environ["OPEN_SANDBOX_API_KEY"]
    deadline = time.monotonic() + 60
    while True:
        try:
            request = urllib.request.Request(f"http://{endpoint['endpoint']}/", headers=headers)
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read())
            break
        except OSError as error:
            assert time.monotonic() < deadline, (endpoint, error)
            await asyncio.sleep(0.1)
    assert page == b"it works\n", page
    await call("command_interrupt", **sandbox, execution_id=background["id"])
    await call("file_delete", **sandbox, paths=["/app/sub/moved.py"])
    await call("file_delete_directories", **sandbox, paths=["/app"])


asyncio.run(main())
print("ok")
