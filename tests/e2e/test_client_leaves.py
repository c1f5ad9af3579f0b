"""A client that leaves stops its own generation within 100 ms, and nobody else's."""

import statistics
import time

import openai

from support import http
from support.waiting import wait_until

RUNNING = "deepseek_running_sequences"
STOP_SECONDS_MAX = 0.100
ROUNDS = 5


def seconds_until_idle(server, leave):
    server.wait_metric(RUNNING, 1)
    start = time.monotonic()
    leave()
    server.wait_metric(RUNNING, 0, timeout=10)
    return time.monotonic() - start


def test_during_decode(start_server):
    server = start_server()
    taken = []
    for _ in range(ROUNDS):
        stream = server.chat_stream(tokens_max=4000, ignore_eos=True)
        next(stream.frames())
        taken.append(seconds_until_idle(server, stream.close))
    assert statistics.median(taken) <= STOP_SECONDS_MAX, taken


def test_during_prefill(start_server):
    server = start_server()
    taken = []
    for number in range(ROUNDS):
        request = server.chat_stream(f"{number} " + "hello " * 6000, tokens_max=10)
        taken.append(seconds_until_idle(server, request.close))
        assert server.metrics().value("deepseek_completion_tokens_total") == 0
    assert statistics.median(taken) <= STOP_SECONDS_MAX, taken


def test_without_streaming(start_server):
    server = start_server()
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4000, "ignore_eos": True}
    taken = []
    for _ in range(ROUNDS):
        request = server.stream("/v1/chat/completions", body)
        taken.append(seconds_until_idle(server, request.close))
    assert statistics.median(taken) <= STOP_SECONDS_MAX, taken


def test_the_sdk_closes_a_stream(start_server):
    server = start_server()
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as client:
        taken = []
        for _ in range(ROUNDS):
            stream = client.chat.completions.create(
                model="deepseek-chat",
                messages=[{"role": "user", "content": "Tell a story."}],
                max_tokens=4000,
                stream=True,
                extra_body={"ignore_eos": True},
            )
            next(iter(stream))
            taken.append(seconds_until_idle(server, stream.close))
    assert statistics.median(taken) <= STOP_SECONDS_MAX, taken


def test_while_it_waits_in_the_queue(start_server):
    server = start_server(settings={"engine.sequences_max": "1"})
    with server.chat_stream(tokens_max=4000, ignore_eos=True) as running:
        next(running.frames())
        waiting = server.chat_stream(tokens_max=10)
        server.wait_metric("deepseek_waiting_requests", 1)
        waiting.close()
        server.wait_metric("deepseek_waiting_requests", 0, timeout=10)
        assert server.metrics().value(RUNNING) == 1


def test_an_embedding_call(start_server):
    """What is left of it would take minutes; the next call does not wait for it."""
    server = start_server()

    def embed(seconds):
        return http.request(
            server.url, "POST", "/v1/embeddings", body={"input": "Hi"}, timeout=seconds
        )

    def waits():
        try:
            embed(1)
        except TimeoutError:
            return True
        return False

    with server.stream("/v1/embeddings", {"input": ["hello " * 4000] * 200}):
        wait_until(waits, "the long call is being computed")
    assert embed(20).status == 200


def test_others_go_on(start_server):
    server = start_server()
    with server.chat_stream(tokens_max=200, ignore_eos=True) as staying:
        frames = staying.frames()
        next(frames)
        leaving = [server.chat_stream(tokens_max=4000, ignore_eos=True) for _ in range(8)]
        for stream in leaving:
            next(stream.frames())
            stream.close()
        rest = list(frames)
    assert rest[-1] == "[DONE]"
    assert rest[-2]["choices"][0]["finish_reason"] == "length"
    server.wait_metric(RUNNING, 0)
