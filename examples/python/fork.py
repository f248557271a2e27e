"""Work once, then go on from the same point several times: a snapshot and its forks."""

import asyncio

from sandkeep import Client, Sandbox


async def main() -> None:
    async with Client() as client:
        async with Sandbox.create("sandkeep/base:latest", client=client) as sb:
            # Stands in for what takes long: installing, compiling, fetching.
            await sb.run("mkdir /app && seq 1 1000 > /app/numbers", check=True)
            snapshot = await sb.snapshot("prepared")

        async def go_on(how: str) -> str:
            async with Sandbox.create(snapshot=snapshot.id, client=client) as fork:
                await fork.run(f"{how} /app/numbers > /app/out && mv /app/out /app/numbers", check=True)
                return (await fork.run("head -n 1 /app/numbers")).stdout.strip()

        try:
            ways = ("sort -rn", "tail -n 5", "grep 7")
            for way, first in zip(ways, await asyncio.gather(*map(go_on, ways)), strict=True):
                print(f"{way}: {first}")
        finally:
            await client.snapshots.delete(snapshot.id)


asyncio.run(main())
