"""Embedding requests to upstreams: the next backend, the accounts, a client that leaves."""

import sqlite3

import openai
import pytest

from support import gateway
from support import upstream_faults as faults
from support.waiting import wait_until

TEXTS = ["hello", "the quick brown fox"]


def attempts(folder):
    """(backend, outcome, prompt tokens, cost) of every attempt in the ledger."""
    with sqlite3.connect(f"file:{folder}/data/usage.db?mode=ro", uri=True) as database:
        query = "SELECT backend, outcome, prompt_tokens, cost_nano FROM usage_attempts ORDER BY id"
        return [tuple(row) for row in database.execute(query)]


def wait_for_attempts(folder, wanted):
    wait_until(lambda: attempts(folder) == wanted, f"the ledger holds {wanted}")


@pytest.fixture
def relay(start_gateway, pair):
    rows = [gateway.backend(one.name, one.url, price_input=2) for one in pair]
    return start_gateway(rows, ledger={"flush_ms": "10ms"})


@pytest.fixture
def sdk(relay):
    with gateway.client(relay) as client:
        yield client


def test_an_answer_and_its_cost(sdk, pair, tmp_path):
    pair[0].behave(faults.vectors())
    answer = sdk.embeddings.create(model="text-embedding", input=TEXTS)
    assert [row.embedding[0] for row in answer.data] == [5.0, 19.0]
    assert answer.usage.prompt_tokens == 6
    wait_for_attempts(tmp_path, [("first", "ok", 6, 12_000)])


def test_the_next_backend_answers(sdk, pair, tmp_path):
    pair[0].behave(faults.status(503))
    pair[1].behave(faults.vectors())
    answer = sdk.embeddings.create(model="text-embedding", input=TEXTS)
    assert len(answer.data) == 2
    wait_for_attempts(tmp_path, [("first", "failed", 0, 0), ("second", "ok", 6, 12_000)])


def test_a_dead_backend_is_passed_over(sdk, pair):
    pair[0].die()
    pair[1].behave(faults.vectors())
    assert len(sdk.embeddings.create(model="text-embedding", input=TEXTS).data) == 2


def test_usage_that_cannot_be_true_is_counted(sdk, pair, tmp_path):
    pair[0].behave(faults.vectors(tokens=10**9))
    answer = sdk.embeddings.create(model="text-embedding", input=TEXTS)
    tokens = answer.usage.prompt_tokens
    assert 0 < tokens < 30
    wait_for_attempts(tmp_path, [("first", "ok", tokens, 2_000 * tokens)])


def test_the_clients_own_mistake_is_told_once(sdk, pair, tmp_path):
    pair[0].behave(faults.status(400))
    with pytest.raises(openai.BadRequestError):
        sdk.embeddings.create(model="text-embedding", input=TEXTS)
    assert not pair[1].calls
    wait_for_attempts(tmp_path, [("first", "failed", 0, 0)])


def test_who_leaves_is_nobodys_failure(relay, pair, tmp_path):
    pair[0].behave(faults.stall_before_head())
    with gateway.client(relay, timeout=0.5) as client, pytest.raises(openai.APITimeoutError):
        client.embeddings.create(model="text-embedding", input=TEXTS)
    wait_until(lambda: pair[0].busy_sockets() == 0, "the upstream is let go")
    wait_for_attempts(tmp_path, [("first", "cancelled", 0, 0)])
    assert not pair[1].calls
