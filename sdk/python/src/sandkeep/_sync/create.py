# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""From arguments to a request for a sandbox."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from .._api.lifecycle import models
from .._api.lifecycle import operations as lifecycle

if TYPE_CHECKING:
    from .client import Client

_IDLE: tuple[str, ...] = ("tail", "-f", "/dev/null")
"""Keeps a sandbox alive without doing anything."""
_ISOLATION = "bootstrap.execd.isolation"


def request_of(
    *,
    image: str | None,
    snapshot: str | None,
    template: str | None,
    pool: str | None,
    entrypoint: Sequence[str] | None,
    env: Mapping[str, str] | None,
    metadata: Mapping[str, str] | None,
    timeout: float | timedelta | None,
    resources: Mapping[str, str] | None,
    image_auth: tuple[str, str] | None,
    network_policy: models.NetworkPolicy | None,
    credential_proxy: bool,
    volumes: Sequence[models.Volume],
    lifecycle: models.SandboxLifecycle | None,
    platform: models.PlatformSpec | None,
    extensions: Mapping[str, str] | None,
    secure_access: bool | None,
    isolation: bool,
) -> models.CreateSandboxRequest:
    """What the server is asked for."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    auth = models.ImageAuth(username=image_auth[0], password=image_auth[1]) if image_auth else None
    options = dict(extensions or {})
    if pool is not None:
        options["poolRef"] = pool
    if isolation:
        options[_ISOLATION] = "enable"
    # A template says by itself what runs, and a pool how much it may use.
    idle = None if template is not None else list(_IDLE)
    bounds = dict(resources) if resources else {} if image is not None or snapshot is not None else None
    return models.CreateSandboxRequest(
        image=models.ImageSpec(uri=image, auth=auth) if image is not None else None,
        snapshot_id=snapshot,
        template_id=template,
        entrypoint=list(entrypoint) if entrypoint else idle,
        env=dict(env) if env else None,
        metadata=dict(metadata) if metadata else None,
        timeout=None if seconds is None else int(seconds),
        resource_limits=bounds,
        network_policy=network_policy,
        credential_proxy=models.CredentialProxyConfig(enabled=True) if credential_proxy else None,
        volumes=list(volumes) or None,
        lifecycle=lifecycle,
        platform=platform,
        extensions=options or None,
        secure_access=secure_access,
    )


def send(client: Client, request: models.CreateSandboxRequest, key: str | None) -> models.CreateSandboxResponse:
    """Asks for the sandbox. The key makes sure that a repeated request does not make a second one."""
    operation = lifecycle.create_sandbox(body=request, idempotency_key=key or uuid.uuid4().hex)
    return client.http.call(operation, silence=client.settings.timeouts.create, repeat=True)
