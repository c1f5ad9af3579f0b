"""The server outlives its engine, whatever ends that; no engine outlives its server."""

import os
import signal
import time

from support.waiting import process_exists, wait_until

BACK_SECONDS_MAX = 2.0
HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 2}


def test_killed_in_the_middle_of_answers(start_server):
    server = start_server()
    pid, engine = server.pid, server.engine_pid()
    stream = server.chat_stream(tokens_max=4000, ignore_eos=True)
    frames = stream.frames()
    next(frames)
    whole = server.stream("/v1/chat/completions", {**HELLO, "max_tokens": 4000, "ignore_eos": True})
    server.wait_metric("deepseek_running_sequences", 2)

    os.kill(engine, signal.SIGKILL)
    rest = list(frames)
    assert rest[-1] != "[DONE]" and rest[-1]["error"]["type"] == "server_error", rest[-1]
    refusal = whole.read()
    assert refusal.status in (502, 503), refusal.body
    assert refusal.json()["error"]["message"]
    stream.close()
    whole.close()

    killed_at = time.monotonic()
    wait_until(
        lambda: server.post("/v1/chat/completions", HELLO).status == 200,
        "new requests are answered",
    )
    assert time.monotonic() - killed_at <= BACK_SECONDS_MAX
    assert server.pid == pid and server.process.poll() is None
    assert server.engine_pid() != engine
    assert server.get("/ready").status == 200
    assert server.stop() == 0


def test_killed_again_and_again(start_server):
    server = start_server()
    for _ in range(3):
        engine = server.engine_pid()
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda pid=engine: not process_exists(pid), "the engine has ended")
        assert server.get("/health").status == 200
        wait_until(
            lambda: server.post("/v1/chat/completions", HELLO).status == 200,
            "new requests are answered",
        )
    assert server.metrics().value("deepseek_engine_restarts_total") >= 3


def test_a_request_that_comes_while_it_is_away(start_server):
    server = start_server()
    engine = server.engine_pid()
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: server.get("/ready").status == 503, "/ready says so")
    answer = server.post("/v1/chat/completions", HELLO)
    if answer.status != 200:  # it may be back already
        assert answer.status == 503
        assert int(answer.field("Retry-After")) >= 0
        assert answer.json()["error"]["code"] == "unavailable"


def test_no_engine_outlives_a_killed_server(start_server):
    server = start_server()
    engine = server.engine_pid()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_exit()
    wait_until(lambda: not process_exists(engine), "the engine has ended", timeout=10)


def test_no_engine_outlives_a_server_killed_while_busy(start_server):
    server = start_server()
    engine = server.engine_pid()
    with server.chat_stream("hello " * 6000, tokens_max=10):
        server.wait_metric("deepseek_running_sequences", 1)
        os.kill(server.pid, signal.SIGKILL)
        server.wait_exit()
        wait_until(lambda: not process_exists(engine), "the engine has ended", timeout=10)
