# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""A sandbox, and everything that is done with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import httpx

from .._api.execd import models as execd_models
from .._api.execd import operations as execd
from .._api.lifecycle import models
from .._api.lifecycle import operations as lifecycle
from .._glue.glue_sync import Callback, attempt, pending, sleep
from .._glue.shared import Source
from .._operation import segment
from ..errors import ApiError, ConnectionFailed, SandboxFailed, Timeout
from ..results import CommandResult, Preview
from .code import Code
from .commands import Commands
from .files import SandboxFiles
from .isolated import Isolated
from .network import Network
from .process import Process
from .sessions import Sessions
from .sockets import Terminals, Tunnel, connect
from .transport import ByteStream, EventStream, Http
from .vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client import Client

EXECD_PORT = 44772
_FIRST_POLL = 0.01
_LONGEST_POLL = 0.5
_PASSING = {409, 502, 503, 504}
"""Answers of a sandbox on its way up."""


class Sandbox:
    """A sandbox that answers. As a context manager, a created one is deleted with the block."""

    def __init__(self, client: Client, id: str, http: Http, *, owned: bool, own_client: bool) -> None:
        """Use `Sandbox.create` or `Sandbox.connect`."""
        self._client = client
        self._http = http
        self._owned = owned
        self._own_client = own_client
        self.id = id
        self.commands = Commands(http)
        """Commands: in the foreground with live output, or in the background."""
        self.code = Code(http)
        """Code that keeps its variables: `sb.code.python("6 * 7")`."""
        self.files = SandboxFiles(http)
        """Files, directories and whole trees."""
        self.sessions = Sessions(http)
        """Shells that keep directory, variables and functions."""
        self.terminals = Terminals(http)
        """Programs on terminals."""
        self.isolated = Isolated(http)
        """Shells whose changes to files are kept apart."""
        self.network = Network(client, id)
        """What it may reach outside."""
        self.vault = Vault(client, id)
        """Secrets lent to it that it never sees."""

    @classmethod
    @pending
    def create(
        cls,
        image: str | None = None,
        *,
        snapshot: str | None = None,
        template: str | None = None,
        pool: str | None = None,
        client: Client | None = None,
        entrypoint: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = 600,
        resources: Mapping[str, str] | None = None,
        image_auth: tuple[str, str] | None = None,
        network_policy: models.NetworkPolicy | None = None,
        credential_proxy: bool = False,
        volumes: Sequence[models.Volume] = (),
        lifecycle_hooks: models.SandboxLifecycle | None = None,
        platform: models.PlatformSpec | None = None,
        extensions: Mapping[str, str] | None = None,
        secure_access: bool | None = None,
        isolation: bool = False,
        idempotency_key: str | None = None,
    ) -> Sandbox:
        """Creates a sandbox from an image, a snapshot, a template or a pool, and waits until it answers.

        It expires after `timeout` seconds (10 minutes; `None`: never). `resources` are upper bounds such as
        `{"cpu": "500m", "memory": "512Mi", "disk": "2Gi", "pids": "100"}`. Without an `entrypoint` it idles. `client`
        says where the server is; by default the environment does (`SANDKEEP_URL`, `OPEN_SANDBOX_API_KEY`).
        `isolation` allows isolated sessions. One that never answers is deleted again.
        """
        from .client import Client
        from .create import request_of, send

        if sum(given is not None for given in (image, snapshot, template, pool)) != 1:
            raise ValueError("say exactly one of image, snapshot, template and pool")
        request = request_of(
            image=image,
            snapshot=snapshot,
            template=template,
            pool=pool,
            entrypoint=entrypoint,
            env=env,
            metadata=metadata,
            timeout=timeout,
            resources=resources,
            image_auth=image_auth,
            network_policy=network_policy,
            credential_proxy=credential_proxy,
            volumes=volumes,
            lifecycle=lifecycle_hooks,
            platform=platform,
            extensions=extensions,
            secure_access=secure_access,
            isolation=isolation,
        )
        owner = client or Client()
        try:
            made = send(owner, request, idempotency_key)
        except BaseException:
            if client is None:
                owner.close()
            raise
        return cls._ready(owner, made.id, made.status.state, owned=True, own_client=client is None)

    @classmethod
    @pending
    def connect(cls, id: str, *, client: Client | None = None) -> Sandbox:
        """Finds a sandbox by its id, and waits until it answers. Leaving the block does not delete it."""
        from .client import Client

        owner = client or Client()
        return cls._ready(owner, id, None, owned=False, own_client=client is None)

    @classmethod
    def _ready(cls, client: Client, id: str, state: str | None, *, owned: bool, own_client: bool) -> Sandbox:
        http = Http(client.pool, "", {}, near=client.settings.direct)
        sandbox = cls(client, id, http, owned=owned, own_client=own_client)
        try:
            sandbox._running(state)
            sandbox._reach()
        except BaseException:
            # What went wrong first is what the caller has to know.
            limit = client.settings.timeouts.cleanup
            if owned:
                attempt(sandbox.delete, limit)
            if own_client:
                attempt(client.close, limit)
            raise
        return sandbox

    def _running(self, state: str | None) -> None:
        """Waits for an image that is fetched, and the like."""
        end = time.monotonic() + self._client.settings.timeouts.create
        pause = _FIRST_POLL
        while state != "Running":
            info = self.info()
            state = info.status.state
            if state in ("Failed", "Terminated", "Stopping"):
                raise SandboxFailed(f"sandbox {self.id} is {state}: {info.status.message or info.status.reason or ''}")
            if state in ("Running", "Paused", "Stopped"):
                return
            if time.monotonic() > end:
                raise Timeout(f"sandbox {self.id} is still {state}")
            sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)

    def _reach(self) -> None:
        """Finds the daemon inside, and waits until it answers."""
        end = time.monotonic() + self._client.settings.timeouts.ready
        pause = _FIRST_POLL
        while True:
            try:
                self._locate()
                return self.ping()
            except (ConnectionFailed, Timeout, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in _PASSING:
                    raise
                if time.monotonic() > end:
                    raise Timeout(f"sandbox {self.id} does not answer: {error}") from error
            sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)

    def _locate(self) -> None:
        settings, server = self._client.settings, self._client.http
        if not settings.direct and settings.api_key:
            # The server passes what comes from its own callers, and adds what the sandbox wants.
            self._http.url = f"{server.url}{self._proxied(EXECD_PORT)}"
            self._http.headers = dict(server.headers)
            return
        found = server.call(lifecycle.get_sandbox_endpoint(self.id, EXECD_PORT, use_server_proxy=not settings.direct))
        self._http.headers = dict(found.headers or {})
        near = f"http://{found.endpoint}"
        self._http.url = near if settings.direct else f"{server.url}{self._proxied(EXECD_PORT)}"

    def _proxied(self, port: int) -> str:
        return f"/v1/sandboxes/{segment(self.id)}/proxy/{port}"

    # Running things

    def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        user: int | tuple[int, int] | None = None,
        stdin: Source | Iterable[bytes] | None = None,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
    ) -> CommandResult:
        """Runs a command to its end: see `Commands.run`."""
        return self.commands.run(
            command,
            cwd=cwd,
            env=env,
            timeout=timeout,
            user=user,
            stdin=stdin,
            check=check,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
        )

    def stream(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        user: int | tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> Process:
        """Runs a command, and gives its output as it comes: see `Commands.stream`."""
        return self.commands.stream(command, cwd=cwd, env=env, timeout=timeout, user=user, stdin=stdin)

    # The sandbox itself

    def info(self) -> models.Sandbox:
        """The sandbox as the server sees it now."""
        return self._client.http.call(lifecycle.get_sandbox(self.id))

    def delete(self) -> None:
        """Removes the sandbox and everything in it."""
        self._client.http.call(lifecycle.delete_sandbox(self.id))

    def pause(self) -> None:
        """Freezes the sandbox where it is; it keeps its memory."""
        self._client.http.call(lifecycle.pause_sandbox(self.id))

    def resume(self) -> None:
        """Lets the paused sandbox go on, and waits until it answers."""
        self._client.http.call(lifecycle.resume_sandbox(self.id))
        self._running(None)
        self._reach()

    def stop(self, *, memory: bool = False) -> models.StopSandboxResponse:
        """Ends all processes and keeps the files; with `memory` also memory, where the host can (see the answer)."""
        limit = self._client.settings.timeouts.create
        body = models.StopSandboxRequest(memory=memory)
        return self._client.http.call(lifecycle.stop_sandbox(self.id, body=body), silence=limit)

    def start(self) -> models.StartSandboxResponse:
        """Starts the stopped sandbox, and waits until it answers."""
        limit = self._client.settings.timeouts.create
        started = self._client.http.call(lifecycle.start_sandbox(self.id), silence=limit)
        self._running(None)
        self._reach()
        return started

    def renew(self, lifetime: float | timedelta) -> datetime:
        """Lets the sandbox live for this long from now, in seconds, and returns when it expires."""
        seconds = lifetime if isinstance(lifetime, timedelta) else timedelta(seconds=lifetime)
        body = models.RenewSandboxExpirationRequest(expires_at=datetime.now(timezone.utc) + seconds)
        return (self._client.http.call(lifecycle.renew_sandbox_expiration(self.id, body=body))).expires_at

    def label(self, labels: Mapping[str, str | None]) -> models.Sandbox:
        """Changes labels: a value sets one, `None` removes it, others stay."""
        return self._client.http.call(lifecycle.patch_sandbox_metadata(self.id, body=dict(labels)))

    def snapshot(self, name: str | None = None) -> models.Snapshot:
        """Keeps the sandbox's files, and waits until others can start from them: `Sandbox.create(snapshot=…)`."""
        body = models.CreateSnapshotRequest(name=name)
        server = self._client.http
        limit = self._client.settings.timeouts.create
        made = server.call(lifecycle.create_snapshot(self.id, body=body), silence=limit)
        end = time.monotonic() + limit
        pause = _FIRST_POLL
        while made.status.state == "Creating":
            if time.monotonic() > end:
                raise Timeout(f"snapshot {made.id} is still being made")
            sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)
            made = server.call(lifecycle.get_snapshot(made.id))
        if made.status.state != "Ready":
            raise SandboxFailed(f"snapshot {made.id} is {made.status.state}: {made.status.message or ''}")
        return made

    # Ports

    def preview(self, port: int, *, through_server: bool = True, expires: datetime | None = None) -> Preview:
        """Where a port is reached, through the server or at the sandbox's own address.

        With `expires`, the address alone opens the port until then; the server needs its gateway for that.
        """
        until = None if expires is None else str(int(expires.timestamp()))
        found = self._client.http.call(
            lifecycle.get_sandbox_endpoint(self.id, port, use_server_proxy=through_server, expires=until)
        )
        scheme = self._client.http.url.split("://", 1)[0] if through_server else "http"
        return Preview(f"{scheme}://{found.endpoint}", dict(found.headers or {}))

    def request(self, method: str, port: int, path: str = "/", **options: Any) -> httpx.Response:
        """An HTTP request to a port, through the server. `options` are those of httpx: `json`, `params`, `timeout`…"""
        server = self._client.http
        path = "" if path == "/" else f"/{path.removeprefix('/')}"
        return server.passed(method, self._proxied(port) + path, **options)

    @pending
    def tunnel(self, port: int) -> Tunnel:
        """A TCP connection to a port, through the server."""
        return Tunnel(connect(self._client.http, lifecycle.open_tunnel(self.id, port)))

    # What it does and uses

    def logs(self, *, tail: int | None = None, since: str | None = None, timestamps: bool = False) -> str:
        """What the entrypoint has printed: the last `tail` lines, or those since a time such as `10m`."""
        operation = lifecycle.get_diagnostics_logs(
            self.id, scope="container", tail=tail, since=since, timestamps=timestamps
        )
        return (self._client.http.call(operation)).content or ""

    @pending
    def follow_logs(self, *, tail: int | None = None) -> ByteStream:
        """The same, and then what it prints from now on, until it ends."""
        operation = lifecycle.get_diagnostics_logs(self.id, tail=tail, follow=True)
        # A program may be silent for as long as it likes.
        return self._client.http.download(operation, silence=24 * 3600)

    def history(self, limit: int | None = None) -> str:
        """What happened to it, one event a line, oldest first."""
        operation = lifecycle.get_diagnostics_events(self.id, scope="runtime", limit=limit)
        return (self._client.http.call(operation)).content or ""

    def inspect(self) -> str:
        """Everything the server knows of it, as text; secrets are masked."""
        return self._client.http.call(lifecycle.get_diagnostics_inspect(self.id))

    def summary(self) -> str:
        """Inspection, events and logs in one text."""
        return self._client.http.call(lifecycle.get_diagnostics_summary(self.id))

    def usage(self) -> models.SandboxMetrics:
        """Processor time, memory, disk and processes, as the server measures them."""
        return self._client.http.call(lifecycle.get_sandbox_metrics(self.id))

    def metrics(self) -> execd_models.Metrics:
        """Processor and memory load, as seen from inside."""
        return self._http.call(execd.get_metrics())

    @pending
    def watch_metrics(self) -> EventStream[execd_models.Metrics]:
        """The load again and again, as the daemon inside measures it."""
        return self._http.events(execd.watch_metrics())

    def prometheus(self) -> str:
        """Figures of the daemon inside, in Prometheus' text format."""
        return self._http.call(execd.get_prometheus_metrics())

    def ping(self) -> None:
        """Returns if the daemon inside answers."""
        self._http.call(execd.ping())

    def close(self) -> None:
        """Leaves the sandbox alone, and closes connections that were opened for it."""
        if self._own_client:
            self._client.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        if self._owned:
            # It may have expired, or been deleted in the block.
            attempt(self.delete, self._client.settings.timeouts.request)
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.id}>"
