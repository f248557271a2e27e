"""How a server is reached, and how long anything may take."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of every wait, in seconds."""

    connect: float = 5
    """Until a connection stands."""
    request: float = 30
    """Longest silence of an ordinary request."""
    create: float = 600
    """Until a sandbox is created, which may include fetching its image; also for stop, start and snapshots."""
    ready: float = 30
    """Until a fresh sandbox answers."""
    idle: float = 30
    """Longest silence within a stream or transfer; streams of events carry a sign of life every 3 s."""
    cleanup: float = 5
    """For ending what a cancelled call has begun."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a client knows of its server."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 2
    """How often a request that changes nothing is repeated when the connection fails or the server is overloaded."""
    proxy: str | None = field(default=None, repr=False)
    """HTTP or SOCKS proxy on the way to the server. Default: what `HTTP_PROXY` and its relatives say."""
    ca: str | ssl.SSLContext | None = None
    """File with the authorities to trust, or a context of one's own. Default: those of the system or of certifi."""
    direct: bool = False
    """Speak to sandboxes at their own addresses instead of through the server: faster, from the server's machine only."""

    @classmethod
    def make(cls, url: str | None, api_key: str | None, **others: object) -> Settings:
        """Settings from arguments, else from `SANDKEEP_URL` and `OPEN_SANDBOX_API_KEY`."""
        url = url or os.environ.get("SANDKEEP_URL", "").strip() or DEFAULT_URL
        if "://" not in url:
            url = f"http://{url}"
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is neither an http nor an https address")
        api_key = api_key or os.environ.get("OPEN_SANDBOX_API_KEY", "").strip() or None
        url = url.rstrip("/").removesuffix("/v1")
        return cls(url, api_key, **{name: value for name, value in others.items() if value is not None})  # type: ignore[arg-type]

    def ssl_context(self) -> ssl.SSLContext | bool:
        """What connections are checked against."""
        if isinstance(self.ca, ssl.SSLContext):
            return self.ca
        if not self.ca:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # which does not say of which file
            raise ValueError(f"the authorities in {self.ca} cannot be read: {error}") from error
