"""Sandboxes for AI agents: computers of their own that start in milliseconds and can be thrown away.

    async with Sandbox.create("sandkeep/base:latest") as sb:
        print((await sb.run("uname -a")).stdout)

Everything here is asynchronous; `sandkeep.sync` has the same without `async` and `await`.
"""

from . import models
from ._async.client import Client, SandboxEvents
from ._async.code import Code, CodeContext
from ._async.commands import Command, Commands
from ._async.files import Files, Progress, SandboxFiles
from ._async.isolated import BackgroundRun, Isolated, IsolatedSession
from ._async.network import Network
from ._async.process import CodeRun, Process
from ._async.sandbox import Sandbox
from ._async.sessions import Session, Sessions
from ._async.sockets import Terminal, Terminals, Tunnel
from ._async.transport import ByteStream, EventStream
from ._async.vault import Vault
from ._version import __version__
from .errors import (
    ApiError,
    BadRequest,
    CodeFailed,
    CommandFailed,
    Conflict,
    ConnectionFailed,
    NotFound,
    RateLimited,
    SandboxFailed,
    SandkeepError,
    ServerError,
    StreamBroken,
    Timeout,
    Unauthorized,
)
from .results import CodeError, CodeResult, CommandResult, Event, FileInfo, Logs, Preview, Rich, Transferred
from .settings import Settings, Timeouts

__all__ = [
    "ApiError",
    "BackgroundRun",
    "BadRequest",
    "ByteStream",
    "Client",
    "Code",
    "CodeContext",
    "CodeError",
    "CodeFailed",
    "CodeResult",
    "CodeRun",
    "Command",
    "CommandFailed",
    "CommandResult",
    "Commands",
    "Conflict",
    "ConnectionFailed",
    "Event",
    "EventStream",
    "FileInfo",
    "Files",
    "Isolated",
    "IsolatedSession",
    "Logs",
    "Network",
    "NotFound",
    "Preview",
    "Process",
    "Progress",
    "RateLimited",
    "Rich",
    "Sandbox",
    "SandboxEvents",
    "SandboxFailed",
    "SandboxFiles",
    "SandkeepError",
    "ServerError",
    "Session",
    "Sessions",
    "Settings",
    "StreamBroken",
    "Terminal",
    "Terminals",
    "Timeout",
    "Timeouts",
    "Transferred",
    "Tunnel",
    "Unauthorized",
    "Vault",
    "__version__",
    "models",
]
