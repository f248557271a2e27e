"""Runs the quick start of a published package as its own installed documentation prints it.

Argument: the package. Only the address, the key, what a reader has to fill in and a policy that depends on luck are
replaced.
"""

import ast
import asyncio
import contextlib
import importlib.metadata
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

DOMAIN, KEY = os.environ["OPEN_SANDBOX_DOMAIN"], os.environ["OPEN_SANDBOX_API_KEY"]

# Package: language of the blocks and what each of them prints. `None` stands for one that needs what is not here: a
# Redis, PyPI.
EXPECTED = {
    "opensandbox": ("python", ["Hello Sandbox!\n", "Hello Sandbox!\n", "pool-ok\n", "pool-ok\n", None]),
    "opensandbox-code-interpreter": ("python", ["4\n", "4\n", None]),
    "opensandbox-cli": ("bash", None),
}


def blocks(package, language):
    text = importlib.metadata.metadata(package).get_payload()
    section = text.split("\n## Quick Start\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def run_python(block):
    source = block.replace("api.opensandbox.io", DOMAIN).replace("your-api-key", KEY)
    # A pool that has only just been started may have nothing yet, and the printed policy then gives up.
    source = source.replace("AcquirePolicy.FAIL_FAST", "AcquirePolicy.DIRECT_CREATE")
    code = compile(source, "<quick start>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    scope, printed = {"__name__": "__main__"}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, scope))
        else:
            exec(code, scope)
    return printed.getvalue()


class Shell:
    """Runs lines for `osb`; the id of the sandbox made last stands for what the reader fills in."""

    def __init__(self, home):
        self.home, self.made = home, []
        self.environment = {**os.environ, "HOME": home, "NO_COLOR": "1"}
        # What the lines configure is to count.
        for name in ("OPEN_SANDBOX_DOMAIN", "OPEN_SANDBOX_API_KEY"):
            self.environment.pop(name)

    def run(self, line):
        for told, meant in (
            ("localhost:8080", DOMAIN),
            ("<your-api-key>", KEY),
            ("/tmp/dev.toml", f"{self.home}/dev.toml"),
            ("<sandbox-id>", self.made[0] if self.made else ""),
        ):
            line = line.replace(told, meant)
        program, *words = shlex.split(line)
        assert program == "osb", line
        command = [os.environ["OSB"], *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=self.environment)
        assert done.returncode == 0, (line.replace(KEY, "KEY"), done.stdout, done.stderr)
        if words[:2] == ["sandbox", "create"]:
            self.made.append(json.loads(done.stdout)["id"])
        return done.stdout


def run_shell(lines):
    with tempfile.TemporaryDirectory() as home:
        shell = Shell(home)
        try:
            seen = {line: shell.run(line) for line in lines}
        finally:
            # The quick start makes a second one and leaves it.
            for sandbox in shell.made[1:]:
                shell.run(f"osb sandbox kill {sandbox} -o json")
    printed = next(output for line, output in seen.items() if "print(1 + 1)" in line)
    assert printed.strip() == "2", seen
    read = next(output for line, output in seen.items() if line.startswith("osb file cat"))
    assert read.strip() == "hello", seen
    health = next(output for line, output in seen.items() if line.startswith("osb sandbox health"))
    assert json.loads(health)["healthy"] is True, seen


def main(package):
    language, expected = EXPECTED[package]
    found = blocks(package, language)
    if language == "bash":
        run_shell([line for block in found for line in block.splitlines()])
        return
    assert len(found) == len(expected), (len(found), "blocks in the quick start")
    for number, (block, wanted) in enumerate(zip(found, expected)):
        if wanted is not None:
            printed = run_python(block)
            assert printed.rstrip() == wanted.rstrip(), (package, number, printed)


main(sys.argv[1])
print("ok")
