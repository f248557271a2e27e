"""Fifty sandboxes at once, a few at a time in the making: each works on its own part."""

import asyncio
import sys
import time

from sandkeep import Client, Sandbox

AT_ONCE = 8


async def main(count: int) -> None:
    turn = asyncio.Semaphore(AT_ONCE)
    began = time.monotonic()

    async def part(client: Client, number: int) -> int:
        async with turn:
            # A client that is shared keeps its connections.
            async with Sandbox.create("sandkeep/base:latest", client=client) as sb:
                low, high = number * 1000, (number + 1) * 1000
                done = await sb.run(["python3", "-c", f"print(sum(range({low}, {high})))"], check=True)
                return int(done.stdout)

    async with Client() as client:
        parts = await asyncio.gather(*(part(client, number) for number in range(count)))
    print(f"{count} sandboxes: {sum(parts)}")
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
