"""A working day with the published command line client. Argument: direct or proxy."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

OSB = os.environ["OSB"]
WAY = ["--use-server-proxy"] if sys.argv[1] == "proxy" else ["--no-use-server-proxy"]
HOME = tempfile.TemporaryDirectory()


def osb(*arguments, status=0):
    environment = {**os.environ, "HOME": HOME.name, "NO_COLOR": "1"}
    command = [OSB, "--no-color", *WAY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == status, (arguments, done)
    return done.stdout


def sandbox_commands(sandbox):
    assert "Hello CLI" in osb("command", "run", sandbox, "--", "echo", "Hello CLI")
    assert "$HOME" in osb("command", "run", "--argv", sandbox, "--", "echo", "$HOME")
    osb("command", "run", sandbox, "--", "sh", "-c", "exit 3", status=1)
    background = ("command", "run", "-d", "-o", "json", sandbox, "--", "sh", "-c", "echo begun; sleep 60")
    execution = json.loads(osb(*background))["execution_id"]
    deadline = time.monotonic() + 10
    while "begun" not in osb("command", "logs", sandbox, execution, "-o", "raw"):
        assert time.monotonic() < deadline, "no output"
    status = json.loads(osb("command", "status", sandbox, execution, "-o", "json"))
    assert status["running"] is True, status
    osb("command", "interrupt", sandbox, execution)
    while json.loads(osb("command", "status", sandbox, execution, "-o", "json"))["running"]:
        assert time.monotonic() < deadline + 10, "an interrupted command runs on"


def sandbox_files(sandbox):
    here = pathlib.Path(HOME.name)
    (here / "up.txt").write_text("alpha\nbeta\n")
    osb("file", "mkdir", sandbox, "/srv/dir")
    osb("file", "upload", sandbox, str(here / "up.txt"), "/srv/dir/up.txt")
    assert "beta" in osb("file", "cat", sandbox, "/srv/dir/up.txt")
    osb("file", "download", sandbox, "/srv/dir/up.txt", str(here / "down.txt"))
    assert (here / "down.txt").read_text() == "alpha\nbeta\n"
    assert "up.txt" in osb("file", "search", sandbox, "/srv", "--pattern", "*.txt", "-o", "json")
    assert "/srv/dir/up.txt" in osb("file", "info", sandbox, "/srv/dir/up.txt", "-o", "json")
    osb("file", "mv", sandbox, "/srv/dir/up.txt", "/srv/dir/moved.txt")
    osb("file", "rm", sandbox, "/srv/dir/moved.txt")
    osb("file", "rmdir", sandbox, "/srv/dir")


def main():
    created = osb(
        *("sandbox", "create", "--image", "sandkeep/base:latest", "--timeout", "10m", "-o", "json"),
        *("-m", "made=by-cli", "-e", "A=1", "--resource", "cpu=1", "--resource", "memory=256Mi"),
    )
    sandbox = json.loads(created)["id"]
    try:
        assert sandbox in osb("sandbox", "list", "-o", "json")
        assert json.loads(osb("sandbox", "get", sandbox, "-o", "json"))["id"] == sandbox
        osb("sandbox", "health", sandbox)
        osb("sandbox", "metrics", sandbox)
        osb("sandbox", "renew", sandbox, "--timeout", "30m")
        osb("sandbox", "endpoint", sandbox, "--port", "8000")
        sandbox_commands(sandbox)
        sandbox_files(sandbox)
    finally:
        osb("sandbox", "kill", sandbox)
    assert sandbox not in osb("sandbox", "list", "-o", "json")


main()
print("ok")
