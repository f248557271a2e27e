"""Quick start and daily use of the published blocking client. Argument: direct or proxy."""

import sys
import threading
import time
from datetime import timedelta

from opensandbox import SandboxManagerSync, SandboxSync
from opensandbox.config import ConnectionConfigSync
from opensandbox.models.execd import RunCommandOpts
from opensandbox.models.execd_sync import ExecutionHandlersSync
from opensandbox.models.filesystem import DirectoryListEntry, SearchEntry, WriteEntry
from opensandbox.models.sandboxes import SandboxFilter

IMAGE = "sandkeep/base:latest"
CONFIG = ConnectionConfigSync(use_server_proxy=sys.argv[1] == "proxy")


def commands(sandbox):
    execution = sandbox.commands.run("echo 'Hello Sandbox!'; echo warning >&2")
    assert execution.logs.stdout[0].text.rstrip() == "Hello Sandbox!", execution
    assert execution.logs.stderr[0].text.rstrip() == "warning", execution
    execution = sandbox.commands.run(["python3", "-c", "import sys; print(sys.argv[1:])", "a b", "*"])
    assert execution.text == "['a b', '*']", execution
    execution = sandbox.commands.run("kill -9 $$")
    assert execution.exit_code == 137, execution
    execution = sandbox.commands.run("printf 'no end'; printf '\\rprogress'")
    assert "no end" in execution.text and "progress" in execution.text, execution
    execution = sandbox.commands.run("id -u", opts=RunCommandOpts(uid=1234, gid=1234))
    assert execution.text == "1234", execution


def background_and_interrupt(sandbox):
    execution = sandbox.commands.run("echo begun; sleep 60", opts=RunCommandOpts(background=True))
    while "begun" not in sandbox.commands.get_background_command_logs(execution.id).content:
        time.sleep(0.05)
    assert sandbox.commands.get_command_status(execution.id).running
    sandbox.commands.interrupt(execution.id)
    deadline = time.monotonic() + 10
    while sandbox.commands.get_command_status(execution.id).running:
        assert time.monotonic() < deadline, "an interrupted command runs on"
        time.sleep(0.05)
    assert sandbox.commands.get_command_status(execution.id).exit_code != 0

    started = threading.Event()
    ids, results = [], []

    def on_init(init):
        ids.append(init.id)
        started.set()

    def run():
        handlers = ExecutionHandlersSync(on_init=on_init)
        results.append(sandbox.commands.run("sleep 60", handlers=handlers))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    sandbox.commands.interrupt(ids[0])
    thread.join(10)
    assert results and results[0].exit_code != 0, results


def files(sandbox):
    sandbox.files.write_file("/srv/one/script.py", "print('from a file')\n")
    assert sandbox.commands.run("python3 /srv/one/script.py").text == "from a file"
    big = b"0123456789abcdef" * (4 << 16)
    sandbox.files.write_files([WriteEntry(path="/srv/big", data=big), WriteEntry(path="/srv/small", data="s")])
    assert sandbox.files.read_bytes("/srv/big") == big
    assert b"".join(sandbox.files.read_bytes_stream("/srv/big")) == big
    listed = sandbox.files.list_directory(DirectoryListEntry(path="/srv", depth=1))
    assert sorted(entry.path for entry in listed) == ["/srv/big", "/srv/one", "/srv/small"], listed
    found = sandbox.files.search(SearchEntry(path="/srv", pattern="s*"))
    assert sorted(entry.path for entry in found) == ["/srv/one/script.py", "/srv/small"], found
    sandbox.files.delete_directories(["/srv/one"])


def main():
    sandbox = SandboxSync.create(
        IMAGE, connection_config=CONFIG, timeout=timedelta(minutes=10), resource={"cpu": "1", "memory": "500Mi"}
    )
    try:
        for scenario in (commands, background_and_interrupt, files):
            scenario(sandbox)
        sandbox.renew(timedelta(minutes=30))
        with SandboxManagerSync.create(connection_config=CONFIG) as manager:
            page = manager.list_sandbox_infos(SandboxFilter(states=["Running"], page_size=200))
            assert sandbox.id in [info.id for info in page.sandbox_infos], page
            manager.renew_sandbox(sandbox.id, timedelta(minutes=40))
            assert manager.get_sandbox_info(sandbox.id).status.state == "Running"
    finally:
        sandbox.destroy()
    with SandboxSync.create(IMAGE, connection_config=CONFIG) as forever:
        assert forever.get_info().id == forever.id
        forever.kill()


main()
print("ok")
