"""What the articles' samples do, against a server with two upstreams: 500 calls in a row at a
provider that limits after 50, retries on 502, 503 and 504, and a pool of connections."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking
from support.upstream_text import text as full_text
from support.waiting import wait_until

CALLS = 500
LIMIT = 50
WINDOW_SECONDS = 60.0
RETRIED = (502, 503, 504)


def question(number):
    return f"Call {number}, words=3"


def ask_all(server, count=CALLS):
    """One after the other, as a script's loop does."""
    with gateway.client(server) as client:
        for number in range(count):
            answer = client.chat.completions.create(**asking(question(number)))
            yield answer.choices[0].message.content


@pytest.mark.parametrize("retry_after", [None, 30])
def test_500_calls_in_a_row(start_gateway, pair, retry_after):
    """The first one limits after 50; not one call is refused."""
    pair[0].behave(faults.RateLimit(LIMIT, WINDOW_SECONDS, retry_after))
    server = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    assert list(ask_all(server)) == [full_text(question(number)) for number in range(CALLS)]
    assert len(pair[1].calls) >= CALLS - LIMIT * 2
    if retry_after is not None:  # it is left alone until then
        assert len(pair[0].calls) <= LIMIT + 3


def test_500_calls_at_one_that_limits_shortly(start_gateway, start_upstream):
    """Alone, with a Retry-After that is worth waiting for: every call is answered in the end."""
    only = start_upstream("only")
    limit = faults.RateLimit(LIMIT, 1.0, retry_after=1)
    only.behave(limit)
    server = start_gateway([gateway.backend("only", only.url)])
    assert list(ask_all(server)) == [full_text(question(number)) for number in range(CALLS)]
    assert len(only.calls) <= CALLS + limit.refused


def test_one_that_limits_for_long_is_an_honest_429(start_gateway, start_upstream):
    only = start_upstream("only")
    only.behave(faults.RateLimit(LIMIT, WINDOW_SECONDS, retry_after=60))
    server = start_gateway([gateway.backend("only", only.url)])
    answered = []
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError) as refused:
        for text in ask_all(server):
            answered.append(text)
    assert len(answered) == LIMIT
    assert time.monotonic() - began < 60
    assert 30 <= int(refused.value.response.headers["Retry-After"]) <= 60
    assert refused.value.body["type"] and refused.value.body["message"]


def call_with_retry(client, server, number, retries_max=5):
    """The retry loop of the articles: exponential pauses on 502, 503 and 504."""
    pause = 0.05
    for attempt in itertools.count(1):
        answer = client.post(server.url + "/v1/chat/completions", json=asking(question(number)))
        if answer.status_code not in RETRIED or attempt > retries_max:
            return answer, attempt
        wait(pause)
        pause *= 2


def wait(seconds):
    deadline = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= deadline, "the pause is over")


@pytest.mark.parametrize("code", RETRIED)
def test_retry_code_of_a_client(start_gateway, pair, code):
    """With a second upstream it never has to retry; with none that is well it is told the truth."""
    pair[0].behave(faults.status(code))
    server = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    with httpx.Client(timeout=30) as client:
        answer, attempts = call_with_retry(client, server, 1)
    assert (answer.status_code, attempts) == (200, 1)
    assert answer.json()["choices"][0]["message"]["content"] == full_text(question(1))


@pytest.mark.parametrize("code", RETRIED)
def test_retry_code_of_a_client_gets_through(start_gateway, start_upstream, code):
    """Where the server itself gives up, the client's own retry succeeds later."""
    only = start_upstream("only")
    only.behave(faults.limited(3, faults.answer(), first=faults.status(code)))
    server = start_gateway([gateway.backend("only", only.url)], retry={"attempts_max": 1})
    with httpx.Client(timeout=30) as client:
        answer, attempts = call_with_retry(client, server, 1)
    assert answer.status_code == 200 and attempts == 4
    assert len(only.calls) == 4


def test_the_server_retries_itself(start_gateway, start_upstream):
    only = start_upstream("only")
    only.behave(faults.limited(3, faults.answer(), first=faults.status(503)))
    server = start_gateway([gateway.backend("only", only.url)])
    with httpx.Client(timeout=30) as client:
        answer, attempts = call_with_retry(client, server, 1)
    assert (answer.status_code, attempts) == (200, 1)
    assert len(only.calls) == 4


def test_a_pool_of_connections(start_gateway, pair):
    """Ten kept connections of a client, a hundred calls on them, and few sockets upstream."""
    server = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    limits = httpx.Limits(max_connections=10, max_keepalive_connections=10)
    with httpx.Client(timeout=60, limits=limits) as client, ThreadPoolExecutor(10) as threads:

        def call(number):
            answer = client.post(server.url + "/v1/chat/completions", json=asking(question(number)))
            return answer.json()["choices"][0]["message"]["content"]

        answers = list(threads.map(call, range(100)))
    assert answers == [full_text(question(number)) for number in range(100)]
    assert pair[0].sockets_seen <= 20, "upstream connections are kept"
    assert pair[1].calls == []


def test_a_pool_whose_connections_the_upstream_closes(start_gateway, pair):
    """The client's pool never notices."""
    pair[0].idle_seconds = 0
    server = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    with httpx.Client(timeout=60) as client:
        for number in range(50):
            answer, attempts = call_with_retry(client, server, number)
            assert (answer.status_code, attempts) == (200, 1)
