"""The model's file is replaced, cut or spoiled while the server runs."""

import os
import shutil
import signal

import pytest

from support.models import default_model
from support.waiting import wait_until

HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "own.gguf"
    shutil.copyfile(default_model(), path)
    return path


@pytest.fixture
def server(start_server, tmp_path, model):
    file = tmp_path / "own.yaml"
    file.write_text(f"models:\n  - {{name: own, path: {model}, context_max: 1024}}\n", "utf-8")
    return start_server("--config", file)


def replace(path, content):
    """As a careful program does: another file takes the name."""
    other = path.with_suffix(".new")
    other.write_bytes(content)
    os.replace(other, path)


def state(server):
    return server.get("/health").json()["models"][0]


def answers(server):
    return server.post("/v1/chat/completions", HELLO).status == 200


def test_a_replaced_file_is_used_from_the_next_start_on(server, model):
    good = model.read_bytes()
    replace(model, b"GGUF, but not really")
    assert answers(server), "the file that was loaded is still there for the engine"
    os.kill(server.engine_pid(), signal.SIGKILL)
    wait_until(lambda: state(server)["status"] == "failed", "the new file is refused")
    assert str(model) in state(server)["reason"]
    refused = server.post("/v1/chat/completions", HELLO)
    assert refused.status == 503
    assert str(model) in refused.json()["error"]["message"]
    replace(model, good)
    server.signal(signal.SIGHUP)
    wait_until(lambda: answers(server), "a good file and a reload bring it back")


def test_a_file_cut_under_the_engine_ends_nothing_but_the_engine(server, model):
    good = model.read_bytes()
    os.truncate(model, 4096)
    # What the engine touches first may be in memory of its own; one way or the other it answers or
    # it dies, and the server says so.
    answer = server.post("/v1/chat/completions", HELLO)
    assert answer.status in (200, 502, 503), answer.text()
    assert server.get("/health").status == 200
    if answer.status != 200:
        wait_until(lambda: state(server)["status"] == "failed", "the cut file is refused")
        assert str(model) in state(server)["reason"]
    replace(model, good)
    server.signal(signal.SIGHUP)
    wait_until(lambda: answers(server), "a good file and a reload bring it back")
