"""The response cache between the SDK of a client and upstreams that count what reaches them."""

import asyncio
import concurrent.futures
import sqlite3

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking, hear, raw_stream, streaming, text_of
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What is a cache?"
TOGETHER = 50
KEYS = [
    {"key": "sk-client-0001", "tenant": "first"},
    {"key": "sk-client-0002", "tenant": "second"},
]


@pytest.fixture
def upstream(start_upstream):
    return start_upstream("only").default


@pytest.fixture
def start_cached(upstream, start_gateway):
    """A server with the cache turned on; `settings` are those of `cache`."""

    def start(sections=None, **settings):
        rows = [gateway.backend("only", upstream.url)]
        return start_gateway(rows, cache={"enabled": True, **settings}, **(sections or {}))

    return start


@pytest.fixture
def cached(start_cached):
    return start_cached()


def ask(server, question=QUESTION, key="sk-client-0001", fields=None, **more):
    """The answer, and what the header says about the cache."""
    with gateway.client(server, key) as client:
        create = client.chat.completions.with_raw_response.create
        raw = create(**asking(question, **more), extra_headers=fields)
        return raw.parse(), raw.headers.get("deepseek-cache")


def results(server):
    """deepseek_response_cache_requests_total by its label."""
    name = "deepseek_response_cache_requests_total"
    samples = server.metrics().samples
    return {labels["result"]: count for of, labels, count in samples if of == name}


def test_off_unless_it_is_turned_on(upstream, start_gateway):
    server = start_gateway([gateway.backend("only", upstream.url)])
    assert [ask(server)[1] for _ in range(2)] == [None, None]
    assert len(upstream.calls) == 2


def test_the_second_answer_costs_no_upstream_call(cached, upstream):
    first, said = ask(cached)
    assert said == "miss" and not hasattr(first.usage, "cached_answer")
    second, said = ask(cached)
    assert said == "hit" and second.usage.cached_answer is True
    assert second.choices[0].message.content == full_text(QUESTION)
    assert (second.id, second.usage.total_tokens) == (first.id, first.usage.total_tokens)
    assert len(upstream.calls) == 1
    assert results(cached) == {"miss": 1, "hit": 1}
    metrics = cached.metrics()
    assert metrics.value("deepseek_response_cache_stored_total") == 1
    assert metrics.value("deepseek_response_cache_entries") == 1
    assert metrics.value("deepseek_response_cache_bytes") > 0
    assert metrics.value("deepseek_completion_tokens_total") == first.usage.completion_tokens


def test_a_stream_is_replayed_as_a_stream(cached, upstream):
    first = raw_stream(cached, QUESTION)
    second = raw_stream(cached, QUESTION)
    assert len(upstream.calls) == 1
    assert second[-1] == "[DONE]" and len(second) == len(first)
    assert text_of(second) == full_text(QUESTION)
    usages = [frame["usage"] for frame in second[:-1] if frame.get("usage")]
    assert [usage["cached_answer"] for usage in usages] == [True]
    del usages[0]["cached_answer"]
    assert second == first


def test_other_questions_miss(cached, upstream):
    ask(cached, temperature=0.5)
    assert ask(cached, temperature=0.6)[1] == "miss"
    assert ask(cached, "Another?", temperature=0.5)[1] == "miss"
    assert ask(cached, temperature=0.5, user="a label")[1] == "hit"
    assert len(upstream.calls) == 3


def test_what_the_client_says_counts(cached, upstream):
    assert ask(cached, fields={"Cache-Control": "no-store"})[1] == "none; no-store"
    assert ask(cached)[1] == "miss"
    assert ask(cached, fields={"Cache-Control": "no-cache"})[1] == "miss; no-cache"
    assert ask(cached, fields={"Cache-Control": "max-age=100"})[1] == "hit"
    assert len(upstream.calls) == 3
    assert results(cached) == {"none": 1, "miss": 2, "hit": 1}


def test_tenants_have_nothing_in_common(start_cached, upstream):
    server = start_cached({"access": {"keys": KEYS}})
    assert ask(server, key="sk-client-0001")[1] == "miss"
    assert ask(server, key="sk-client-0002")[1] == "miss"
    assert ask(server, key="sk-client-0001")[1] == "hit"
    assert len(upstream.calls) == 2


def test_a_route_may_do_without(upstream, start_gateway):
    routes = [
        {"model": "fresh", "backends": ["only"], "cache": False},
        {"model": "*", "backends": ["only"]},
    ]
    rows = [gateway.backend("only", upstream.url)]
    server = start_gateway(rows, routes, cache={"enabled": True})
    assert [ask(server, model="fresh")[1] for _ in range(2)] == ["none; off"] * 2
    assert [ask(server, model="kept")[1] for _ in range(2)] == ["miss", "hit"]


def test_failures_are_not_kept(cached, upstream):
    upstream.behave(faults.status(400))
    with pytest.raises(gateway.openai.BadRequestError):
        ask(cached)
    upstream.behave(faults.answer())
    assert ask(cached)[1] == "miss"


def test_a_broken_stream_is_not_kept(cached, upstream):
    # An answer with logprobs is not continued, so the client hears that it broke.
    question = streaming(QUESTION, logprobs=True)
    upstream.behave(faults.cut_after_frames(3))
    with gateway.client(cached) as client:
        assert hear(client.chat.completions.create(**question)).error is not None
        upstream.behave(faults.answer())
        before = len(upstream.calls)
        assert hear(client.chat.completions.create(**question)).error is None
    assert len(upstream.calls) == before + 1


def test_an_answer_expires(start_cached, upstream):
    server = start_cached(ttl="1s")
    assert ask(server)[1] == "miss"
    assert ask(server)[1] == "hit"
    # Waits for the clock: how long an answer is kept is what is tested.
    wait_until(lambda: ask(server)[1] == "miss", "the answer has expired", 10)
    assert len(upstream.calls) == 2


def test_large_answers_are_not_kept(start_cached):
    server = start_cached(entry_bytes_max="1KB")
    assert [ask(server, "Much: words=400")[1] for _ in range(2)] == ["miss", "miss"]
    assert server.metrics().value("deepseek_response_cache_refused_total") == 2


def test_the_oldest_make_room(start_cached):
    server = start_cached(entries_max=1)
    assert [ask(server, word)[1] for word in ("one", "two", "one")] == ["miss"] * 3
    metrics = server.metrics()
    assert metrics.value("deepseek_response_cache_entries") == 1
    assert metrics.value("deepseek_response_cache_evicted_total") == 2


# --- the same request at the same time --------------------------------------------------------


def test_identical_requests_make_one(cached, upstream):
    upstream.behave(faults.answer(first_after=1.0))
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(lambda _: ask(cached), range(TOGETHER)))
    assert len(upstream.calls) == 1
    assert {answer.choices[0].message.content for answer, _ in answers} == {full_text(QUESTION)}
    counts = results(cached)
    assert counts.pop("miss") == 1
    assert sum(counts.values()) == TOGETHER - 1 and counts["shared"] > 0


def test_identical_streams_make_one(cached, upstream):
    upstream.behave(faults.answer(pace=0.05))

    async def all_of_them():
        async with gateway.async_client(cached) as client:
            runs = [gateway.hear_async(client, **streaming(QUESTION)) for _ in range(TOGETHER)]
            return await asyncio.gather(*runs)

    for heard in asyncio.run(all_of_them()):
        heard.assert_one_answer(full_text(QUESTION))
    assert len(upstream.calls) == 1
    assert results(cached)["shared"] > 0


def test_the_first_client_leaves(cached, upstream):
    upstream.behave(faults.answer(pace=0.1))
    with gateway.client(cached) as first, gateway.client(cached) as second:
        leading = first.chat.completions.create(**streaming(QUESTION))
        next(leading)
        following = second.chat.completions.create(**streaming(QUESTION))
        next(following)
        leading.close()
        text = "".join(
            choice.delta.content or "" for chunk in following for choice in chunk.choices
        )
    assert text and full_text(QUESTION).endswith(text)
    assert len(upstream.calls) == 1
    assert ask_stream(cached) == "hit"


def ask_stream(server):
    with server.stream("/v1/chat/completions", streaming(QUESTION)) as exchange:
        list(exchange.frames())
        return exchange.response.getheader("DeepSeek-Cache")


def test_everybody_leaves(cached, upstream):
    upstream.behave(faults.answer(pace=0.2))
    with gateway.client(cached) as first, gateway.client(cached) as second:
        streams = [one.chat.completions.create(**streaming(QUESTION)) for one in (first, second)]
        for stream in streams:
            next(stream)
        for stream in streams:
            stream.close()
    wait_until(lambda: len(upstream.left()) == 1, "the upstream is told")


# --- the file ---------------------------------------------------------------------------------


def test_answers_survive_a_restart(start_cached, upstream, tmp_path):
    server = start_cached(store="sqlite")
    first, said = ask(server)
    assert said == "miss"
    raw_stream(server, QUESTION)
    assert server.stop() == 0
    with sqlite3.connect(tmp_path / "data" / "cache.db") as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master")]
    assert tables
    again = start_cached(store="sqlite")
    second, said = ask(again)
    assert said == "hit" and second.id == first.id and second.usage.cached_answer is True
    assert text_of(raw_stream(again, QUESTION)) == full_text(QUESTION)
    assert len(upstream.calls) == 2


def test_the_books_hold_what_was_kept(start_cached, tmp_path):
    server = start_cached({"ledger": {"flush_ms": "10ms"}})
    ask(server)
    answer, _ = ask(server)
    assert server.stop() == 0
    with sqlite3.connect(tmp_path / "data" / "usage.db") as file:
        rows = list(
            file.execute(
                "SELECT cached, cost_nano, completion_tokens FROM usage_attempts ORDER BY cached"
            )
        )
    tokens = answer.usage.completion_tokens
    assert [row[0] for row in rows] == [0, 1]
    assert rows[1] == (1, 0, tokens)


# --- questions that mean the same -------------------------------------------------------------


def by_path():
    """Embeds what /embeddings is asked, and answers everything else."""
    vectors, answer = faults.vectors(), faults.answer()

    async def play(call):
        await (vectors if call.path.endswith("/embeddings") else answer)(call)

    return play


def embeddings(upstream):
    return [call for call in upstream.calls if call.path.endswith("/embeddings")]


def test_similar_questions_are_off_by_default(cached, upstream):
    upstream.behave(by_path())
    assert [ask(cached, text)[1] for text in ("How are you?", "How do you do?")] == ["miss"] * 2
    assert not embeddings(upstream)


def test_a_similar_question_gets_the_kept_answer(start_cached, upstream):
    server = start_cached(
        {"access": {"keys": KEYS}},
        semantic=True,
        semantic_model="text-embedding",
        semantic_threshold=0.9,
        semantic_tenants=["first"],
    )
    upstream.behave(by_path())
    assert ask(server, "How are you?")[1] == "miss"
    answer, said = ask(server, "How do you do?")
    assert said == "hit; similar" and answer.usage.cached_answer is True
    assert answer.choices[0].message.content == full_text("How are you?")
    assert [call.body["model"] for call in embeddings(upstream)] == ["text-embedding"] * 2
    assert [call.body["input"] for call in embeddings(upstream)][1] in (
        "How do you do?",
        ["How do you do?"],
    )
    # Other tenants, and questions with tools, are not compared.
    assert ask(server, "How are you?", key="sk-client-0002")[1] == "miss"
    assert ask(server, "How do you do?", key="sk-client-0002")[1] == "miss"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    assert ask(server, "How are you?", tools=tools)[1] == "miss"
    assert ask(server, "How do you do?", tools=tools)[1] == "miss"
    assert len(embeddings(upstream)) == 2
    assert results(server) == {"miss": 5, "similar": 1}
