"""The examples are run as their readers would, and must print what they promise."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

EXAMPLES = ROOT / "examples/python"
LIMIT = 150
SAYS = {
    "data_analysis.py": ["best city: 'Oslo'", '"mean": 75.04'],
    "edit_test_loop.py": ["attempt 1: 2 failed", "attempt 2: 1 failed", "attempt 3: passed"],
    "preview.py": ["open http://", "<h1>Hello from a sandbox</h1>", "without the header: 401"],
    "fan_out.py": ["50 sandboxes: 1249975000"],
    "function_calls.py": ['write_file: {"written": true}', '"stdout": "3\\n"', "The mean age is 44.0."],
    "langchain_tools.py": ["read_file: 3.14159", "No such file", "(exit code 1)", "Pi was written down."],
    "fork.py": ["sort -rn: 1000", "tail -n 5: 996", "grep 7: 7"],
    "long_job.py": ["step 2\nstep 3\nstep 4\nstep 5\nexit code: 0\nresult 42\n", "events: Pending Running Stopping"],
}


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, "-B", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_example(name: str) -> None:
    output = run(name)
    for promised in SAYS[name]:
        assert promised in output


def test_the_code_interpreter_makes_a_picture(tmp_path: Path) -> None:
    output = run("code_interpreter.py", str(tmp_path / "plot.png"))
    for promised in ("adding up", "total: 2470", "error: IndexError"):
        assert promised in output
    picture = (tmp_path / "plot.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n") and struct.unpack(">II", picture[16:24]) == (64, 64)


def test_none_is_left_out() -> None:
    # `tests/tests/sdk_python.rs` brings the API that the vault is for, and `tests/tests/mcp.rs` runs what uses `sb`.
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, "code_interpreter.py", "vault.py", "mcp_agent.py"}
