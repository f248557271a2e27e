# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""Shells that see the sandbox's files but change them only where that is allowed."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from .._api.execd import models
from .._api.execd import operations as execd
from .._glue.glue_sync import Callback, attempt, pending
from ..results import CommandResult, Logs
from .commands import CURSOR_HEADER, millis
from .files import Files
from .process import Process
from .transport import ByteStream, Http


class BackgroundRun:
    """What runs in the background of an isolated session."""

    def __init__(self, http: Http, session: str, id: str) -> None:
        self._http = http
        self._session = session
        self.id = id

    def status(self) -> models.IsolatedRunStatus:
        """What is known of it."""
        return self._http.call(execd.get_isolated_run_status(self._session, self.id))

    def logs(self, cursor: int = 0) -> Logs:
        """Its output from byte `cursor` on."""
        operation = execd.get_isolated_run_logs(self._session, self.id, cursor=cursor)
        response = self._http.send(operation)
        end = response.headers.get(CURSOR_HEADER)
        return Logs(response.text, int(end) if end else cursor + len(response.content))


class IsolatedSession:
    """A shell with files of its own on top of the sandbox's. As a context manager it ends with the block."""

    def __init__(self, http: Http, id: str) -> None:
        self._http = http
        self.id = id
        self.files = Files(http, "isolated_", (id,))
        """Files as the session sees them."""

    def run(
        self,
        code: str,
        *,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
    ) -> CommandResult:
        """Runs shell text to its end; `timeout` is in seconds, whole ones count. Leaving ends what it started."""
        result = self.stream(code, env=env, timeout=timeout).wait(on_stdout=on_stdout, on_stderr=on_stderr)
        return result.check() if check else result

    def stream(
        self, code: str, *, env: Mapping[str, str] | None = None, timeout: float | timedelta | None = None
    ) -> Process:
        """Runs shell text, and gives its output as it comes."""
        limit = millis(timeout)
        seconds = None if limit is None else -(-limit // 1000)
        body = models.IsolatedRunRequest(code=code, envs=dict(env) if env else None, timeout_seconds=seconds)
        # The daemon ends the run when its client leaves: nothing is left to interrupt.
        return Process(self._http, execd.run_in_isolated_session(self.id, body=body), "nothing")

    def start(self, code: str, *, env: Mapping[str, str] | None = None) -> BackgroundRun:
        """Runs shell text in the background."""
        body = models.IsolatedRunRequest(code=code, envs=dict(env) if env else None, background=True)
        response = self._http.send(execd.run_in_isolated_session(self.id, body=body))
        made = models.IsolatedBackgroundRunResponse.from_dict(response.json())
        return BackgroundRun(self._http, self.id, made.run_id)

    def background(self, id: str) -> BackgroundRun:
        """A background run by its id."""
        return BackgroundRun(self._http, self.id, id)

    @pending
    def diff(self) -> ByteStream:
        """The session's changes as a gzip-compressed tar archive, as it comes."""
        return self._http.download(execd.isolated_session_diff(self.id))

    def commit(self) -> models.IsolatedCommitResponse:
        """Makes the session's changes the sandbox's."""
        return self._http.call(execd.isolated_session_commit(self.id))

    def state(self) -> models.SessionState:
        """What the session is made of, and how it is."""
        return self._http.call(execd.get_isolated_session(self.id))

    def delete(self) -> None:
        """Ends the session; what was not committed is gone."""
        self._http.call(execd.delete_isolated_session(self.id))

    def __enter__(self) -> IsolatedSession:
        return self

    def __exit__(self, *error: object) -> None:
        attempt(self.delete, self._http.settings.timeouts.cleanup)


class Isolated:
    """Isolated sessions of a sandbox."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @pending
    def create(
        self,
        workspace: str | None = None,
        *,
        mode: Literal["overlay", "ro", "rw"] | None = None,
        binds: Sequence[models.BindMount] = (),
        overlays: Sequence[models.IsolatedOverlaySpec] = (),
        writable: Sequence[str] = (),
        share_network: bool | None = None,
        user: tuple[int, int] | None = None,
        profile: Literal["strict", "balanced"] | None = None,
        idle_timeout: int | None = None,
    ) -> IsolatedSession:
        """A session that works in `workspace`, seen as `mode` says; it ends after `idle_timeout` seconds without use."""
        request = models.CreateIsolatedSessionRequest(
            workspace=models.IsolatedWorkspaceSpec(path=workspace, mode=mode) if workspace else None,
            binds=list(binds) or None,
            overlays=list(overlays) or None,
            extra_writable=list(writable) or None,
            share_net=share_network,
            uid=user[0] if user else None,
            gid=user[1] if user else None,
            profile=profile,
            idle_timeout_seconds=idle_timeout,
        )
        made = self._http.call(execd.create_isolated_session(body=request))
        return IsolatedSession(self._http, made.session_id)

    def capabilities(self) -> models.CapabilitiesResponse:
        """What isolation this sandbox can give, and why not more."""
        return self._http.call(execd.isolated_capabilities())

    def list(self) -> builtins.list[models.IsolatedSessionSummary]:
        """All sessions."""
        return (self._http.call(execd.list_isolated_sessions())).sessions

    def get(self, id: str) -> IsolatedSession:
        """A session by its id."""
        return IsolatedSession(self._http, id)
