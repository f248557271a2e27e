"""The same as `sandkeep`, blocking: for scripts, notebooks and everything that has no event loop.

with Sandbox.create("sandkeep/base:latest") as sb:
    print(sb.run("uname -a").stdout)
"""

from . import models
from ._sync.client import Client, SandboxEvents
from ._sync.code import Code, CodeContext
from ._sync.commands import Command, Commands
from ._sync.files import Files, Progress, SandboxFiles
from ._sync.isolated import BackgroundRun, Isolated, IsolatedSession
from ._sync.network import Network
from ._sync.process import CodeRun, Process
from ._sync.sandbox import Sandbox
from ._sync.sessions import Session, Sessions
from ._sync.sockets import Terminal, Terminals, Tunnel
from ._sync.transport import ByteStream, EventStream
from ._sync.vault import Vault
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
