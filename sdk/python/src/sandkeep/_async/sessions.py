"""Shells that keep directory, variables and functions from one command to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from .._api.execd import models
from .._api.execd import operations as execd
from .._glue.glue_async import Callback, attempt, pending
from ..results import CommandResult
from .commands import millis
from .process import Process
from .transport import Http


class Session:
    """A shell. As a context manager it ends with the block."""

    def __init__(self, http: Http, id: str) -> None:
        self._http = http
        self.id = id

    async def run(
        self,
        command: str,
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
    ) -> CommandResult:
        """Runs shell text to its end; `timeout` is in seconds. `exit N` ends the run, not the session."""
        process = self.stream(command, cwd=cwd, env=env, timeout=timeout)
        result = await process.wait(on_stdout=on_stdout, on_stderr=on_stderr)
        return result.check() if check else result

    def stream(
        self,
        command: str,
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
    ) -> Process:
        """Runs shell text, and gives its output as it comes."""
        body = models.RunInSessionRequest(
            command=command, cwd=cwd, envs=dict(env) if env else None, timeout=millis(timeout)
        )
        return Process(self._http, execd.run_in_session(self.id, body=body), "nothing")

    async def delete(self) -> None:
        """Ends the shell and what runs in it."""
        await self._http.call(execd.delete_session(self.id))

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *error: object) -> None:
        await attempt(self.delete, self._http.settings.timeouts.cleanup)


class Sessions:
    """Shell sessions of a sandbox."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @pending
    async def create(self, *, cwd: str | None = None) -> Session:
        """A new shell."""
        made = await self._http.call(execd.create_session(body=models.CreateSessionRequest(cwd=cwd)))
        return Session(self._http, made.session_id)

    def get(self, id: str) -> Session:
        """A shell by its id."""
        return Session(self._http, id)
