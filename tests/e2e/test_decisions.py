"""What a route decides beside the choice: hedges, copies, zones, and when to burst out."""

import asyncio
import sqlite3
import time

import pytest

from support import gateway, upstream_text
from support import upstream_faults as faults
from support.engines import HeldEngine
from support.gateway import asking, hear, streaming
from support.models import default_model
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What is a decision?"
LOCAL = "smollm2-135m-instruct"


def rows_of(pair, **more):
    return [gateway.backend(one.name, one.url, **more) for one in pair]


def route(**more):
    return [{"model": "*", "backends": ["first"], "strategy": "priority", **more}]


def outcomes(folder):
    """(backend, outcome) of every attempt in the ledger."""
    with sqlite3.connect(f"file:{folder}/data/usage.db?mode=ro", uri=True) as database:
        query = "SELECT backend, outcome FROM usage_attempts ORDER BY id"
        return [tuple(row) for row in database.execute(query)]


def wait_for_outcome(folder, wanted):
    wait_until(lambda: wanted in outcomes(folder), f"the ledger has {wanted}")


# --- hedges -------------------------------------------------------------------------------------


@pytest.fixture
def hedged(start_gateway, pair):
    server = start_gateway(
        rows_of(pair),
        route(backends=["first", "second"], hedge=True),
        retry={"hedge_budget_percent": 20},
    )
    with gateway.client(server) as client:
        for number in range(25):
            client.chat.completions.create(**asking(f"{number}"))
            hear(client.chat.completions.create(**streaming(f"{number}")))
        yield client


def speaker(heard):
    [answer_id] = heard.ids
    return answer_id.split("-")[1]


@pytest.mark.parametrize("stall", [faults.stall_before_head, faults.stall_before_token])
def test_a_slow_backend_gets_a_rival(hedged, pair, tmp_path, stall):
    pair[0].behave(stall())
    heard = hear(hedged.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert speaker(heard) == "second"
    wait_until(pair[0].default.left, "the loser was ended")
    wait_for_outcome(tmp_path, ("first", "hedge_lost"))
    wait_for_outcome(tmp_path, ("second", "ok"))


def test_a_whole_answer_too(hedged, pair):
    pair[0].behave(faults.stall_before_head())
    answer = hedged.chat.completions.with_raw_response.create(**asking(QUESTION))
    assert answer.parse().choices[0].message.content == full_text(QUESTION)
    assert "second was faster" in answer.headers["DeepSeek-Route"]
    wait_until(pair[0].default.left, "the loser was ended")


def test_a_rival_that_fails_changes_nothing(hedged, pair):
    pair[0].behave(faults.answer(first_after=1.5))
    pair[1].behave(faults.status(500))
    heard = hear(hedged.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert speaker(heard) == "first"
    assert pair[1].calls and pair[1].calls[-1].ended == "answered"


# --- copies -------------------------------------------------------------------------------------


@pytest.fixture
def shadowed(start_gateway, pair):
    return start_gateway(rows_of(pair), route(shadow="second"))


def test_a_copy_goes_to_the_shadow(shadowed, pair, tmp_path):
    with gateway.client(shadowed) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.ids == {"chatcmpl-first-1"}
    wait_until(lambda: pair[1].calls and pair[1].calls[0].ended == "answered", "the copy ended")
    assert pair[1].calls[0].body["messages"] == pair[0].calls[0].body["messages"]
    wait_for_outcome(tmp_path, ("second", "shadow"))
    assert ("first", "ok") in outcomes(tmp_path)


@pytest.mark.parametrize("fault", [faults.status(500), faults.garbage(), faults.cut_at_once()])
def test_its_failure_is_nobodys(shadowed, pair, tmp_path, fault):
    pair[1].behave(fault)
    with gateway.client(shadowed) as client:
        answer = client.chat.completions.create(**asking(QUESTION))
    assert answer.choices[0].message.content == full_text(QUESTION)
    wait_for_outcome(tmp_path, ("second", "shadow"))


def test_it_outlives_its_client(shadowed, pair, tmp_path):
    for one in pair:
        one.behave(faults.answer(pace=0.02))
    with gateway.client(shadowed) as client:
        stream = client.chat.completions.create(**streaming(QUESTION))
        next(iter(stream))
        stream.close()
    wait_until(pair[0].default.left, "the client's own answer was ended")
    wait_for_outcome(tmp_path, ("second", "shadow"))
    with sqlite3.connect(f"file:{tmp_path}/data/usage.db?mode=ro", uri=True) as database:
        query = "SELECT completion_tokens FROM usage_attempts WHERE outcome = 'shadow'"
        assert database.execute(query).fetchone() == (upstream_text.WORDS,), "it was cut short"


def test_the_server_ends_with_it(shadowed, pair):
    pair[1].behave(faults.stall_before_head())
    with gateway.client(shadowed) as client:
        client.chat.completions.create(**asking(QUESTION))
    wait_until(lambda: pair[1].calls, "the copy runs")
    assert shadowed.stop() == 0
    wait_until(pair[1].default.left, "the copy was ended")


def test_a_share_of_the_requests(start_gateway, pair):
    server = start_gateway(rows_of(pair), route(shadow="second", shadow_percent=30))
    with gateway.client(server) as client:
        for number in range(60):
            client.chat.completions.create(**asking(f"{number}"))
    assert 3 <= len(pair[1].calls) <= 40
    assert len(pair[0].calls) == 60


# --- zones --------------------------------------------------------------------------------------


def test_the_own_zone_comes_first(start_gateway, pair):
    first, second = pair
    rows = [
        gateway.backend("first", first.url, zone="far"),
        gateway.backend("second", second.url, zone="near"),
    ]
    server = start_gateway(rows, route(backends=["first", "second"]), server={"zone": "near"})
    with gateway.client(server) as client:
        assert client.chat.completions.create(**asking(QUESTION)).id == "chatcmpl-second-1"
        second.behave(faults.status(503))
        assert client.chat.completions.create(**asking(QUESTION)).id == "chatcmpl-first-1"


# --- local first, burst out ---------------------------------------------------------------------


def hybrid(start_gateway, upstream, goal="2s", **sections):
    rows = [gateway.backend("first", upstream.url, upstream_models={LOCAL: "big"})]
    routes = route(backends=["local", "first"], first_token_goal=goal)
    models = [{"name": LOCAL, "path": str(default_model())}]
    return start_gateway(rows, routes, models=models, default_model=LOCAL, **sections)


def ask_local(client):
    raw = client.chat.completions.with_raw_response
    answer = raw.create(model=LOCAL, messages=asking(QUESTION)["messages"], max_tokens=4)
    return answer.headers["DeepSeek-Route"]


def wait_for_model(server):
    """The server is ready as soon as any backend is; this is about its own model."""

    def ready():
        models = server.get("/health").json()["models"]
        return [model["status"] for model in models] == ["ready"]

    wait_until(ready, "the local model is ready")


def test_a_model_that_loads_is_late(start_gateway, start_upstream):
    first = start_upstream("first")
    with HeldEngine() as engine:
        server = hybrid(start_gateway, first, engine={"program": str(engine.program)})
        with gateway.client(server) as client:
            began = time.monotonic()
            assert ask_local(client).startswith("first: ")
            assert time.monotonic() - began < 2, "it waited for the engine"
            engine.release()
            wait_for_model(server)
            assert ask_local(client).startswith(LOCAL)


def test_a_queue_that_is_too_long_bursts_out(start_gateway, start_upstream):
    """One place, taken for long. Before an answer has ended, a second each is the guess."""
    first = start_upstream("first")
    server = hybrid(start_gateway, first, "900ms", engine={"sequences_max": 1})
    wait_for_model(server)
    with gateway.client(server) as client:
        long = {"model": LOCAL, "max_tokens": 2000, "extra_body": {"ignore_eos": True}}
        stream = client.chat.completions.create(**{**streaming("Tell a long story."), **long})
        next(iter(stream))
        server.wait_metric("deepseek_running_sequences", 1)
        assert ask_local(client).startswith("first: ")
        stream.close()
    [call] = first.calls
    assert call.body["model"] == "big"


# --- small print --------------------------------------------------------------------------------


def test_a_continued_stream_names_its_later_backends(relay, pair):
    pair[0].behave(faults.cut_after_frames(9))
    with relay.stream("/v1/chat/completions", streaming(QUESTION)) as exchange:
        body = exchange.read().body
    [comment] = [line for line in body.split(b"\n") if line.startswith(b": DeepSeek-Route: ")]
    assert b"first" in comment and b"second" in comment
    assert body.index(comment) < body.index(b"data: [DONE]")


def test_what_dies_with_the_request_is_not_asked_at_once_again(relay, pair):
    """A kept connection that ends long after the request was sent had not been closed before."""

    async def dies_late(call):
        await asyncio.sleep(0.8)
        call.cut()

    with gateway.client(relay) as client:
        client.chat.completions.create(**asking(QUESTION))
        pair[0].behave(dies_late)
        answer = client.chat.completions.create(**asking(QUESTION))
    assert answer.choices[0].message.content == full_text(QUESTION)
    assert answer.usage.completion_tokens == upstream_text.WORDS
    assert [len(one.calls) for one in pair] == [2, 1]
