"""SIGTERM drains, a second one ends at once, SIGHUP reloads."""

import signal
import socket
import time

import pytest

from support import http
from support.server import ROOT
from support.waiting import process_exists, wait_until

STREAM = {"max_tokens": 60, "ignore_eos": True, "stream": True}


def refuses_connections(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sigterm_under_load_loses_nothing(start_server):
    """16 answers run and 8 requests wait; all are answered, and the exit status is 0."""
    server = start_server()
    requests = []
    for number in range(24):
        content = [{"role": "user", "content": f"Write about {number}."}]
        body = {
            "messages": content,
            "max_tokens": 60,
            "ignore_eos": True,
            "stream": number % 2 == 0,
        }
        requests.append(server.stream("/v1/chat/completions", body))
    server.wait_metric("deepseek_running_sequences", 16)
    server.wait_metric("deepseek_waiting_requests", 8)
    engine = server.engine_pid()
    server.signal(signal.SIGTERM)
    wait_until(lambda: refuses_connections(server), "new connections are refused")
    for number, request in enumerate(requests):
        answer = request.read()
        assert answer.status == 200, answer.body
        if number % 2 == 0:
            frames = answer.frames()
            assert frames[-1] == "[DONE]"
            assert frames[-2]["choices"][0]["finish_reason"] == "length"
        else:
            assert answer.json()["usage"]["completion_tokens"] == 60
        request.close()
    assert server.wait_exit() == 0
    assert not process_exists(engine)


def test_sigterm_when_idle_is_quick(start_server):
    server = start_server()
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 5


def test_sigint_is_the_same(start_server):
    server = start_server()
    server.signal(signal.SIGINT)
    assert server.wait_exit() == 0


def test_second_sigterm_ends_at_once(start_server):
    server = start_server()
    engine = server.engine_pid()
    with server.chat_stream(tokens_max=7000, ignore_eos=True) as stream:
        next(stream.frames())
        server.signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(server), "new connections are refused")
        assert server.process.poll() is None
        start = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_exit(10)
        assert time.monotonic() - start < 2
    wait_until(lambda: not process_exists(engine), "the engine has ended", timeout=5)


def test_drain_timeout(start_server):
    server = start_server(settings={"server.drain_timeout": "500ms"})
    with server.chat_stream(tokens_max=7000, ignore_eos=True) as stream:
        frames = stream.frames()
        next(frames)
        start = time.monotonic()
        server.signal(signal.SIGTERM)
        last = list(frames)[-1]
        server.wait_exit(20)
        assert 0.4 < time.monotonic() - start < 10
    assert last["error"]["code"] == "unavailable"
    assert "server.drain_timeout" in last["error"]["message"]


def test_an_idle_connection_does_not_hold_up_the_end(start_server):
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port)):
        assert server.stop(20) == 0


@pytest.fixture
def configured(start_server, tmp_path):
    """A server with a configuration file of its own, and the file."""
    file = tmp_path / "server.yaml"
    file.write_text("log:\n  level: info\n", "utf-8")
    return start_server("--config", file, cwd=ROOT), file


def reloaded(server, start):
    return server.wait_for_log(
        lambda entry: "reload" in entry.get("message", "") and entry["level"] != "debug",
        "a line about the reload",
        start,
    )


def test_sighup_with_a_good_file(configured):
    server, file = configured
    start = len(server.log)
    file.write_text("log:\n  level: debug\n", "utf-8")
    server.signal(signal.SIGHUP)
    assert reloaded(server, start)["level"] == "info"
    server.chat(tokens_max=1)
    server.wait_for_log(
        lambda entry: entry.get("level") == "debug", "a line of the new level", start
    )


@pytest.mark.parametrize(
    "text, words",
    [
        ("log:\n  levle: debug\n", ["server.yaml:2", "levle", "level"]),
        ("log:\n  level: loud\n", ["server.yaml:2", "loud"]),
        ("log: [\n", ["server.yaml:"]),
    ],
)
def test_sighup_with_a_bad_file_changes_nothing_and_says_why(configured, text, words):
    server, file = configured
    start = len(server.log)
    file.write_text(text, "utf-8")
    server.signal(signal.SIGHUP)
    line = reloaded(server, start)
    assert line["level"] in ("warning", "error")
    assert all(word in str(line) for word in words), line
    assert server.chat(tokens_max=1).status == 200


def test_sighup_names_what_needs_a_restart(configured):
    server, file = configured
    start = len(server.log)
    file.write_text("engine:\n  sequences_max: 4\n", "utf-8")
    server.signal(signal.SIGHUP)
    server.wait_for_log(
        lambda entry: "engine.sequences_max" in str(entry) and "restart" in str(entry),
        "the setting that needs a restart",
        start,
    )


def test_sighup_does_not_disturb_a_stream(configured):
    server, _ = configured
    with server.chat_stream(tokens_max=60, ignore_eos=True) as stream:
        frames = stream.frames()
        next(frames)
        server.signal(signal.SIGHUP)
        assert list(frames)[-1] == "[DONE]"


def test_a_dead_client_s_request_does_not_hold_up_the_end(start_server):
    server = start_server()
    stream = server.chat_stream(tokens_max=7000, ignore_eos=True)
    next(stream.frames())
    server.signal(signal.SIGTERM)
    stream.close()
    assert server.wait_exit(20) == 0


def test_keep_alive_connection_is_told_to_close(start_server):
    server = start_server()
    exchange = http.Exchange(
        server.url,
        "POST",
        "/v1/chat/completions",
        [("Content-Type", "application/json")],
        '{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 60, "ignore_eos": true}',
    )
    server.wait_metric("deepseek_running_sequences", 1)
    server.signal(signal.SIGTERM)
    answer = exchange.read()
    assert answer.status == 200
    assert server.wait_exit() == 0
