"""The scripted upstream itself: it answers, goes on, misbehaves and notices who leaves."""

import http.client
import json
import ssl
import time

import openai
import pytest

from support import http as raw
from support import upstream_faults as faults
from support import upstream_text
from support.certificate import make_certificate
from support.upstream import Upstream, UpstreamProcess, refused_url
from support.waiting import process_exists, wait_until

QUESTION = "Count, words=12"
FULL = upstream_text.text(QUESTION)


@pytest.fixture
def upstream():
    with Upstream() as made:
        yield made


def ask(upstream, messages=None, **more):
    messages = messages or [{"role": "user", "content": QUESTION}]
    body = {"model": "m", "messages": messages, **more}
    return raw.request(upstream.origin, "POST", "/v1/chat/completions", body=body, timeout=10)


def content(frames):
    deltas = [frame["choices"][0]["delta"] for frame in frames[:-1] if frame["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


def test_every_beginning_is_continued_exactly():
    pieces = upstream_text.pieces(QUESTION)
    for end in range(len(FULL) + 1):
        assert FULL[:end] + "".join(upstream_text.behind(pieces, FULL[:end])) == FULL
    assert upstream_text.behind(pieces, "x") is None
    assert upstream_text.behind(pieces, FULL + "x") is None
    assert upstream_text.text("another, words=12") != FULL


def test_whole_and_streamed_are_the_same_text(upstream):
    assert ask(upstream).json()["choices"][0]["message"]["content"] == FULL
    frames = ask(upstream, stream=True, stream_options={"include_usage": True}).frames()
    assert content(frames) == FULL and frames[-1] == "[DONE]"
    assert frames[-2]["usage"]["completion_tokens"] == 12
    # The client has its last byte before the upstream has noted it.
    wait_until(
        lambda: [call.ended for call in upstream.calls] == ["answered", "answered"],
        "both are answered",
    )


@pytest.mark.parametrize(
    ("form", "last", "more"),
    [
        ("prefix", {"prefix": True}, {}),
        (
            "continue_final_message",
            {},
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
        ("assistant_last", {}, {}),
    ],
)
def test_forms_of_continuation(upstream, form, last, more):
    begun = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": FULL[:20], **last},
    ]
    upstream.default.understands = {form}
    assert ask(upstream, begun, **more).json()["choices"][0]["message"]["content"] == FULL[20:]
    upstream.default.understands = set()
    assert ask(upstream, begun, **more).json()["choices"][0]["message"]["content"] == FULL
    upstream.default.understands = {form}
    begun[-1]["content"] = "something else"
    ask(upstream, begun, **more)
    assert len(upstream.default.wrong_continuations()) == 1


def test_a_stream_is_cut(upstream):
    for reset in (False, True):
        upstream.behave(faults.cut_after_frames(4, reset))
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            ask(upstream, stream=True)
    wait_until(
        lambda: [call.ended for call in upstream.calls] == ["cut", "cut"], "both are cut"
    )


def test_who_leaves_is_noticed(upstream):
    upstream.behave(faults.stall_after_frames(2))
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    stream = raw.open_stream(upstream.origin, "/v1/chat/completions", body)
    next(stream.frames())
    assert upstream.busy_sockets() == 1
    left_at = time.monotonic()
    stream.close()
    wait_until(upstream.default.left, "the upstream has noticed")
    assert 0 <= upstream.calls[0].left_at - left_at < 1
    wait_until(lambda: upstream.open_sockets() == 0, "the socket is closed")


def test_the_sdk_understands_it(upstream):
    with openai.OpenAI(base_url=upstream.url, api_key="sk-1", max_retries=0) as client:
        messages = [{"role": "user", "content": QUESTION}]
        for size in (1, 7, 64):
            upstream.behave(faults.sliced(size))
            stream = client.chat.completions.create(model="m", messages=messages, stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            assert text == FULL
        upstream.behave(faults.status(429, 7))
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="m", messages=messages)
        assert refused.value.response.headers["Retry-After"] == "7"


def test_scripts_are_apart(upstream):
    first, second = upstream.script("first"), upstream.script("second")
    first.behave(faults.limited(1, faults.status(500)))
    for script, wanted in ((first, 200), (first, 500), (second, 200)):
        url = script.url.removesuffix("/v1")
        body = json.dumps({"messages": [{"role": "user", "content": "a"}]})
        path = f"{script.prefix}/v1/chat/completions"
        assert raw.request(upstream.origin, "POST", path, body=body).status == wanted, url
    assert (len(first.calls), len(second.calls), len(upstream.calls)) == (2, 1, 0)


def test_mixed_is_the_same_in_every_run():
    def play(seed):
        with Upstream() as made:
            made.behave(faults.mixed(seed, [faults.answer(), faults.status(503)]))
            questions = [[{"role": "user", "content": str(number)}] for number in range(12)]
            return [ask(made, messages).status for messages in questions]

    assert play(1) == play(1)
    assert len({tuple(play(seed)) for seed in range(4)}) > 1


def test_tls(tmp_path):
    folder = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=folder / "cert.pem")
    with Upstream(tls=folder) as upstream:
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        path = "/v1/chat/completions"
        answer = raw.request(upstream.origin, "POST", path, body=body, context=trusting)
        assert answer.json()["choices"][0]["message"]["content"] == FULL
        upstream.tls_delay = 30
        with pytest.raises(TimeoutError):
            raw.request(upstream.origin, "POST", path, body=body, context=trusting, timeout=0.3)


def test_a_process_that_is_killed():
    with UpstreamProcess() as upstream:
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        origin = upstream.url.removesuffix("/v1")
        path = "/v1/chat/completions"
        answer = raw.request(origin, "POST", path, body=body, timeout=10)
        assert answer.json()["choices"][0]["message"]["content"] == FULL
        upstream.kill()
        assert not process_exists(upstream.process.pid)
        with pytest.raises(ConnectionError):
            raw.request(origin, "POST", path, body=body, timeout=10)


def test_nobody_listens():
    with pytest.raises(ConnectionError):
        raw.request(refused_url().removesuffix("/v1"), "GET", "/v1/models", timeout=10)
