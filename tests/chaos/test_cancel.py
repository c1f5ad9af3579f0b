"""A client that leaves: its upstream hears of it within 100 ms and is not to blame."""

import statistics
import time

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking, raw_stream, streaming, text_of
from support.upstream_text import text as full_text
from support.waiting import wait_until

LEAVE_SECONDS_MAX = 0.100
ROUNDS = 7
QUESTION = "A long story, words=500"
SLOW = faults.answer(pace=0.05)
BEHAVIOURS = {
    "before the head": (faults.stall_before_head(), False),
    "before the first token": (faults.stall_before_token(), False),
    "in the stream": (SLOW, True),
    "in a stalled stream": (faults.stall_after_frames(3), True),
}


@pytest.fixture
def watched(start_gateway, pair):
    """A breaker that two failures would open."""
    rows = [gateway.backend(one.name, one.url) for one in pair]
    return start_gateway(rows, breaker={"failures_max": 2, "open_time": "600s"})


def leave(server, upstream, body, reads):
    """Seconds from the client's leaving to the closed connection upstream."""
    before = len(upstream.calls)
    request = server.stream("/v1/chat/completions", body)
    wait_until(lambda: len(upstream.calls) > before, "the request has arrived", poll=0.001)
    if reads:
        frames = request.frames()
        next(frames)
        next(frames)
    left_at = time.monotonic()
    request.close()
    call = upstream.calls[before]
    wait_until(lambda: call.left_at is not None, "the upstream is left", timeout=10)
    return call.left_at - left_at


@pytest.mark.parametrize("when", BEHAVIOURS)
def test_a_stream(watched, pair, when):
    behaviour, reads = BEHAVIOURS[when]
    pair[0].behave(behaviour)
    taken = [leave(watched, pair[0], streaming(QUESTION), reads) for _ in range(ROUNDS)]
    assert statistics.median(taken) <= LEAVE_SECONDS_MAX, taken
    not_to_blame(watched, pair)


def test_a_whole_answer(watched, pair):
    pair[0].behave(SLOW)
    taken = [leave(watched, pair[0], asking(QUESTION), False) for _ in range(ROUNDS)]
    assert statistics.median(taken) <= LEAVE_SECONDS_MAX, taken
    not_to_blame(watched, pair)


def test_the_sdk_closes_its_stream(watched, pair):
    pair[0].behave(SLOW)
    taken = []
    with gateway.client(watched) as client:
        for number in range(ROUNDS):
            stream = client.chat.completions.create(**streaming(QUESTION))
            next(iter(stream))
            left_at = time.monotonic()
            stream.close()
            call = pair[0].calls[number]
            wait_until(lambda call=call: call.left_at is not None, "the upstream is left")
            taken.append(call.left_at - left_at)
    assert statistics.median(taken) <= LEAVE_SECONDS_MAX, taken
    not_to_blame(watched, pair)


def test_while_it_waits_for_a_retry(start_gateway, start_upstream):
    """Nobody asks upstream for a client that has gone."""
    upstream = start_upstream()
    upstream.behave(faults.status(429, 1))
    server = start_gateway([gateway.backend("only", upstream.url)])
    request = server.stream("/v1/chat/completions", asking(QUESTION))
    wait_until(lambda: upstream.calls, "it was refused once")
    request.close()
    upstream.behave(faults.answer())
    assert server.post("/v1/chat/completions", asking("Another")).status == 200
    questions = [call.question.text for call in upstream.calls]
    assert questions == [QUESTION, "Another"], questions


def not_to_blame(server, pair):
    """The first one is asked as before, and nothing was asked of the second."""
    pair[0].behave(faults.answer())
    short = "A short story"
    assert text_of(raw_stream(server, short)) == full_text(short)
    assert pair[0].calls[-1].question.text == short
    assert pair[1].calls == []
    wait_until(lambda: pair[0].busy_sockets() == 0, "nothing is under way upstream")


def test_others_go_on(watched, pair):
    pair[0].behave(faults.answer(pace=0.01))
    with watched.stream("/v1/chat/completions", streaming("Stay")) as staying:
        frames = staying.frames()
        got = [next(frames)]
        for number in range(10):
            leaving = watched.stream("/v1/chat/completions", streaming(f"Leave {number}"))
            next(leaving.frames())
            leaving.close()
        got += frames
    assert text_of(got) == full_text("Stay") and got[-1] == "[DONE]"
