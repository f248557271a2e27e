"""A sandbox as LangChain tools: `pip install langchain-core`, then give `tools_of(sandbox)` to any agent."""

import asyncio

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool, tool

from sandkeep import Sandbox


def tools_of(sb: Sandbox) -> list[BaseTool]:
    """What an agent may do in a sandbox. The docstrings are what the model reads."""

    @tool
    async def run_python(code: str) -> str:
        """Runs Python and returns what it prints and the value of its last line. Variables last."""
        done = await sb.code.python(code)
        return str(done.error) if done.error else done.stdout + (done.text or "")

    @tool
    async def run_command(command: str) -> str:
        """Runs a shell command, for a minute at most, and returns its output and exit code."""
        ran = await sb.run(command, timeout=60)
        return f"{ran.stdout}{ran.stderr}(exit code {ran.exit_code})"

    @tool
    async def read_file(path: str) -> str:
        """Returns the text of a file."""
        return await sb.files.read_text(path)

    return [run_python, run_command, read_file]


def model() -> FakeMessagesListChatModel:
    """Stands in for a chat model with `bind_tools`: it says what is written here, in turn."""

    def calls(id: str, name: str, **arguments: str) -> BaseMessage:
        return AIMessage("", tool_calls=[{"id": id, "name": name, "args": arguments}])

    return FakeMessagesListChatModel(
        responses=[
            calls("1", "run_python", code="import math\nopen('/tmp/pi', 'w').write(f'{math.pi:.5f}')"),
            calls("2", "read_file", path="/tmp/pi"),
            calls("3", "run_command", command="cat /tmp/nothing"),
            AIMessage("Pi was written down."),
        ]
    )


async def main() -> None:
    async with Sandbox.create("sandkeep/base:latest") as sb:
        tools = {one.name: one for one in tools_of(sb)}
        chat, messages = model(), [HumanMessage("Write pi down.")]
        while True:
            answer = await chat.ainvoke(messages)
            messages.append(answer)
            if not answer.tool_calls:
                break
            for call in answer.tool_calls:
                told = await tools[call["name"]].ainvoke(call)
                print(f"{call['name']}: {told.content}")
                messages.append(told)
        print(answer.content)


asyncio.run(main())
