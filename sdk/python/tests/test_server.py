from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
import time
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from conftest import IMAGE
from sandkeep import ApiError, BadRequest, Client, Conflict, NotFound, Sandbox, Unauthorized, models

pytestmark = pytest.mark.anyio


def archive_of(files: dict[str, bytes]) -> bytes:
    """A docker archive of an image with these files."""

    def packed(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    layer = packed(files)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}]
    return packed({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})


async def gone(client: Client, id: str) -> bool:
    try:
        await client.get(id)
    except NotFound:
        return True
    return False


async def test_a_created_sandbox_ends_with_its_block(client: Client) -> None:
    async with Sandbox.create(
        IMAGE,
        client=client,
        env={"GREETING": "hello"},
        metadata={"suite": "python"},
        resources={"memory": "256Mi"},
        timeout=timedelta(minutes=5),
        entrypoint=["sh", "-c", "echo started; exec sleep infinity"],
    ) as sb:
        info = await sb.info()
        assert info.status.state == "Running" and info.metadata == {"suite": "python"}
        assert info.expires_at is not None and info.expires_at > datetime.now(timezone.utc)
        assert (await sb.run("echo $GREETING")).stdout == "hello\n"
        assert sb.id in [one.id async for one in client.all(metadata={"suite": "python"}, states=["Running"])]
        assert (await client.list(metadata={"suite": "p&q=r/é"})).items == []
        assert repr(sb) == f"<Sandbox {sb.id}>"
    assert await gone(client, sb.id)


async def test_without_a_block_it_stays_until_deleted(client: Client) -> None:
    sb = await Sandbox.create(IMAGE, client=client, timeout=None)
    async with Sandbox.connect(sb.id, client=client) as again:
        assert (await again.info()).expires_at is None
    assert (await sb.run("true")).ok, "leaving what was only connected to deletes nothing"
    await client.delete(sb.id)
    assert await gone(client, sb.id)


async def test_a_client_of_its_own_comes_from_the_environment() -> None:
    async with Sandbox.create(IMAGE) as sb:
        async with Sandbox.connect(sb.id) as again:
            assert (await again.run("echo hi")).stdout == "hi\n"


async def test_reached_directly(client: Client) -> None:
    async with Client(direct=True) as direct, Sandbox.create(IMAGE, client=direct) as sb:
        assert (await sb.run("echo near")).stdout == "near\n"
        assert (await sb.code.python("1 + 1")).text == "2"


async def test_a_key_makes_one_sandbox_of_two_requests(client: Client) -> None:
    key = os.urandom(8).hex()
    async with Sandbox.create(IMAGE, client=client, idempotency_key=key) as one:
        two = await Sandbox.create(IMAGE, client=client, idempotency_key=key)
        assert one.id == two.id


async def test_what_is_wrong_is_said(client: Client) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        await Sandbox.create(client=client)
    with pytest.raises(BadRequest) as refused:
        await Sandbox.create(IMAGE, client=client, resources={"memory": "lots"})
    assert refused.value.status == 400 and refused.value.request_id and "memory" in str(refused.value)
    with pytest.raises(NotFound):
        await Sandbox.connect("no-such-sandbox", client=client)
    async with Client(api_key="wrong") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.list()
    assert "wrong" not in repr(stranger.settings)


async def test_pause_and_stop(client: Client) -> None:
    async with Sandbox.create(IMAGE, client=client) as sb:
        await sb.files.write("/kept", "yes")
        await sb.pause()
        assert (await sb.info()).status.state == "Paused"
        with pytest.raises(Conflict):
            await sb.pause()
        await sb.resume()
        assert (await sb.run("cat /kept")).stdout == "yes"
        stopped = await sb.stop()
        assert (await sb.info()).status.state == "Stopped" and stopped.memory is False
        await sb.start()
        assert (await sb.run("cat /kept")).stdout == "yes"


async def test_lifetime_and_labels(sb: Sandbox) -> None:
    until = await sb.renew(timedelta(hours=1))
    assert timedelta(minutes=55) < until - datetime.now(timezone.utc) <= timedelta(hours=1)
    assert (await sb.label({"a": "1", "b": "2"})).metadata == {"a": "1", "b": "2"}
    assert (await sb.label({"a": None})).metadata == {"b": "2"}


async def test_snapshots_fork_work(client: Client) -> None:
    async with Sandbox.create(IMAGE, client=client) as sb:
        await sb.files.write("/app", "done")
        snapshot = await sb.snapshot("work")
    try:
        assert snapshot.status.state == "Ready" and (await client.snapshots.get(snapshot.id)).name == "work"
        assert [one.id for one in (await client.snapshots.list(sandbox=sb.id)).items] == [snapshot.id]
        async with Sandbox.create(snapshot=snapshot.id, client=client) as fork:
            assert await fork.files.read_text("/app") == "done"
    finally:
        await client.snapshots.delete(snapshot.id)
    with pytest.raises(NotFound):
        await client.snapshots.get(snapshot.id)


async def test_templates(client: Client) -> None:
    request = models.CreateFsbTemplateRequest(image=IMAGE, publish="python-suite", env={"FROM": "template"})
    template = await client.templates.create(request)
    try:
        for _ in range(600):
            if (template := await client.templates.get(template.template_id)).status.phase in ("Succeeded", "Failed"):
                break
            await asyncio.sleep(0.1)
        assert template.status.phase == "Succeeded", template
        assert template.template_id in [one.template_id for one in (await client.templates.list()).items]
        async with Sandbox.create(template=template.template_id, client=client) as sb:
            assert (await sb.run("echo $FROM")).stdout == "template\n"
    finally:
        await client.templates.delete(template.template_id)


async def test_pools(client: Client) -> None:
    content = {"spec": {"containers": [{"name": "sandbox", "image": IMAGE}]}}
    made = await client.pools.create("python-suite", content, buffer=(1, 1), size=(0, 3))
    try:
        assert made.capacity_spec.pool_max == 3
        async with Sandbox.create(pool="python-suite", client=client, env={"WHOSE": "mine"}) as sb:
            assert (await sb.run("echo $WHOSE")).stdout == "mine\n"
        assert (await client.pools.update("python-suite", buffer=(0, 1), size=(0, 2))).capacity_spec.pool_max == 2
        assert (await client.pools.get("python-suite")).capacity_spec.buffer_min == 0
        assert "python-suite" in [pool.name for pool in await client.pools.list()]
    finally:
        await client.pools.delete("python-suite")


async def test_images(client: Client) -> None:
    assert any(IMAGE in name for image in await client.images.list() for name in image.names)
    (made,) = await client.images.load(archive_of({"etc/motd": b"hello"}), names=["python-suite/tiny:1"])
    (name,) = [name for name in made.names if "python-suite/tiny:1" in name]
    async with client.images.save(name) as archive:
        (copy,) = await client.images.load(archive, names=["python-suite/copy:1"])
    for name in {*made.names, *copy.names}:
        await client.images.delete(name)
    assert not any("python-suite" in name for image in await client.images.list() for name in image.names)
    # No registry is here: what counts is that the server was asked, and says what it lacks.
    with pytest.raises(ApiError):
        await client.images.pull("127.0.0.1:1/nobody/nothing:1", auth=("me", "secret"))
    with pytest.raises(ApiError):
        await client.images.push(IMAGE, "127.0.0.1:1/nobody/nothing:1")


async def test_ports(sb: Sandbox, place: str) -> None:
    await sb.files.write(f"{place}/page.html", "<h1>hello</h1>")
    server = await sb.commands.start(["python3", "-m", "http.server", "8123"], cwd=place)
    for _ in range(600):
        answer = await sb.request("GET", 8123, "/page.html", headers={"x-mine": "1"})
        if answer.status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert answer.text == "<h1>hello</h1>"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await sb.request(method, 8123, "/page.html")).status_code == 501
        assert (await sb.request(method, 8123)).status_code == 501
    assert (await sb.request("GET", 8123)).status_code == 200
    preview = await sb.preview(8123)
    async with httpx.AsyncClient() as browser:
        page = await browser.get(f"{preview.url}/page.html", headers=preview.headers)
        assert page.text == "<h1>hello</h1>"
    assert (await sb.preview(8123, through_server=False)).url.startswith("http://10.")
    async with sb.tunnel(8123) as tunnel:
        await tunnel.send(b"GET /page.html HTTP/1.0\r\n\r\n")
        await tunnel.send_eof()
        told = b""
        while piece := await tunnel.receive():
            told += piece
    assert told.endswith(b"<h1>hello</h1>")
    await server.interrupt()


async def test_what_happened(client: Client) -> None:
    entrypoint = ["sh", "-c", "echo first line; sleep infinity"]
    async with Sandbox.create(IMAGE, client=client, entrypoint=entrypoint) as sb:
        async with sb.follow_logs() as lines:
            seen = b""
            async for piece in lines:
                seen += piece
                if b"first line" in seen:
                    break
        assert "first line" in await sb.logs(tail=100)
        assert "SANDBOX_RUNNING" in await sb.history(50)
        assert sb.id in await sb.inspect() and sb.id in await sb.summary()
        usage = await sb.usage()
        assert usage.memory_bytes > 0 and usage.pids > 0
        assert (await sb.metrics()).cpu_count > 0
        async with sb.watch_metrics() as load:
            assert (await load.__anext__()).mem_total_mib > 0
        assert "# TYPE" in await sb.prometheus()


async def test_events_are_followed_and_missed_by_nobody(client: Client) -> None:
    async with client.events(types=["sandbox.state"], metadata={"watched": "yes"}) as events:
        async with Sandbox.create(IMAGE, client=client, metadata={"watched": "yes"}) as sb:
            states: list[str | None] = []
            async for event in events:
                assert event.sandbox_id == sb.id
                states.append(event.state)
                if event.state == "Running":
                    break
    assert states == ["Pending", "Running"] and events.last is not None
    async with client.events(sandboxes=[sb.id], after=0) as again:
        assert (await again.__anext__()).state == "Pending"
        # The connection breaks, and the iterator goes on behind the last event.
        await again.aclose()
        assert (await again.__anext__()).state == "Running"


async def test_the_server_itself(client: Client) -> None:
    assert (await client.health()).status == "healthy"
    assert await client.version()
    assert (await client.capabilities())["pause"].available
    began = time.monotonic()
    await client.report_created(time.monotonic() - began, success=True, image=IMAGE)
    assert "# TYPE" in await client.prometheus()


async def test_network_policies(client: Client) -> None:
    policy = models.NetworkPolicy(
        default_action="deny", egress=[models.NetworkRule(action="allow", target="192.0.2.1")]
    )
    async with Sandbox.create(IMAGE, client=client, network_policy=policy) as sb:

        async def rules() -> set[tuple[str, str]]:
            now = (await sb.network.policy()).policy
            return {(rule.action, rule.target) for rule in (now and now.egress) or []}

        assert await rules() == {("allow", "192.0.2.1")}
        await sb.network.allow("a.invalid", "b.invalid")
        await sb.network.deny("b.invalid")
        assert await rules() == {("allow", "192.0.2.1"), ("allow", "a.invalid"), ("deny", "b.invalid")}
        await sb.network.remove("a.invalid", "b.invalid")
        await sb.network.replace(models.NetworkPolicy(default_action="allow"))
        assert await rules() == set()
    async with Sandbox.create(IMAGE, client=client) as sb:
        with pytest.raises(NotFound):
            await sb.network.policy()


async def test_a_vault_and_the_audit(client: Client) -> None:
    policy = models.NetworkPolicy(
        default_action="deny", egress=[models.NetworkRule(action="allow", target="api.invalid")]
    )
    binding = models.CredentialBinding(
        name="api",
        match=models.CredentialMatch(hosts=["api.invalid"]),
        auth=models.BearerCredentialAuth(type_="bearer", credential="token"),
    )
    async with Sandbox.create(IMAGE, client=client, network_policy=policy, credential_proxy=True) as sb:
        with pytest.raises(NotFound):
            await sb.vault.state()
        made = await sb.vault.create({"token": "very-secret"}, [binding])
        assert [one.name for one in made.credentials] == ["token"] and "very-secret" not in repr(made)
        assert (await sb.vault.state()).revision == made.revision
        changed = await sb.vault.change(replace={"token": "other"}, expected_revision=made.revision)
        assert changed.revision > made.revision
        with pytest.raises(Conflict):
            await sb.vault.change(replace={"token": "third"}, expected_revision=made.revision)
        assert [one.name for one in await sb.vault.credentials()] == ["token"]
        assert (await sb.vault.credential("token")).source_type == "inline"
        assert [one.name for one in await sb.vault.bindings()] == ["api"]
        assert (await sb.vault.binding("api")).name == "api"
        await sb.vault.delete()
        # Nobody resolves the name, yet that it was asked for is written down.
        await sb.run("python3 -c 'import socket; socket.getaddrinfo(\"denied.invalid\", 80)'")
        for _ in range(600):
            told = await sb.network.audit(limit=1000)
            if any(one.host == "denied.invalid" and not one.allowed for one in told.entries):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(told)
        assert (await sb.network.audit(after=told.next_)).entries == []
