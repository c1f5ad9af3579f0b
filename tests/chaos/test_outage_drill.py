"""The first provider dies under a tripled load: of 1,000 streams not one fails."""

import asyncio
import itertools

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import hear_async, streaming
from support.upstream import UpstreamProcess
from support.upstream_text import text as full_text
from support.waiting import wait_until

STREAMS = 1000
NORMAL = 40  # at a time, before the outage
TRIPLED = 3 * NORMAL
DIES_AFTER = 250  # streams that have ended
PACE = 0.15  # slower than the clients, so that streams are in their middle when it dies
CONTINUED_MIN = 10
# The other one has time for a load that is not its own.
WAITS = {"connect_timeout": "10s", "first_token_timeout": "60s", "gap_timeout": "60s"}


def question(number):
    """Of different lengths, so that they end one by one."""
    return f"Stream {number}, words={4 + number % 9}"


class Drill:
    """Workers that ask one stream after the other; three times as many before the outage."""

    def __init__(self, server, kill):
        self._server = server
        self._kill = kill
        self._numbers = iter(range(STREAMS))
        self._workers = []
        self.heard = {}
        self.under_way_at_death = 0
        self._under_way = 0

    async def run(self):
        async with gateway.async_client(self._server, timeout=120) as client:
            self._client = client
            self._start(NORMAL)
            while self._workers:
                await self._workers.pop()

    def _start(self, count):
        self._workers += [asyncio.create_task(self._work()) for _ in range(count)]

    async def _work(self):
        for number in self._numbers:
            self._under_way += 1
            self.heard[number] = await hear_async(self._client, **streaming(question(number)))
            self._under_way -= 1
            if len(self.heard) == DIES_AFTER - TRIPLED:
                self._start(TRIPLED - NORMAL)
            if len(self.heard) == DIES_AFTER:
                self.under_way_at_death = self._under_way
                self._kill()


def assert_none_failed(heard):
    assert len(heard) == STREAMS
    errors = {number: one.error for number, one in heard.items() if one.error is not None}
    assert errors == {}, f"{len(errors)} failed: {dict(itertools.islice(errors.items(), 5))}"
    for number, one in heard.items():
        one.assert_one_answer(full_text(question(number)))


def play(start_gateway, first_url, second, kill):
    rows = [
        gateway.backend("first", first_url, **WAITS),
        gateway.backend("second", second.url, **WAITS),
    ]
    server = start_gateway(rows)
    drill = Drill(server, kill)
    asyncio.run(drill.run())
    assert_none_failed(drill.heard)
    assert drill.under_way_at_death > NORMAL, "the load was not tripled when it died"
    assert second.default.wrong_continuations() == []
    continued = sum(call.question.continues for call in second.calls)
    assert continued >= CONTINUED_MIN, f"only {continued} streams were in their middle"
    print(f"{drill.under_way_at_death} streams were under way, {continued} were continued")
    wait_until(lambda: second.busy_sockets() == 0, "nothing is under way")


@pytest.fixture
def second(start_upstream):
    return start_upstream("second")


def test_its_process_is_killed(start_gateway, second):
    with UpstreamProcess("first", pace=PACE) as first:
        play(start_gateway, first.url, second, first.kill)


def test_all_its_sockets_are_closed(start_gateway, start_upstream, second):
    """And nobody listens there any more."""
    first = start_upstream("first")
    first.behave(faults.answer(pace=PACE))
    play(start_gateway, first.url, second, first.die)
