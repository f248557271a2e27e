"""What a sandbox may reach outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .._api.egress import operations as egress
from .._api.egress.models import AuditList
from .._api.lifecycle import models
from .._api.lifecycle import operations as lifecycle
from .vault import sidecar

if TYPE_CHECKING:
    from .client import Client


class Network:
    """The network policy of a sandbox that was created with one. Changes are in force when the call returns."""

    def __init__(self, client: Client, sandbox: str) -> None:
        self._client = client
        self._http = client.http
        self._sandbox = sandbox

    async def policy(self) -> models.PolicyStatusResponse:
        """The rules in force."""
        return await self._http.call(lifecycle.get_sandbox_network_policy(self._sandbox))

    async def replace(self, policy: models.NetworkPolicy) -> models.PolicyStatusResponse:
        """Puts a policy in place of the one there is; connections it does not allow are cut."""
        return await self._http.call(lifecycle.replace_sandbox_network_policy(self._sandbox, body=policy))

    async def allow(self, *targets: str) -> models.PolicyStatusResponse:
        """Allows names such as `pypi.org` or `*.example.com`, and addresses such as `192.0.2.0/24`."""
        return await self._add("allow", targets)

    async def deny(self, *targets: str) -> models.PolicyStatusResponse:
        """Denies names and addresses."""
        return await self._add("deny", targets)

    async def remove(self, *targets: str) -> models.PolicyStatusResponse:
        """Takes away the rules for these targets."""
        operation = lifecycle.delete_sandbox_network_policy_rules(self._sandbox, body=list(targets))
        return await self._http.call(operation)

    async def audit(self, *, after: int = 0, limit: int | None = None) -> AuditList:
        """What was asked for, and allowed or not: entries after the one of number `after`, `next` of an earlier answer."""
        http = await sidecar(self._client, self._sandbox)
        return await http.call(egress.get_audit(after=after or None, limit=limit))

    async def _add(self, action: Literal["allow", "deny"], targets: tuple[str, ...]) -> models.PolicyStatusResponse:
        rules = [models.NetworkRule(action=action, target=target) for target in targets]
        return await self._http.call(lifecycle.patch_sandbox_network_policy(self._sandbox, body=rules))
