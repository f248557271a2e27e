"""Isolated sessions through the published blocking client. Argument: direct or proxy."""

import sys
import time
from datetime import timedelta

from opensandbox import SandboxSync
from opensandbox.config import ConnectionConfigSync
from opensandbox.exceptions import SandboxException
from opensandbox.models.filesystem import (
    ContentReplaceEntry,
    DirectoryListEntry,
    MoveEntry,
    SearchEntry,
    SetPermissionEntry,
    WriteEntry,
)
from opensandbox.models.isolated import (
    CreateIsolatedSessionRequest,
    EnvPassthroughSpec,
    IsolatedOverlaySpec,
    IsolatedRunOpts,
    IsolatedWorkspaceSpec,
)

IMAGE = "sandkeep/base:latest"
CONFIG = ConnectionConfigSync(use_server_proxy=sys.argv[1] == "proxy")
PROJECT = "/srv/project"


def request(**more):
    return CreateIsolatedSessionRequest(workspace=IsolatedWorkspaceSpec(path=PROJECT), **more)


def runs(session):
    execution = session.run("cat old; echo told >&2; x=kept; cd /srv")
    assert execution.text == "old", execution
    assert execution.logs.stderr[0].text.rstrip() == "told", execution
    execution = session.run("echo $x $PWD $GIVEN", opts=IsolatedRunOpts(envs={"GIVEN": "given"}))
    assert execution.text == "kept /srv given", execution
    assert session.run("exit 7").exit_code == 7
    execution = session.run("sleep 60", opts=IsolatedRunOpts(timeout_seconds=1))
    assert execution.exit_code not in (0, None) or execution.error, execution


def background(session):
    run = session.run_background("echo out; exit 3")
    deadline = time.monotonic() + 20
    while session.run_status(run.run_id).running:
        assert time.monotonic() < deadline, "a background run never ends"
        time.sleep(0.05)
    assert session.run_status(run.run_id).exit_code == 3
    logs = session.run_logs(run.run_id)
    assert (logs.text, logs.cursor) == ("out\n", 4), logs
    assert session.run_logs(run.run_id, cursor=logs.cursor).text == ""


def files(session, sandbox):
    path = f"{PROJECT}/made/file"
    session.files.write_file(path, "one two")
    assert session.files.read_file(path) == "one two"
    assert b"".join(session.files.read_bytes_stream(path)) == b"one two"
    session.files.replace_contents([ContentReplaceEntry(path=path, old_content="one", new_content="three")])
    session.files.set_permissions([SetPermissionEntry(path=path, mode=600)])
    session.files.move_files([MoveEntry(src=path, dest=f"{PROJECT}/moved")])
    session.files.create_directories([WriteEntry(path=f"{PROJECT}/empty", mode=755)])
    info = session.files.get_file_info([f"{PROJECT}/moved"])[f"{PROJECT}/moved"]
    assert (info.size, info.mode) == (9, 600), info
    found = session.files.search(SearchEntry(path=PROJECT, pattern="mov*"))
    assert [entry.path for entry in found] == [f"{PROJECT}/moved"], found
    listed = session.files.list_directory(DirectoryListEntry(path=PROJECT, depth=1))
    assert sorted(entry.path.rsplit("/", 1)[1] for entry in listed) == ["empty", "made", "moved", "old"], listed
    session.files.delete_directories([f"{PROJECT}/empty", f"{PROJECT}/made"])
    session.files.delete_files([f"{PROJECT}/old"])
    assert session.run(f"ls {PROJECT}; cat {PROJECT}/moved").text.split() == ["moved", "three", "two"]
    assert sandbox.commands.run(f"ls {PROJECT}").text == "old", "the sandbox sees nothing of it"


def shapes(sandbox):
    session = sandbox.isolation.create(
        CreateIsolatedSessionRequest(
            profile="balanced",
            overlays=[
                IsolatedOverlaySpec(path=PROJECT, mode="rw"),
                IsolatedOverlaySpec(path="/home", mode="overlay", persist=False),
            ],
            share_net=False,
            env_passthrough=EnvPassthroughSpec(mode="allow", keys=["MARKED"]),
            uid=1234,
            gid=4321,
            uid_mode="setpriv",
            idle_timeout_seconds=600,
        )
    )
    assert session.run("echo $MARKED; id -u; id -g").text.split() == ["mark", "1234", "4321"]
    state = session.get()
    assert (state.status, state.uid, state.share_net) == ("active", 1234, False), state
    assert [overlay.path for overlay in state.overlays] == [PROJECT, "/home"], state
    assert 0 < state.idle_remaining_seconds <= 600, state
    session.delete()


def main():
    sandbox = SandboxSync.create(
        IMAGE,
        connection_config=CONFIG,
        timeout=timedelta(minutes=10),
        resource={"cpu": "1", "memory": "500Mi"},
        env={"MARKED": "mark", "MY_TOKEN": "hidden"},
        extensions={"bootstrap.execd.isolation": "enable"},
    )
    try:
        found = sandbox.isolation.capabilities()
        assert found.available and found.isolator, found
        assert found.hardening.seccomp.state == found.hardening.landlock.state == "active", found
        sandbox.commands.run(f"mkdir -p {PROJECT}; echo old > {PROJECT}/old")
        session = sandbox.isolation.create(request())
        assert session.run("echo $MARKED-$MY_TOKEN").text == "mark-"
        runs(session)
        background(session)
        files(session, sandbox)
        again = sandbox.isolation.attach(session.session_id)
        assert again.run("echo $x").text == "kept"
        assert [one.session_id for one in sandbox.isolation.list()] == [session.session_id]
        session.delete()
        try:
            again.get()
            raise AssertionError("a deleted session is still there")
        except SandboxException:
            pass
        shapes(sandbox)
        with sandbox.isolation.session(request()) as once:
            assert once.run("echo once").text == "once"
        assert sandbox.isolation.list() == []
    finally:
        sandbox.kill()
        sandbox.close()
    print("ok")


main()
