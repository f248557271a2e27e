"""An agent whose tools come over MCP: `sb mcp serve` beside it. No line of this knows Sandkeep's API.

Needs `pip install mcp`; `SB` names the program where `sb` is not on the path.
"""

import asyncio
import os
from collections.abc import Generator
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters

FIZZ = "for n in range(1, 16):\n    print('Fizz' * (n % 3 == 0) + 'Buzz' * (n % 5 == 0) or n)\n"


def model(tools: set[str]) -> Generator[tuple[str, dict[str, Any]], dict[str, Any], str]:
    """Stands in for a model, which would be shown the tools: calls for some, is told what came of each, and answers."""
    assert {"sandbox_create", "file_write", "command_run", "sandbox_delete"} <= tools
    made = yield "sandbox_create", {"image": "sandkeep/base:latest"}
    sandbox = {"sandbox_id": made["sandbox_id"]}
    yield "file_write", {**sandbox, "path": "/app/fizz.py", "content": FIZZ}
    ran = yield "command_run", {**sandbox, "command": "python3 /app/fizz.py | tail -n 1", "timeout_seconds": 60}
    yield "sandbox_delete", sandbox
    return f"The fifteenth is {ran['stdout'].strip()}."


async def main() -> None:
    where = {name: os.environ[name] for name in ("SANDKEEP_URL", "OPEN_SANDBOX_API_KEY")}
    server = StdioServerParameters(command=os.environ.get("SB", "sb"), args=["mcp", "serve"], env=where)
    async with Client(server) as client:
        talk = model({tool.name for tool in (await client.list_tools()).tools})
        name, arguments = next(talk)
        while True:
            result = await client.call_tool(name, arguments)
            print(f"{name}: {'refused' if result.is_error else 'done'}")
            try:
                name, arguments = talk.send(result.structured_content or {})
            except StopIteration as end:
                print(end.value)
                return


asyncio.run(main())
