"""Keys: a client's is checked and goes no further; an upstream's is sent there and nowhere else."""

import json

import openai
import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking, hear, streaming
from support.upstream_text import text as full_text

CLIENT_KEY = "sk-tenant-a-9f8e7d6c5b4a"
OTHER_KEY = "sk-tenant-b-1a2b3c4d5e6f"
UPSTREAM_KEY = "sk-upstream-secret-0011223344"
KEYS = {"keys": [{"key": CLIENT_KEY, "tenant": "a"}, {"key": "${OTHER_KEY}", "tenant": "b"}]}
QUESTION = "Who am I?"


@pytest.fixture
def guarded(pair, start_gateway):
    rows = [gateway.backend(one.name, one.url, api_key="${UPSTREAM_KEY}") for one in pair]
    environment = {"UPSTREAM_KEY": UPSTREAM_KEY, "OTHER_KEY": OTHER_KEY}
    return start_gateway(rows, environment=environment, access=KEYS, log={"level": "debug"})


def assert_secret(text):
    for key in (CLIENT_KEY, OTHER_KEY, UPSTREAM_KEY):
        assert key not in text, text
        assert key[3:-3] not in text, text


def test_without_a_key(guarded, pair):
    for path, body in (
        ("/v1/chat/completions", asking(QUESTION)),
        ("/v1/chat/completions", streaming(QUESTION)),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/embeddings", {"input": "Hi"}),
        ("/api/v1/infer", {"query": "Hi"}),
        ("/generate", {"prompt": "Hi"}),
    ):
        answer = guarded.post(path, body)
        assert answer.status == 401, (path, answer.body)
        assert "key" in answer.json()["error"]["message"].lower()
    assert guarded.get("/v1/models").status == 401
    assert pair[0].calls == []
    assert guarded.get("/health").status == 200


@pytest.mark.parametrize("key", ["wrong", CLIENT_KEY[:-1], CLIENT_KEY + "x", UPSTREAM_KEY])
def test_with_a_wrong_key(guarded, pair, key):
    with gateway.client(guarded, key) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(**asking(QUESTION))
    assert key not in refused.value.message or len(key) < 8
    assert pair[0].calls == []
    assert_secret(guarded.log_text())


@pytest.mark.parametrize("key", [CLIENT_KEY, OTHER_KEY])
def test_with_a_key(guarded, pair, key):
    with gateway.client(guarded, key) as client:
        answer = client.chat.completions.create(**asking(QUESTION))
        assert answer.choices[0].message.content == full_text(QUESTION)
    assert pair[0].calls[0].fields["authorization"] == f"Bearer {UPSTREAM_KEY}"


def test_the_other_field_for_keys(guarded, pair):
    fields = [("x-api-key", CLIENT_KEY)]
    assert guarded.post("/v1/chat/completions", asking(QUESTION), fields).status == 200
    assert "x-api-key" not in pair[0].calls[0].fields


def test_only_our_own_fields_reach_an_upstream(guarded, pair):
    fields = [
        ("Authorization", f"Bearer {CLIENT_KEY}"),
        ("Cookie", "session=abc"),
        ("X-Forwarded-For", "10.1.2.3"),
        ("OpenAI-Organization", "org-1"),
        ("Proxy-Authorization", "Basic abc"),
    ]
    assert guarded.post("/v1/chat/completions", asking(QUESTION), fields).status == 200
    [call] = pair[0].calls
    assert CLIENT_KEY not in str(call.field_list) + call.raw_body.decode()
    for name in ("cookie", "x-forwarded-for", "openai-organization", "proxy-authorization"):
        assert name not in call.fields
    assert [name.lower() for name, _ in call.field_list].count("authorization") == 1


@pytest.mark.parametrize("code", [400, 401, 403, 429, 500, 503])
def test_an_upstream_that_repeats_the_key(guarded, pair, code):
    """What it says may pass, but no key in it, neither to the client nor to the log."""
    for one in pair:
        one.behave(faults.echo_secrets(code))
    fields = [("Authorization", f"Bearer {CLIENT_KEY}")]
    answer = guarded.post("/v1/chat/completions", asking(QUESTION), fields)
    assert answer.status >= 400
    assert_secret(answer.text() + json.dumps(answer.fields))
    assert_secret(guarded.log_text())


def test_our_own_key_is_refused(guarded, pair):
    """401 of an upstream is no 401 for the client, whose key is good; the second one answers."""
    pair[0].behave(faults.status(401))
    with gateway.client(guarded, CLIENT_KEY) as client:
        answer = client.chat.completions.create(**asking(QUESTION))
        assert answer.id == "chatcmpl-second-1"
        pair[1].behave(faults.status(401))
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(**asking(QUESTION))
    assert refused.value.status_code in (500, 502, 503), refused.value


def test_a_stream_that_repeats_the_key(guarded, pair):
    for one in pair:
        one.behave(faults.echo_secrets(200))
    fields = [("Authorization", f"Bearer {CLIENT_KEY}")]
    answer = guarded.post("/v1/chat/completions", streaming(QUESTION), fields)
    assert "error" in answer.frames()[-1]
    assert_secret(answer.text())
    assert_secret(guarded.log_text())


def test_no_keys_configured(relay, pair):
    """Any key is taken then, and still none goes further."""
    with gateway.client(relay, CLIENT_KEY) as client:
        hear(client.chat.completions.create(**streaming(QUESTION))).assert_one_answer(
            full_text(QUESTION)
        )
    assert pair[0].calls[0].fields["authorization"] == "Bearer sk-upstream-first-0001"


def test_an_upstream_without_a_key(start_gateway, pair):
    server = start_gateway([gateway.backend("first", pair[0].url, api_key="")])
    with gateway.client(server, CLIENT_KEY) as client:
        client.chat.completions.create(**asking(QUESTION))
    assert "authorization" not in pair[0].calls[0].fields
