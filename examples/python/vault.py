"""A call to an API that wants a token, from a sandbox that never gets to see the token."""

import asyncio
import os
import sys
from urllib.parse import urlsplit

from sandkeep import Client, Sandbox, Timeouts, models


async def main(url: str, token: str) -> None:
    host = urlsplit(url).hostname or ""
    # Nothing but this host may be reached; requests to it, and to no other, are given the token on their way.
    policy = models.NetworkPolicy(default_action="deny", egress=[models.NetworkRule(action="allow", target=host)])
    binding = models.CredentialBinding(
        name="api",
        match=models.CredentialMatch(hosts=[host]),
        auth=models.BearerCredentialAuth(type_="bearer", credential="token"),
    )
    # On a busy machine it takes a while until a sandbox trusts the authority that reads its TLS.
    async with Client(timeouts=Timeouts(request=120, ready=120)) as client:
        make = Sandbox.create("sandkeep/base:latest", client=client, network_policy=policy, credential_proxy=True)
        async with make as sb:
            await sb.vault.create({"token": token}, [binding])
            answer = await sb.run(["curl", "-sS", "--max-time", "60", url], check=True)
            print("the API:", answer.stdout.strip())

            seen = await sb.run(
                "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; find /etc /root /tmp -type f -exec cat {} +"
            )
            print("the token is in the sandbox:", token in seen.stdout)
            elsewhere = await sb.run(["curl", "-sS", "--max-time", "5", "https://elsewhere.test/"])
            print("elsewhere:", "reached" if elsewhere.ok else "refused")

            await sb.vault.delete()
            answer = await sb.run(["curl", "-sS", "--max-time", "60", url])
            print("without the vault:", answer.stdout.strip())


asyncio.run(main(sys.argv[1], os.environ["API_TOKEN"]))
