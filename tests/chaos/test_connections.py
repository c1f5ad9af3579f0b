"""Upstreams that cannot be reached, and connections that end at a bad moment."""

import openai
import pytest

from support import gateway
from support import upstream_faults as faults
from support.certificate import make_certificate
from support.gateway import asking, assert_honest_error, hear, streaming
from support.upstream import refused_url
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "Are you there?"
SHORT = {**gateway.PATIENT, "connect_timeout": "700ms"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def answered(server):
    with gateway.client(server) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
        heard.assert_one_answer(full_text(QUESTION))
        answer = client.chat.completions.create(**asking(QUESTION))
        assert answer.choices[0].message.content == full_text(QUESTION)


def refused_honestly(server, *words):
    for body in (asking(QUESTION), streaming(QUESTION)):
        error = assert_honest_error(server.post("/v1/chat/completions", body))
        for word in words:
            assert word in error["message"], error


def both_ways(start_gateway, bad_row, good, *words):
    """With a second backend there is an answer, without one an error that names the first."""
    answered(start_gateway([bad_row, gateway.backend("good", good.url)]))
    retry = {"attempts_max": 3, "backoff_min": "10ms"}
    refused_honestly(start_gateway([bad_row], retry=retry), bad_row["name"], *words)


def test_the_name_is_unknown(start_gateway, start_upstream):
    row = gateway.backend("lost", "http://no-such-host.invalid/v1", **SHORT)
    both_ways(start_gateway, row, start_upstream())


def test_nobody_listens(start_gateway, start_upstream):
    both_ways(start_gateway, gateway.backend("gone", refused_url(), **SHORT), start_upstream())


def test_the_address_leads_nowhere(start_gateway, start_upstream):
    """192.0.2.0/24 is for documentation: packets vanish, or the network says so."""
    row = gateway.backend("nowhere", "http://192.0.2.1:9/v1", **SHORT)
    both_ways(start_gateway, row, start_upstream())


def test_tls(start_gateway, start_upstream, certificate):
    upstream = start_upstream(tls=certificate)
    trust = str(certificate / "cert.pem")
    server = start_gateway([gateway.backend("safe", upstream.url, trust_file=trust)])
    for _ in range(3):
        answered(server)
    assert upstream.sockets_seen < 6, "TLS connections are kept"


def test_tls_is_very_slow(start_gateway, start_upstream, certificate):
    slow = start_upstream("slow", tls=certificate)
    slow.tls_delay = 30
    trust = str(certificate / "cert.pem")
    row = gateway.backend("slow", slow.url, trust_file=trust, **SHORT)
    both_ways(start_gateway, row, start_upstream())


def test_tls_that_is_not_trusted(start_gateway, start_upstream, certificate):
    strange = start_upstream("strange", tls=certificate)
    both_ways(start_gateway, gateway.backend("strange", strange.url, **SHORT), start_upstream())
    assert strange.calls == []


def test_plain_http_where_tls_was_meant(start_gateway, start_upstream):
    plain = start_upstream("plain")
    row = gateway.backend("plain", plain.url.replace("http:", "https:"), **SHORT)
    both_ways(start_gateway, row, start_upstream())


def test_an_upstream_that_closes_idle_connections(start_gateway, start_upstream):
    upstream = start_upstream()
    upstream.idle_seconds = 0.02
    server = start_gateway([gateway.backend("only", upstream.url)])
    for _ in range(10):
        answered(server)
        wait_until(lambda: upstream.open_sockets() == 0, "it has closed them")
    assert len(upstream.calls) == 20


def test_an_upstream_that_closes_behind_every_answer(start_gateway, start_upstream):
    """Without saying so: the next request may already be on its way."""
    upstream = start_upstream()
    upstream.idle_seconds = 0
    server = start_gateway([gateway.backend("only", upstream.url)])
    for _ in range(20):
        answered(server)


def test_an_upstream_that_comes_back(start_gateway, start_upstream):
    """All its connections die at once; the next request opens a new one and nobody notices."""
    upstream = start_upstream()
    server = start_gateway([gateway.backend("only", upstream.url)])
    for reset in (True, False, True):
        answered(server)
        upstream.close_connections(reset)
        answered(server)


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_short_retry_after_is_waited_for(start_gateway, start_upstream, seconds):
    only = start_upstream()
    only.behave(faults.limited(1, faults.answer(), first=faults.status(429, seconds)))
    answered(start_gateway([gateway.backend("only", only.url)]))
    first, second = only.calls[:2]
    assert second.received_at - first.received_at >= seconds


def test_a_long_retry_after_reaches_the_client(start_gateway, start_upstream):
    only = start_upstream()
    only.behave(faults.status(429, 3600))
    server = start_gateway([gateway.backend("only", only.url)])
    with gateway.client(server) as client:
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as refused:
                client.chat.completions.create(**asking(QUESTION))
            assert 3500 <= int(refused.value.response.headers["Retry-After"]) <= 3600
    assert len(only.calls) == 1


def test_a_limit_keeps_requests_away(start_gateway, pair):
    """While Retry-After runs the first one is left alone."""
    pair[0].behave(faults.status(429, 60))
    server = start_gateway([gateway.backend(one.name, one.url) for one in pair])
    for _ in range(5):
        answered(server)
    assert len(pair[0].calls) == 1 and len(pair[1].calls) == 10


def test_a_dead_one_is_left_alone(start_gateway, pair):
    pair[0].behave(faults.status(500))
    breaker = {"failures_max": 3, "open_time": "60s"}
    rows = [gateway.backend(one.name, one.url) for one in pair]
    server = start_gateway(rows, breaker=breaker)
    for _ in range(5):
        answered(server)
    assert len(pair[0].calls) == 3 and len(pair[1].calls) == 10


def test_it_is_tried_again_when_it_is_well(start_gateway, pair):
    pair[0].behave(faults.status(500))
    breaker = {"failures_max": 2, "open_time": "200ms", "successes_min": 1}
    rows = [gateway.backend(one.name, one.url) for one in pair]
    server = start_gateway(rows, breaker=breaker)
    answered(server)
    pair[0].behave(faults.answer())

    def first_answers():
        body = server.post("/v1/chat/completions", asking(QUESTION)).json()
        return body["id"].startswith("chatcmpl-first")

    wait_until(first_answers, "the first one answers again")
