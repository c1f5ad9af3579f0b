"""The line of requests that wait for a backend with `in_flight_max`, over the real program."""

import asyncio
import threading

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking
from support.upstream_text import text as full_text
from support.waiting import wait_until

KEYS = [
    {"key": "sk-plain-0001", "tenant": "plain"},
    {"key": "sk-high-00001", "tenant": "high", "priority_max": 5},
]


class Gate:
    """Answers wait until it is open."""

    def __init__(self):
        self.open = threading.Event()

    def behaviour(self):
        async def play(call):
            while not self.open.is_set():
                await asyncio.sleep(0.01)
            await faults.answer()(call)

        return play


class Asker(threading.Thread):
    """One question on a thread of its own."""

    def __init__(self, server, question, key=KEYS[0]["key"], priority=None):
        super().__init__(daemon=True)
        fields = [("Authorization", f"Bearer {key}")]
        if priority is not None:
            fields.append(("DeepSeek-Priority", str(priority)))
        self._ask = lambda: server.post("/v1/chat/completions", asking(question), fields)
        self._answer = None
        self.start()

    def run(self):
        self._answer = self._ask()

    @property
    def answer(self):
        self.join(90)
        assert self._answer is not None, "no answer has come"
        return self._answer


@pytest.fixture
def narrow(start_gateway, start_upstream):
    def start(**queue):
        upstream, gate = start_upstream("narrow"), Gate()
        upstream.behave(gate.behaviour())
        row = gateway.backend("narrow", upstream.url, in_flight_max=1)
        return start_gateway([row], queue=queue, access={"keys": KEYS}), upstream, gate

    return start


def test_priority_comes_first(narrow):
    server, upstream, gate = narrow(timeout="60s")
    askers = [Asker(server, "first")]
    wait_until(lambda: len(upstream.default.chats()) == 1, "the only place is taken")
    for number, (question, key, priority) in enumerate(
        [("low", 0, None), ("wishful", 0, 5), ("high", 1, 5)], 1
    ):
        askers.append(Asker(server, question, KEYS[key]["key"], priority))
        server.wait_metric("deepseek_queued_requests", number)
    gate.open.set()
    assert [asker.answer.status for asker in askers] == [200] * 4
    order = [call.question.text for call in upstream.default.chats()]
    assert order == ["first", "high", "low", "wishful"], "who may not, is not raised"


def test_429_at_the_deadline_and_when_the_line_is_full(narrow):
    server, upstream, gate = narrow(timeout="2s", depth_max=1)
    first = Asker(server, "first")
    wait_until(lambda: len(upstream.default.chats()) == 1, "the only place is taken")
    second = Asker(server, "second")
    server.wait_metric("deepseek_queued_requests", 1)
    full = Asker(server, "third").answer
    assert full.status == 429
    assert "queue.depth_max" in full.json()["error"]["message"]
    late = second.answer
    assert late.status == 429
    assert "queue.timeout" in late.json()["error"]["message"]
    assert int(late.field("retry-after")) >= 1
    gate.open.set()
    assert first.answer.json()["choices"][0]["message"]["content"] == full_text("first")
    assert len(upstream.default.chats()) == 1, "who was refused was never sent"
