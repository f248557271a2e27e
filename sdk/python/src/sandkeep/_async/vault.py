"""Secrets lent to a sandbox that never sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .._api.egress import models
from .._api.egress import operations as egress
from .._api.lifecycle import operations as lifecycle
from .._operation import segment
from .transport import Http

if TYPE_CHECKING:
    from .client import Client

SIDECAR_PORT = 18080


async def sidecar(client: Client, sandbox: str) -> Http:
    """What guards the sandbox's network, reached through the server."""
    server = client.http
    found = await server.call(lifecycle.get_sandbox_endpoint(sandbox, SIDECAR_PORT, use_server_proxy=True))
    url = f"{server.url}/v1/sandboxes/{segment(sandbox)}/proxy/{SIDECAR_PORT}"
    return Http(client.pool, url, {**server.headers, **(found.headers or {})})


class Vault:
    """The vault of a sandbox created with `network_policy` and `credential_proxy=True`.

    A binding says which requests get which secret, and how: `models.CredentialBinding` with a `models.CredentialMatch` and
    a `models.BearerCredentialAuth` or one of its relatives. Answers never hold a secret.
    """

    def __init__(self, client: Client, sandbox: str) -> None:
        self._client = client
        self._sandbox = sandbox

    async def create(
        self, secrets: Mapping[str, str], bindings: Sequence[models.CredentialBinding]
    ) -> models.CredentialVaultState:
        """Makes the vault: secrets by name, and where they go."""
        body = models.CredentialVaultCreateRequest(credentials=_credentials(secrets), bindings=list(bindings))
        return await (await self._http()).call(egress.create_credential_vault(body=body))

    async def state(self) -> models.CredentialVaultState:
        """What is in it, without its secrets."""
        return await (await self._http()).call(egress.get_credential_vault())

    async def change(
        self,
        *,
        add: Mapping[str, str] | None = None,
        replace: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        bindings: models.CredentialBindingMutationSet | None = None,
        expected_revision: int | None = None,
    ) -> models.CredentialVaultState:
        """Changes secrets and bindings together, or nothing; `Conflict` if the vault has another revision."""
        credentials = models.CredentialMutationSet(
            add=_credentials(add) if add else None,
            replace=_credentials(replace) if replace else None,
            delete=list(delete) or None,
        )
        body = models.CredentialVaultMutationRequest(
            credentials=credentials if add or replace or delete else None,
            bindings=bindings,
            expected_revision=expected_revision,
        )
        return await (await self._http()).call(egress.patch_credential_vault(body=body))

    async def delete(self) -> None:
        """Forgets the vault; from then on nothing is lent."""
        await (await self._http()).call(egress.delete_credential_vault())

    async def credentials(self) -> list[models.CredentialMetadata]:
        """The secrets' names."""
        return (await (await self._http()).call(egress.list_credentials())).credentials

    async def credential(self, name: str) -> models.CredentialMetadata:
        """What may be known of a secret."""
        return await (await self._http()).call(egress.get_credential(name))

    async def bindings(self) -> list[models.CredentialBindingMetadata]:
        """The bindings."""
        return (await (await self._http()).call(egress.list_credential_bindings())).bindings

    async def binding(self, name: str) -> models.CredentialBindingMetadata:
        """One binding."""
        return await (await self._http()).call(egress.get_credential_binding(name))

    async def _http(self) -> Http:
        return await sidecar(self._client, self._sandbox)


def _credentials(secrets: Mapping[str, str]) -> list[models.Credential]:
    source = models.InlineCredentialSource
    return [models.Credential(name=name, source=source(type_="inline", value=value)) for name, value in secrets.items()]
