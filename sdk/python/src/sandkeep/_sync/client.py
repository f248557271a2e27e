# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""A server, and what it keeps beside sandboxes."""

from __future__ import annotations

import builtins
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .._api.lifecycle import models
from .._api.lifecycle import operations as lifecycle
from .._glue.glue_sync import pending, pieces, sleep
from .._glue.shared import Source
from ..errors import ConnectionFailed
from ..settings import Settings, Timeouts
from .transport import ByteStream, EventStream, Http, Pool

API_KEY_HEADER = "OPEN-SANDBOX-API-KEY"
_PAUSE = 0.2
"""Seconds before events are asked for again after their connection broke; doubled up to ten seconds."""
_LONGEST_PAUSE = 10.0


def filter_of(labels: Mapping[str, str] | None) -> str | None:
    """Labels as a filter: a query string inside a query string, so its parts are escaped on their own first."""
    if not labels:
        return None
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in labels.items())


class Client:
    """A lifecycle-server. One client is enough for a program; it keeps connections and is safe to share."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeouts: Timeouts | None = None,
        retries: int | None = None,
        proxy: str | None = None,
        ca: str | ssl.SSLContext | None = None,
        direct: bool | None = None,
    ) -> None:
        """Where the server is; what is left out comes from `SANDKEEP_URL`, `OPEN_SANDBOX_API_KEY` and `Settings`."""
        self.settings = Settings.make(
            url, api_key, timeouts=timeouts, retries=retries, proxy=proxy, ca=ca, direct=direct
        )
        self.pool = Pool(self.settings)
        key = self.settings.api_key
        self.http = Http(self.pool, self.settings.url, {API_KEY_HEADER: key} if key else {})
        self.snapshots = Snapshots(self.http)
        """What sandboxes left behind for others to start from."""
        self.templates = Templates(self.http)
        """What sandboxes can be made of, under an id."""
        self.pools = Pools(self.http)
        """Sandboxes kept running ahead of requests."""
        self.images = Images(self.http)
        """What sandboxes are made from."""

    def list(
        self,
        *,
        states: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        page: int | None = None,
        page_size: int | None = None,
    ) -> models.ListSandboxesResponse:
        """One page of sandboxes, newest first: in one of these states, with all of these labels."""
        return self.http.call(
            lifecycle.list_sandboxes(
                state=builtins.list(states) or None, metadata=filter_of(metadata), page=page, page_size=page_size
            )
        )

    def all(self, *, states: Sequence[str] = (), metadata: Mapping[str, str] | None = None) -> Iterator[models.Sandbox]:
        """Every sandbox, page by page."""
        page, more = 1, True
        while more:
            found = self.list(states=states, metadata=metadata, page=page, page_size=100)
            for sandbox in found.items:
                yield sandbox
            page, more = page + 1, found.pagination.has_next_page

    def get(self, id: str) -> models.Sandbox:
        """One sandbox as it is now. `Sandbox.connect` gives one to work with."""
        return self.http.call(lifecycle.get_sandbox(id))

    def delete(self, id: str) -> None:
        """Removes a sandbox and everything in it."""
        self.http.call(lifecycle.delete_sandbox(id))

    def events(
        self,
        *,
        sandboxes: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        types: Sequence[str] = (),
        after: int | None = None,
    ) -> SandboxEvents:
        """What happens to sandboxes, as it happens: from now on, or after the event of number `after` (0: the oldest)."""
        return SandboxEvents(self.http, builtins.list(sandboxes), filter_of(metadata), builtins.list(types), after)

    def health(self) -> models.Health:
        """Whether the server is well."""
        return self.http.call(lifecycle.health())

    def version(self) -> str:
        """Which version the server is."""
        return (self.http.call(lifecycle.version())).version

    def capabilities(self) -> dict[str, models.Capability]:
        """What the server can do on its host, and why not more."""
        return (self.http.call(lifecycle.capabilities())).capabilities

    def prometheus(self) -> str:
        """The server's figures in Prometheus' text format."""
        return self.http.call(lifecycle.prometheus_metrics())

    def report_created(self, seconds: float, *, success: bool, image: str | None = None) -> None:
        """Tells the server how long a creation took, as seen from here."""
        body = models.MetricsEvent(
            create_duration_ms=round(seconds * 1000), event_type="sandbox.create", success=success, image=image
        )
        self.http.call(lifecycle.report_metrics_event(body=body))

    def close(self) -> None:
        """Closes all connections."""
        self.pool.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.settings.url}>"


class SandboxEvents:
    """Events of sandboxes. A broken connection is opened again where it broke, and no event is missed."""

    def __init__(
        self, http: Http, sandboxes: list[str], metadata: str | None, types: list[str], after: int | None
    ) -> None:
        self._http = http
        self._sandboxes = sandboxes or None
        self._metadata = metadata
        self._types = types or None
        self._events: EventStream[models.SandboxEvent] | None = None
        self.last = after
        """Number of the last event."""

    def _open(self) -> EventStream[models.SandboxEvent]:
        operation = lifecycle.follow_events(
            sandbox_id=self._sandboxes,
            metadata=self._metadata,
            type_=self._types,
            last_event_id_header=self.last,
        )
        return self._http.events(operation)

    def __iter__(self) -> SandboxEvents:
        return self

    def __next__(self) -> models.SandboxEvent:
        pause, left = _PAUSE, self._http.settings.retries
        while True:
            try:
                if self._events is None:
                    self._events = self._open()
                event = self._events.__next__()
            except (ConnectionFailed, StopIteration) as error:
                self.close()
                # Without a number the place is unknown: going on would miss events in silence.
                if self.last is None or not left:
                    raise ConnectionFailed("the stream of events broke off") from error
                left -= 1
                sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self.last = event.id
                return event

    def close(self) -> None:
        """Leaves the stream."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> SandboxEvents:
        if self._events is None:
            self._events = self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Snapshots:
    """Snapshots on the server. `Sandbox.snapshot` makes one."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self,
        *,
        sandbox: str | None = None,
        name: str | None = None,
        states: Sequence[str] = (),
        page: int | None = None,
        page_size: int | None = None,
    ) -> models.ListSnapshotsResponse:
        """One page of snapshots, newest first."""
        return self._http.call(
            lifecycle.list_snapshots(
                sandbox_id=sandbox,
                name=name,
                state=builtins.list(states) or None,
                page=page,
                page_size=page_size,
            )
        )

    def get(self, id: str) -> models.Snapshot:
        """One snapshot as it is now."""
        return self._http.call(lifecycle.get_snapshot(id))

    def delete(self, id: str) -> None:
        """Removes a snapshot; one that a sandbox uses stays."""
        self._http.call(lifecycle.delete_snapshot(id))


class Templates:
    """Templates on the server."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, request: models.CreateFsbTemplateRequest) -> models.FsbTemplate:
        """A new template."""
        return self._http.call(lifecycle.create_template(body=request))

    def list(
        self, *, metadata: Mapping[str, str] | None = None, page: int | None = None, page_size: int | None = None
    ) -> models.ListFsbTemplatesResponse:
        """One page of templates, with all of these labels."""
        return self._http.call(lifecycle.list_templates(metadata=filter_of(metadata), page=page, page_size=page_size))

    def get(self, id: str) -> models.FsbTemplate:
        """One template."""
        return self._http.call(lifecycle.get_template(id))

    def delete(self, id: str) -> None:
        """Removes a template; sandboxes made from it stay."""
        self._http.call(lifecycle.delete_template(id))


class Pools:
    """Pools on the server."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self, name: str, template: Mapping[str, Any], *, buffer: tuple[int, int], size: tuple[int, int]
    ) -> models.PoolResponse:
        """A pool that keeps between `buffer` sandboxes ready, and has between `size` in all."""
        body = models.CreatePoolRequest(name=name, template=dict(template), capacity_spec=_capacity(buffer, size))
        return self._http.call(lifecycle.create_pool(body=body))

    def update(self, name: str, *, buffer: tuple[int, int], size: tuple[int, int]) -> models.PoolResponse:
        """Changes how many there are."""
        body = models.UpdatePoolRequest(capacity_spec=_capacity(buffer, size))
        return self._http.call(lifecycle.update_pool(name, body=body))

    def list(self) -> builtins.list[models.PoolResponse]:
        """All pools."""
        return (self._http.call(lifecycle.list_pools())).items

    def get(self, name: str) -> models.PoolResponse:
        """One pool, and how full it is."""
        return self._http.call(lifecycle.get_pool(name))

    def delete(self, name: str) -> None:
        """Removes a pool and its waiting sandboxes."""
        self._http.call(lifecycle.delete_pool(name))


def _capacity(buffer: tuple[int, int], size: tuple[int, int]) -> models.PoolCapacitySpec:
    return models.PoolCapacitySpec(buffer_min=buffer[0], buffer_max=buffer[1], pool_min=size[0], pool_max=size[1])


class Images:
    """Images on the server."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> builtins.list[models.StoredImage]:
        """All images."""
        return (self._http.call(lifecycle.list_images())).items

    def pull(self, reference: str, *, auth: tuple[str, str] | None = None) -> models.StoredImage:
        """Fetches an image from its registry."""
        body = models.PullImageRequest(uri=reference, auth=_auth(auth))
        limit = self._http.settings.timeouts.create
        return self._http.call(lifecycle.pull_image(body=body), silence=limit)

    def push(self, reference: str, to: str | None = None, *, auth: tuple[str, str] | None = None) -> str:
        """Sends an image to a registry, and returns the reference it has there."""
        body = models.PushImageRequest(reference=reference, target=to, auth=_auth(auth))
        limit = self._http.settings.timeouts.create
        return (self._http.call(lifecycle.push_image(body=body), silence=limit)).reference

    def load(
        self, archive: Source | Iterable[bytes], *, names: Sequence[str] = ()
    ) -> builtins.list[models.StoredImage]:
        """Stores the images of a docker archive or OCI layout, under these names or its own."""
        operation = lifecycle.import_images(name=builtins.list(names) or None)
        headers = {"content-type": "application/x-tar"}
        limit = self._http.settings.timeouts.create
        response = self._http.send(operation, pieces(archive), headers, limit)
        return models.ImportImagesResponse.from_dict(response.json()).items

    @pending
    def save(self, reference: str) -> ByteStream:
        """An image as an archive, as it comes."""
        return self._http.download(lifecycle.export_image(reference=reference))

    def delete(self, reference: str) -> None:
        """Removes a name, and the image with its last one."""
        self._http.call(lifecycle.delete_image(reference))


def _auth(auth: tuple[str, str] | None) -> models.ImageAuth | None:
    return models.ImageAuth(username=auth[0], password=auth[1]) if auth else None
