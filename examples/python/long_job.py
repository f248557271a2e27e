"""A job that goes on while nobody looks, found again later; and what the server tells of its sandbox."""

import asyncio

from sandkeep import Client, Sandbox

JOB = "for step in 1 2 3 4 5; do echo step $step; sleep 0.2; done; echo result 42 > /result"


async def main() -> None:
    async with Client() as client:
        sb = await Sandbox.create("sandkeep/base:latest", client=client, metadata={"job": "training"})
        job = await sb.commands.start(JOB)
        print("started")
        read = 0
        async with job.attach() as output:
            async for event in output:
                print(event.text, end="")
                read = event.offset or 0
                break
        await sb.aclose()

        # Somebody else, knowing two ids, comes back to it where the output had been read to.
        async with Sandbox.connect(sb.id, client=client) as again:
            command = again.commands.get(job.id)
            async for event in command.attach(offset=read):
                print(event.text, end="")
            print("exit code:", (await command.wait()).exit_code)
            print(await again.files.read_text("/result"), end="")
            await again.delete()

        states: list[str] = []
        async with client.events(sandboxes=[sb.id], types=["sandbox.state"], after=0) as events:
            async for event in events:
                states.append(event.state or "")
                if event.state in ("Terminated", "Failed", "Stopping"):
                    break
        print("events:", " ".join(states))


asyncio.run(main())
