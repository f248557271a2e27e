"""What needs no sandbox: small servers of the tests' own misbehave on purpose."""

from __future__ import annotations

import copy
import datetime
import io
import pickle
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import sandkeep
import sandkeep.sync as blocking
from conftest import PATIENT
from sandkeep import ConnectionFailed, NotFound, RateLimited, ServerError, StreamBroken, Timeout, Timeouts, models
from sandkeep._operation import format_time, parse_time
from sandkeep._sse import Parser
from sandkeep._tree import unpack

QUICK = Timeouts(connect=60, request=1)


class Answers:
    """A server that answers what it was told to, in turn, and notes what it was asked."""

    def __init__(self, *answers: tuple[int, str, str] | None, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        left = list(answers)
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                this.asked.append(f"{self.command} {self.path}")
                this.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = left.pop(0) if left else (500, "text/plain", "asked too often")
                if answer is None:
                    self.close_connection = True
                    return
                status, kind, body = answer
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("x-request-id", "r-1")
                self.send_header("content-length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[Answers]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()


OK = (200, "application/json", '{"status": "healthy"}')
BUSY = (503, "application/json", '{"code": "BUSY", "message": "later"}')
SANDBOX = (
    202,
    "application/json",
    '{"id": "s", "entrypoint": [], "createdAt": "2026-01-01T00:00:00Z", "status": {"state": "Running"}}',
)


def test_what_changes_nothing_is_repeated() -> None:
    with Answers(None, BUSY, OK).serving() as server, blocking.Client(server.url, "k") as client:
        assert client.health().status == "healthy"
        assert server.asked == ["GET /health"] * 3


def test_nothing_is_repeated_for_ever() -> None:
    with Answers(BUSY, BUSY, BUSY, BUSY).serving() as server, blocking.Client(server.url, "k", retries=1) as client:
        with pytest.raises(ServerError) as refused:
            client.health()
        assert (refused.value.code, refused.value.request_id, len(server.asked)) == ("BUSY", "r-1", 2)


def test_what_starts_something_is_asked_once() -> None:
    ping = (200, "application/json", "{}")
    half = (200, "text/event-stream", 'data: {"type": "init", "text": "c1"}\n\n')
    interrupted = (200, "application/json", "")
    with Answers(SANDBOX, ping, half, interrupted, None).serving() as server:
        with blocking.Client(server.url, "k", timeouts=PATIENT) as client:
            sb = blocking.Sandbox.create("image", client=client)
            with pytest.raises(StreamBroken, match="c1"):
                sb.run("echo")
            with pytest.raises(ConnectionFailed):
                sb.delete()
    execd = "/v1/sandboxes/s/proxy/44772"
    asked = ["POST /v1/sandboxes", f"GET {execd}/ping", f"POST {execd}/command", f"DELETE {execd}/command?id=c1"]
    assert server.asked == [*asked, "DELETE /v1/sandboxes/s"]


def test_a_creation_is_repeated_under_one_key() -> None:
    with Answers(None, SANDBOX, (200, "application/json", "{}")).serving() as server:
        with blocking.Client(server.url, "k", timeouts=PATIENT) as client:
            assert blocking.Sandbox.create("image", client=client).id == "s"
    first, second = (headers["idempotency-key"] for headers in server.headers[:2])
    assert first == second and len(first) > 16


def test_refusals_become_errors_of_their_kind() -> None:
    for status, kind in ((404, NotFound), (429, RateLimited), (500, ServerError)):
        answer = (status, "application/json", '{"code": "C::D", "message": "what is wrong"}')
        with Answers(answer).serving() as server, blocking.Client(server.url, "k") as client:
            with pytest.raises(kind) as refused:
                client.delete("x")
            error = refused.value
            assert str(error) == f"C::D: what is wrong (HTTP {status}, request r-1)"
            assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with Answers((401, "application/json", '{"error": "no token"}')).serving() as server:
        with blocking.Client(server.url) as client, pytest.raises(sandkeep.Unauthorized, match="no token"):
            client.delete("x")


def test_waits_end() -> None:
    silent = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{silent.server_address[1]}"
    with blocking.Client(url, "k", timeouts=QUICK, retries=0) as client, pytest.raises(Timeout):
        client.health()
    silent.server_close()
    with blocking.Client(url, "k", timeouts=QUICK, retries=0) as client, pytest.raises(ConnectionFailed):
        client.health()


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDKEEP_URL", "")
    monkeypatch.setenv("OPEN_SANDBOX_API_KEY", "secret-key")
    for url in ("h:1", "http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"):
        assert blocking.Client(url).settings.url == "http://h:1"
    settings = blocking.Client().settings
    assert settings.url == "http://127.0.0.1:8080" and "secret" not in repr(settings)
    with pytest.raises(ValueError, match="ftp"):
        blocking.Client("ftp://h")


def test_a_proxy_is_used_where_there_is_one() -> None:
    with Answers(OK).serving() as proxy, blocking.Client("http://far.invalid:99", "k", proxy=proxy.url) as client:
        assert client.health().status == "healthy"
        assert proxy.asked == ["GET http://far.invalid:99/health"]


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    config = tmp_path / "openssl.cnf"
    config.write_text(
        "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = more\n[name]\nCN = 127.0.0.1\n"
        "[more]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:true\n"
    )
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", config]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Answers(OK, OK, context=context).serving() as server:
        with blocking.Client(server.url, "k", ca=str(certificate)) as client:
            assert client.health().status == "healthy"
        with blocking.Client(server.url, "k", retries=0) as stranger, pytest.raises(ConnectionFailed):
            stranger.health()
    with pytest.raises(ValueError, match=r"absent\.pem"):
        blocking.Client("https://127.0.0.1:1", ca=str(tmp_path / "absent.pem"))


def test_events_are_cut_wherever_the_bytes_are() -> None:
    text = 'data: {"a": "ü"}\r\n\r\n: note\n\ndata:x\ndata: y\n\nid: 3\ndata: last\n\n'.encode()
    wanted = ['{"a": "ü"}'.encode(), b"x\ny", b"last"]
    for size in range(1, len(text)):
        parser = Parser()
        found = [event for start in range(0, len(text), size) for event in parser.feed(text[start : start + size])]
        assert found == wanted, size


def test_instants() -> None:
    zone = datetime.timezone.utc
    assert parse_time("2026-01-02T03:04:05Z") == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)
    nine = parse_time("2026-01-02T03:04:05.123456789+01:00")
    assert nine == datetime.datetime(2026, 1, 2, 2, 4, 5, 123456, tzinfo=zone)
    assert format_time(nine) == "2026-01-02T02:04:05.123456Z"


def test_models_go_there_and_back() -> None:
    data = {
        "image": {"uri": "i", "auth": {"username": "u"}},
        "env": {"A": None},
        "networkPolicy": {"egress": [{"action": "allow", "target": "t"}]},
        "future": [1],
    }
    request = models.CreateSandboxRequest.from_dict(data)
    assert request.to_dict() == data and request.extra == {"future": [1]}
    assert copy.deepcopy(request) == request and pickle.loads(pickle.dumps(request)) == request
    assert "uri='i'" in repr(request) and "timeout" not in repr(request)


def test_unpacking_writes_nowhere_else(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link in (
            ("../above", tarfile.REGTYPE, ""),
            ("/absolute", tarfile.REGTYPE, ""),
            ("out", tarfile.SYMTYPE, "/etc"),
            ("device", tarfile.CHRTYPE, ""),
            ("hard", tarfile.LNKTYPE, "../../etc/passwd"),
            ("good", tarfile.REGTYPE, ""),
            ("same", tarfile.LNKTYPE, "good"),
            ("near", tarfile.SYMTYPE, "good"),
            ("far", tarfile.SYMTYPE, "later/.."),
            ("far/through", tarfile.REGTYPE, ""),
            ("later", tarfile.SYMTYPE, "../.."),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, 0o6755
            archive.addfile(member)
    buffer.seek(0)
    found = unpack(buffer, tmp_path / "in")
    assert set(found.skipped) == {"../above", "/absolute", "out", "device", "hard", "far/through", "later"}
    assert (tmp_path / "in" / "near").readlink() == Path("good")
    assert (tmp_path / "in" / "same").samefile(tmp_path / "in" / "good")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert (tmp_path / "in" / "good").stat().st_mode & 0o6000 == 0
    assert not Path("/absolute").exists()
