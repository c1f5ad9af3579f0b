"""200 streams at a time over upstreams that fail in every way: each ends in one full text or one
error, and nothing of it is left behind."""

import asyncio
import os
import pathlib

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import hear_async, streaming
from support.server import NO_QUARANTINE, rss_bytes
from support.upstream_text import text as full_text
from support.waiting import wait_until

SEED = int(os.environ.get("DEEPSEEK_CHAOS_SEED", "20261124"))
STREAMS = 200
WORDS = 16
GROWTH_MAX = 16 << 20  # bytes of the server's memory between two rounds that are the same
SHORT = {"connect_timeout": "5s", "first_token_timeout": "4s", "gap_timeout": "3s"}
SETTINGS = {
    # Nothing may keep a backend from being asked: it has to fail again and again.
    "breaker": {"failures_max": 1_000_000, "outlier_factor": 0},
    "retry": {
        "attempts_max": 12,
        "continuations_max": 10,
        "backoff_min": "10ms",
        "backoff_max": "100ms",
        "budget_min": 100_000,
    },
}
MIX = [
    faults.answer(),
    faults.answer(pace=0.01),
    faults.sliced(50),
    faults.status(429),
    faults.status(500),
    faults.status(502),
    faults.status(503, 0),
    faults.html_error(),
    faults.stall_before_head(),
    faults.stall_after_frames(4),
    faults.cut_at_once(reset=True),
    faults.cut_after_frames(1),
    faults.cut_after_frames(3),
    faults.cut_after_frames(9, pace=0.01),
    faults.cut_after_bytes(333),
    faults.cut_after_bytes(1500, reset=True),
    faults.garbage(),
    faults.garbage_after_frames(5),
    faults.compressed(),
    faults.error_event(6),
    faults.without_done(close=True),
    faults.without_finish(5),
    faults.early_hints(2),
    faults.wrong_usage(None),
]


def question(round_number, number):
    return f"Stream {number} of round {round_number}, words={WORDS}"


async def crowd(server, round_number):
    async with gateway.async_client(server, timeout=120) as client:
        return await asyncio.gather(
            *(
                hear_async(client, **streaming(question(round_number, number)))
                for number in range(STREAMS)
            )
        )


def play(server, round_number):
    print(f"seed {SEED}, round {round_number}")
    return asyncio.run(crowd(server, round_number))


def assert_full(heard, round_number):
    for number, one in enumerate(heard):
        assert one.error is None, (SEED, number, one.error)
        one.assert_one_answer(full_text(question(round_number, number)))


def assert_full_or_error(heard, round_number):
    """Returns how many of them failed."""
    for number, one in enumerate(heard):
        full = full_text(question(round_number, number))
        if one.error is None:
            one.assert_one_answer(full)
        else:
            assert full.startswith(one.text), (SEED, number, one)
            assert one.finishes == [] and len(one.roles) <= 1, (SEED, number, one)
    return sum(one.error is not None for one in heard)


def descriptors(server):
    return len(list(pathlib.Path(f"/proc/{server.pid}/fd").iterdir()))


def wait_quiet(server, upstreams):
    """No client's connection and no busy upstream socket is left."""
    for upstream in upstreams:
        wait_until(lambda one=upstream: one.busy_sockets() == 0, f"{upstream.name} is idle")
        # Kept connections are idle ones; who was cut off has no socket any more.
        assert upstream.open_sockets() <= STREAMS
    wait_until(lambda: server.metrics().value("deepseek_http_connections") <= 1, "clients left")


@pytest.fixture
def flaky(start_upstream):
    ups = [start_upstream("first"), start_upstream("second")]
    for number, upstream in enumerate(ups):
        upstream.behave(faults.mixed(SEED + number, MIX))
    return ups


def start(start_gateway, ups, **more):
    rows = [gateway.backend(one.name, one.url, **SHORT) for one in ups]
    for row in rows:
        if row["name"] == "good":
            row |= gateway.PATIENT
    return start_gateway(rows, environment=NO_QUARANTINE, **SETTINGS, **more)


def test_with_one_that_is_good(start_gateway, start_upstream, flaky):
    good = start_upstream("good")
    server = start(start_gateway, [*flaky, good])
    before = descriptors(server)
    memory = []
    for round_number in range(3):
        assert_full(play(server, round_number), round_number)
        wait_quiet(server, [*flaky, good])
        memory.append(rss_bytes(server.pid))
    for upstream in (*flaky, good):
        assert upstream.default.wrong_continuations() == []
        assert upstream.calls != []
    assert memory[2] - memory[1] <= GROWTH_MAX, memory
    for upstream in (*flaky, good):
        upstream.close_connections()
    wait_until(lambda: descriptors(server) <= before + 2, "its sockets are closed", timeout=20)
    assert [entry for entry in server.log if "raw" in entry] == []


def test_with_none_that_is_good(start_gateway, flaky):
    server = start(start_gateway, flaky)
    failed = assert_full_or_error(play(server, 0), 0)
    print(f"{failed} of {STREAMS} streams ended in an error")
    assert failed < STREAMS / 2
    wait_quiet(server, flaky)
    for upstream in flaky:
        assert upstream.default.wrong_continuations() == []
    assert [entry for entry in server.log if "raw" in entry] == []
