"""The server outlives its engine, whatever ends that; no engine outlives its server."""

import concurrent.futures
import os
import random
import signal
import threading
import time

from support.engines import HeldEngine
from support.models import default_model
from support.waiting import process_exists, wait_until

BACK_SECONDS_MAX = 2.0
NOTICED_SECONDS_MAX = 2.0 + 1.0  # and the time to look
HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 2}


def text_of(frames):
    """The text of a stream's frames; each must be a chunk of one and the same answer."""
    chunks = [frame for frame in frames if frame != "[DONE]"]
    assert all("error" not in chunk for chunk in chunks), chunks[-1]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert sum("role" in delta for delta in deltas) == 1
    return "".join(delta.get("content") or "" for delta in deltas)


def test_killed_in_the_middle_of_a_stream(start_server):
    """The stream goes on from the engine's restart, token by token as if nothing had happened."""
    server = start_server()
    pid, engine = server.pid, server.engine_pid()
    greedy = {"temperature": 0, "ignore_eos": True, "tokens_max": 60}
    with server.chat_stream(**greedy) as undisturbed:
        expected = list(undisturbed.frames())
    with server.chat_stream(**greedy, stream_options={"include_usage": True}) as stream:
        frames = stream.frames()
        first = [next(frames) for _ in range(10)]
        os.kill(engine, signal.SIGKILL)
        got = first + list(frames)
    assert got[-1] == "[DONE]"
    assert text_of(got) == text_of(expected)
    ends = [chunk["choices"][0]["finish_reason"] for chunk in got[:-1] if chunk["choices"]]
    assert [end for end in ends if end] == ["length"]
    assert got[-2]["usage"]["completion_tokens"] == 60
    assert server.pid == pid and server.process.poll() is None
    assert server.engine_pid() != engine
    assert server.stop() == 0


def test_killed_in_the_middle_of_whole_answers(start_server):
    """One that can go on does; one that cannot (two choices) begins anew: nobody sees an error."""
    server = start_server()
    body = {**HELLO, "max_tokens": 300, "ignore_eos": True, "temperature": 0}
    one = server.stream("/v1/chat/completions", body)
    two = server.stream("/v1/chat/completions", {**body, "n": 2})
    server.wait_metric("deepseek_running_sequences", 3)
    os.kill(server.engine_pid(), signal.SIGKILL)
    for answer, choices in ((one, 1), (two, 2)):
        response = answer.read()
        assert response.status == 200, response.body
        assert len(response.json()["choices"]) == choices
        assert all(
            choice["finish_reason"] == "length" and choice["message"]["content"]
            for choice in response.json()["choices"]
        )
        answer.close()
    assert server.get("/ready").status == 200


def test_what_cannot_go_on_ends_with_an_honest_error(start_server):
    server = start_server()
    with server.chat_stream(tokens_max=4000, ignore_eos=True, n=2) as stream:
        frames = stream.frames()
        next(frames)
        os.kill(server.engine_pid(), signal.SIGKILL)
        rest = list(frames)
    assert rest[-1] != "[DONE]" and rest[-1]["error"]["type"] == "server_error", rest[-1]
    assert "several choices" in rest[-1]["error"]["message"]
    killed_at = time.monotonic()
    wait_until(
        lambda: server.post("/v1/chat/completions", HELLO).status == 200,
        "new requests are answered",
    )
    assert time.monotonic() - killed_at <= BACK_SECONDS_MAX


class Crowd:
    """Streams that are read side by side, and how many frames they have had together."""

    def __init__(self, server, streams, tokens):
        self.frames_seen = 0
        self.changed = threading.Condition()
        self.pool = concurrent.futures.ThreadPoolExecutor(streams)
        self.answers = [
            self.pool.submit(self.read, server, number, tokens) for number in range(streams)
        ]

    def read(self, server, number, tokens):
        body = {
            "messages": [{"role": "user", "content": f"Tell story {number} of the sea."}],
            "temperature": 0,
            "ignore_eos": True,
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        frames = []
        with server.stream("/v1/chat/completions", body) as stream:
            for frame in stream.frames():
                frames.append(frame)
                with self.changed:
                    self.frames_seen += 1
                    self.changed.notify_all()
        return frames

    def wait_for(self, frames):
        with self.changed:
            assert self.changed.wait_for(lambda: self.frames_seen >= frames, timeout=120)


def test_stopped_and_killed_at_random_under_streams(start_server):
    """An engine that stands still or dies while sixteen streams run: sixteen whole answers."""
    server = start_server()
    dice = random.Random(16)
    tokens, streams = 40, 16
    crowd = Crowd(server, streams, tokens)
    for death, blow in enumerate((signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP)):
        share = (death + dice.random()) / 4
        crowd.wait_for(int(share * streams * tokens))
        engine = server.engine_pid()
        os.kill(engine, blow)
        begun = time.monotonic()
        wait_until(lambda pid=engine: not process_exists(pid), "the engine is ended")
        assert time.monotonic() - begun <= NOTICED_SECONDS_MAX
    for answer in crowd.answers:
        frames = answer.result()
        assert frames[-1] == "[DONE]"
        assert text_of(frames)
        assert frames[-2]["usage"]["completion_tokens"] == tokens
    assert server.metrics().value("deepseek_engine_restarts_total") == 3


def test_a_frozen_engine_is_told_in_health(start_server):
    server = start_server()
    with server.chat_stream(tokens_max=400, ignore_eos=True) as stream:
        frames = stream.frames()
        next(frames)
        engine = server.engine_pid()
        os.kill(engine, signal.SIGSTOP)
        begun = time.monotonic()
        wait_until(
            lambda: server.get("/health").json()["models"][0]["status"] != "ready",
            "/health says so",
        )
        assert time.monotonic() - begun <= NOTICED_SECONDS_MAX
        assert list(frames)[-1] == "[DONE]"
    assert server.engine_pid() != engine


def test_the_log_says_how_it_ended(start_server):
    server = start_server()
    engine = server.engine_pid()
    os.kill(engine, signal.SIGKILL)
    entry = server.wait_for_log(
        lambda entry: entry.get("message") == "the engine ended", "the log line of its end"
    )
    assert "signal 9" in entry["how"] and entry["pid"] == engine


def test_a_file_that_cannot_be_loaded_is_not_tried_for_ever(start_server, tmp_path):
    """It was good when the server looked, and is not any more; a reload tries again."""
    link, junk = tmp_path / "model.gguf", tmp_path / "junk"
    link.symlink_to(default_model())
    junk.write_bytes(b"GGUF" + bytes(1000))
    with HeldEngine() as engine:
        settings = {"engine.program": engine.program, "models[0].path": link}
        server = start_server(settings=settings, wait="listening")
        link.unlink()
        link.symlink_to(junk)
        engine.release()
        wait_until(lambda: server.get("/ready").json()["status"] == "failed", "/ready says failed")
        page = server.get("/ready")
        assert page.status == 503 and str(link) in page.json()["reason"]
        refused = server.post("/v1/chat/completions", HELLO)
        assert refused.status == 503 and str(link) in refused.json()["error"]["message"]
        assert server.children() == []
        link.unlink()
        link.symlink_to(default_model())
        server.signal(signal.SIGHUP)
        engine.release()
        server.wait_ready()


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


def test_a_gpu_that_fails_leaves_the_model_on_the_processor(start_server):
    for fault in ("gpu_load", "gpu_step:20"):
        server = start_server(extra_environment={"DEEPSEEK_ENGINE_FAULT": fault})
        with server.chat_stream(tokens_max=60, ignore_eos=True) as stream:
            frames = list(stream.frames())
        assert frames[-1] == "[DONE]" and text_of(frames)
        wait_until(lambda: server.get("/health").json()["models"][0].get("degraded"), "it is told")
        server.wait_ready()
        told = server.get("/health").json()["models"][0]
        assert "GPU failed" in told["degraded"] and told["status"] == "ready"
        assert server.metrics().value("deepseek_engine_degraded") == 1
        alert = server.wait_for_log(
            lambda entry: entry.get("message") == "the engine runs without its GPU", "the alert"
        )
        assert alert["level"] == "warning"
        assert server.stop() == 0
