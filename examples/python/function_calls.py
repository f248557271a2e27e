"""A sandbox as tools for a model that speaks the chat-completions format: schemas out, calls in, results back."""

import asyncio
import json
from typing import Any

from sandkeep import Sandbox


def tool(name: str, what: str, **parameters: str) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": what, "parameters": schema, "strict": True}}


TOOLS = [
    tool("run_python", "Runs Python. Variables last; the value of the last line is shown.", code="the code"),
    tool("run_command", "Runs a shell command, for a minute at most.", command="the command"),
    tool("write_file", "Writes a file, replacing what was there.", path="absolute path", content="its content"),
]


async def carry_out(sb: Sandbox, name: str, arguments: dict[str, str]) -> dict[str, Any]:
    match name:
        case "run_python":
            done = await sb.code.python(arguments["code"])
            return {"output": done.stdout, "value": done.text, "error": str(done.error) if done.error else None}
        case "run_command":
            ran = await sb.run(arguments["command"], timeout=60)
            return {"exit_code": ran.exit_code, "stdout": ran.stdout, "stderr": ran.stderr}
        case "write_file":
            await sb.files.write(arguments["path"], arguments["content"])
            return {"written": True}
        case _:
            return {"error": f"there is no tool {name!r}"}


async def agent(sb: Sandbox, model: Any, task: str) -> str:
    """Asks the model, carries out what it calls for, and tells it, until it has an answer."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    while True:
        message = model(messages=messages, tools=TOOLS)
        messages.append(message)
        if not message.get("tool_calls"):
            return message["content"]
        for call in message["tool_calls"]:
            function = call["function"]
            told = await carry_out(sb, function["name"], json.loads(function["arguments"]))
            print(f"{function['name']}: {json.dumps(told)}")
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(told)})


class Scripted:
    """Stands in for a model: the next message of a script, the last one made from what the tools told."""

    def __init__(self) -> None:
        lines = "Ada,36\nBob,44\nEve,52\n"
        code = "import csv\nages = [int(row[1]) for row in csv.reader(open('/data/people.csv'))]\nsum(ages) / len(ages)"
        self.calls = [
            ("write_file", {"path": "/data/people.csv", "content": lines}),
            ("run_command", {"command": "wc -l < /data/people.csv"}),
            ("run_python", {"code": code}),
        ]

    def __call__(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        done = sum(message["role"] == "assistant" for message in messages)
        if done == len(self.calls):
            mean = json.loads(messages[-1]["content"])["value"]
            return {"role": "assistant", "content": f"The mean age is {mean}."}
        name, arguments = self.calls[done]
        function = {"name": name, "arguments": json.dumps(arguments)}
        return {"role": "assistant", "tool_calls": [{"id": f"call_{done}", "type": "function", "function": function}]}


async def main() -> None:
    async with Sandbox.create("sandkeep/base:latest") as sb:
        # With a real one: model = functools.partial(client.chat.completions.create, model=…), and its message.
        print(await agent(sb, Scripted(), "How old are the people on average?"))


asyncio.run(main())
