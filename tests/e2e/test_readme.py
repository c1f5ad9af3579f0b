"""Every curl and Python example of the README files runs as printed, against the real server."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from support.server import ROOT

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)
API, METRICS = "http://localhost:8080", "http://localhost:8081"


def examples():
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text("utf-8")
        for number, (kind, code) in enumerate(BLOCK.findall(text)):
            if kind == "python" or "curl" in code:
                yield pytest.param(kind, code, id=f"{name}-{number}")


def commands(code):
    """The block's shell commands, one by one; a backslash continues a line."""
    return [line for line in code.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("kind, code", list(examples()))
def test_example(kind, code, server):
    code = code.replace(API, server.url).replace(METRICS, server.metrics_url)
    assert "localhost" not in code
    if kind == "python":
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        assert done.stdout.strip()
        return
    for command in commands(code):
        done = subprocess.run(
            [*shlex.split(command), "--silent", "--show-error", "--fail-with-body"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if "/metrics" not in command:
            json.loads(done.stdout)


def test_the_files_have_the_same_examples():
    """The Chinese text may ask other questions, at the same endpoints."""

    def endpoints(name):
        return re.findall(r"http://localhost:\d+[\w/]*", (ROOT / name).read_text("utf-8"))

    assert endpoints("README.md") == endpoints("README.zh-CN.md")


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "README.zh-CN.md",
        "docs/ARCHITECTURE.md",
        "docs/HACKING.md",
        "docs/decisions/README.md",
        "CONTRIBUTING.md",
    ],
)
def test_links_lead_somewhere(name):
    file = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text("utf-8")):
        assert (file.parent / target).exists(), f"{name} links to {target}"
