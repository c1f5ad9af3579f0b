"""Backends of every form, the examples of config/, what is told of backends, and their reload."""

import json
import os
import signal

import pytest

from support import gateway, http
from support import upstream_faults as faults
from support.engines import HeldEngine
from support.gateway import asking, hear, streaming
from support.server import ROOT, run
from support.upstream import refused_url
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What are you?"
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def ask(server, question=QUESTION, **more):
    with gateway.client(server) as client:
        answer = client.chat.completions.create(**asking(question, **more))
    return answer.choices[0].message.content


def backends_of(server):
    told = http.request(server.metrics_url, "GET", "/backends").json()["backends"]
    return {one["name"]: one for one in told}


def explain(server, **question):
    question.setdefault("body", asking(QUESTION))
    return http.request(server.metrics_url, "POST", "/routes/explain", body=question)


# --- forms --------------------------------------------------------------------------------------


def test_azure(start_gateway, start_upstream):
    upstream = start_upstream("azure")
    row = gateway.backend(
        "azure",
        f"{upstream.origin}/res",
        type="azure",
        api_version="2024-10-21",
        upstream_models={gateway.MODEL: "my deploy/1"},
        models=[gateway.MODEL],
        continuation="none",
    )
    server = start_gateway([row])
    assert ask(server) == full_text(QUESTION)
    with gateway.client(server) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    for call in upstream.calls:
        assert call.path == (
            "/res/openai/deployments/my%20deploy%2F1/chat/completions?api-version=2024-10-21"
        )
        assert call.fields["api-key"] == "sk-upstream-azure-0001"
        assert "authorization" not in call.fields
        assert "sk-client" not in str(call.field_list)


def test_the_limit_of_tokens_has_the_upstreams_name(start_gateway, start_upstream):
    upstream = start_upstream("official")
    server = start_gateway([gateway.backend("official", upstream.url, type="deepseek")])
    assert ask(server, max_completion_tokens=7) and ask(server, max_tokens=8)
    newer, older = (call.body for call in upstream.calls)
    assert newer["max_tokens"] == 7 and "max_completion_tokens" not in newer
    assert older["max_tokens"] == 8


# --- the examples -------------------------------------------------------------------------------


def test_the_relay_example_as_it_is(start_server, start_upstream):
    first, second = start_upstream("official"), start_upstream("second")
    variables = {
        "DEEPSEEK_API_KEY": "sk-example-0001",
        "DEEPSEEK_BACKENDS__0__BASE_URL": first.url,
        "DEEPSEEK_BACKENDS__1__BASE_URL": second.url,
    }
    file = ROOT / "config/relay.yaml"
    server = start_server("--config", file, wait="listening", extra_environment=variables)
    wait_until(lambda: server.get("/ready").status == 200, "it is ready")
    assert ask(server) == full_text(QUESTION)
    call = first.default.chats()[0]
    assert call.fields["authorization"] == "Bearer sk-example-0001"
    assert call.body["model"] == "deepseek-flash"
    first.behave(faults.cut_after_frames(4))
    with gateway.client(server) as client:
        heard = hear(client.chat.completions.create(**streaming("And then?")))
    heard.assert_one_answer(full_text("And then?"))
    assert len(second.default.chats()) == 1


def test_the_hybrid_example_as_it_is(start_server, start_upstream):
    official = start_upstream("official")
    variables = {
        "DEEPSEEK_API_KEY": "sk-example-0001",
        "DEEPSEEK_BACKENDS__0__BASE_URL": official.url,
    }
    file = ROOT / "config/hybrid.yaml"
    with HeldEngine() as engine:
        server = start_server(
            "--config",
            file,
            settings={"engine.program": engine.program},
            wait="listening",
            extra_environment=variables,
        )
        assert server.get("/ready").status == 200, "one backend is enough"
        engine.release()
        server.wait_metric("deepseek_engine_ready", 1)
    assert ask(server, max_tokens=4) not in ("", full_text(QUESTION))
    assert official.calls == []
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    content = [{"type": "text", "text": QUESTION}, picture]
    body = {"messages": [{"role": "user", "content": content}], "model": "gpt-4o"}
    assert server.post("/v1/chat/completions", body).status == 200
    assert official.default.chats()[0].body["model"] == "deepseek-flash"
    assert ask(server, model="deepseek-v4-pro") == full_text(QUESTION)


# --- what is told -------------------------------------------------------------------------------


def test_ready_as_soon_as_one_route_can_be_served(start_gateway, start_upstream):
    well = start_upstream("well")
    well.default.well = False
    checks = {"health_path": "/v1/health", "health_interval": "100ms"}
    rows = [gateway.backend("gone", refused_url()), gateway.backend("well", well.url)]
    server = start_gateway([row | checks for row in rows], breaker={"health_failures": 1})
    wait_until(lambda: server.get("/ready").status == 503, "nobody is well")
    told = server.get("/ready").json()
    assert told["status"] == "unavailable"
    assert {one["name"]: one["status"] for one in told["backends"]} == {
        "gone": "unavailable",
        "well": "unavailable",
    }
    well.default.well = True
    wait_until(lambda: server.get("/ready").status == 200, "one is well")
    assert {one["name"]: one["status"] for one in server.get("/ready").json()["backends"]} == {
        "gone": "unavailable",
        "well": "ready",
    }


def test_what_the_operator_sees_of_backends(start_gateway, start_upstream):
    good, bad = start_upstream("good"), start_upstream("bad")
    bad.behave(faults.cut_at_once())
    rows = [gateway.backend("bad", bad.url), gateway.backend("good", good.url)]
    server = start_gateway(rows, breaker={"failures_max": 1})
    with gateway.client(server) as client:
        hear(client.chat.completions.create(**streaming(QUESTION))).assert_one_answer(
            full_text(QUESTION)
        )
    told = backends_of(server)
    assert told["good"]["usable"] and told["good"]["breaker"] == "closed"
    assert told["good"]["first_token_ms"] > 0
    assert told["good"]["in_flight"] == 0 and told["good"]["in_flight_max"] == 1000
    assert not told["bad"]["usable"] and told["bad"]["breaker"] == "open"
    assert told["bad"]["last_failure"] == "broken"
    assert "sk-upstream" not in json.dumps(told)
    metrics = server.metrics()
    assert metrics.value("deepseek_backend_usable", backend="good") == 1
    assert metrics.value("deepseek_backend_usable", backend="bad") == 0
    assert metrics.value("deepseek_backend_breaker_open", backend="bad") == 1
    assert server.get("/backends").status == 404, "only at the operator's port"


def test_who_does_worse_than_its_peers_is_left_alone(start_gateway, start_upstream):
    upstreams = [start_upstream(name) for name in ("one", "two", "sick")]
    upstreams[2].behave(faults.status(503))
    server = start_gateway(
        [gateway.backend(one.name, one.url) for one in upstreams],
        [{"model": "*", "backends": ["one", "two", "sick"], "strategy": "weighted_round_robin"}],
        # Breakers stay closed and retries are paid for: only the comparison can find it.
        breaker={"failures_max": 1_000_000, "outlier_interval": "500ms"},
        retry={"budget_percent": 100, "budget_min": 1000},
    )

    def found():
        for number in range(100):
            assert server.post("/v1/chat/completions", asking(f"{number}")).status == 200
        return not backends_of(server)["sick"]["usable"]

    wait_until(found, "the sick one is left alone")
    told = backends_of(server)
    assert told["sick"]["breaker"] == "closed"
    assert "others do better" in told["sick"]["availability"]
    assert told["one"]["usable"] and told["two"]["usable"]
    before = len(upstreams[2].calls)
    assert found() and len(upstreams[2].calls) == before


def test_models_that_upstreams_list(start_gateway, start_upstream):
    upstream = start_upstream("upstream")
    row = gateway.backend("first", upstream.url, health_path="/v1/health", health_interval="100ms")
    routes = [{"model": "upstream-*", "backends": ["first"]}]
    server = start_gateway([row], routes, default_model="")
    wait_until(lambda: server.get("/v1/models").json()["data"], "the list has come")
    (model,) = server.get("/v1/models").json()["data"]
    assert model["id"] == "upstream-model" and model["owned_by"] == "first"
    assert server.get("/v1/models/upstream-model").status == 200


# --- explanations -------------------------------------------------------------------------------


@pytest.fixture
def tiers(start_gateway, start_upstream):
    cheap, dear = start_upstream("cheap"), start_upstream("dear")
    rows = [
        gateway.backend("dear", dear.url, price_output=8.0),
        gateway.backend("cheap", cheap.url, price_output=1.0),
    ]
    routes = [
        {"model": "*", "headers": {"x-tier": "gold"}, "backends": ["dear"]},
        {"model": "*", "backends": ["dear", "cheap"], "strategy": "cheapest"},
    ]
    return start_gateway(rows, routes), cheap, dear


def test_route_explain_of_a_running_server(tiers):
    server, cheap, dear = tiers
    told = explain(server).json()
    assert told["route"] == "routes[1]" and told["chosen"] == "cheap"
    assert told["rules"][0]["verdict"] == "the header x-tier is absent"
    assert [one["name"] for one in told["candidates"]] == ["dear", "cheap"]
    assert told["candidates"][0]["price"] > told["candidates"][1]["price"] > 0
    assert explain(server, headers={"x-tier": "gold"}).json()["chosen"] == "dear"
    assert explain(server, body={"messages": 1}).status == 400
    assert explain(server, what=1).status == 400
    assert cheap.calls == dear.calls == [], "nobody was asked"

    arguments = ["route", "explain", "--url", server.metrics_url, "--message", QUESTION]
    said = run(arguments, program="deepseek")
    assert said.returncode == 0, said.stderr
    assert "    routes[0]: the header x-tier is absent\n  → routes[1]: fits\n" in said.stdout
    assert "  → cheap: ready, usable, breaker closed, 0 of 1000 in flight" in said.stdout
    assert "asked first: cheap" in said.stdout
    cheap.stop()
    ask(server)
    assert backends_of(server)["cheap"]["last_failure"] == "connect"


def test_route_explain_of_a_configuration(tmp_path):
    rows = [
        gateway.backend("first", "http://192.0.2.1/v1"),
        {"name": "own", "type": "managed", "command": ["no-such-program", "{port}"]},
    ]
    routes = [
        {"model": "*", "tenant": "acme", "backends": ["own"]},
        {"model": "deepseek-*", "features": ["tools"], "backends": ["first"]},
        {"model": "*", "prompt_tokens_max": 100, "backends": ["own", "first"]},
    ]
    file = gateway.configuration(tmp_path, rows, routes)
    base = ["route", "explain", "--config", file]
    said = run([*base, "--message", QUESTION], program="deepseek")
    assert said.returncode == 0, said.stderr
    assert 'routes[0]: the tenant "default" is not "acme"' in said.stdout
    assert "routes[1]: the request does not use: tools" in said.stdout
    assert "  → routes[2]: fits" in said.stdout
    assert "asked first: own" in said.stdout
    said = run([*base, "--message", QUESTION, "--tenant", "acme"], program="deepseek")
    assert "  → routes[0]: fits" in said.stdout
    body = tmp_path / "body.json"
    body.write_text(json.dumps(asking("word " * 500)), "utf-8")
    said = run([*base, "--body", body], program="deepseek")
    assert "no route: No route takes this request" in said.stdout
    assert "more than 100" in said.stdout
    said = run(["route", "explain", "--config", "no.yaml", "--message", "x"], program="deepseek")
    assert said.returncode == 1 and "no.yaml" in said.stderr


# --- reload -------------------------------------------------------------------------------------


def test_a_reload_moves_a_backend_and_what_runs_stays(start_gateway, start_upstream, tmp_path):
    old, new = start_upstream("old"), start_upstream("new")
    old.behave(faults.answer(pace=0.05))
    server = start_gateway([gateway.backend("one", old.url)])
    with gateway.client(server) as client:
        stream = client.chat.completions.create(**streaming(QUESTION))
        heard = gateway.Heard()
        heard.take(next(iter(stream)))
        gateway.configuration(tmp_path, [gateway.backend("one", new.url)])
        start = len(server.log)
        server.signal(signal.SIGHUP)
        server.wait_for_log(lambda entry: entry.get("message") == "reloaded", "reload", start)
        assert ask(server, "Who now?") == full_text("Who now?")
        hear(stream, heard)
    heard.assert_one_answer(full_text(QUESTION))
    assert len(old.default.chats()) == len(new.default.chats()) == 1


# --- an engine's enemy --------------------------------------------------------------------------


def test_a_request_that_kills_the_engine_twice_is_refused(start_server):
    # On a slow machine an attempt may wait in vain for the engine that is restarted.
    server = start_server(settings={"retry.attempts_max": "16"})
    body = {"max_tokens": 400, "ignore_eos": True, "n": 2}
    body["messages"] = [{"role": "user", "content": "Kill."}]
    with server.stream("/v1/chat/completions", body) as answer:
        for death in (1, 2):
            server.wait_metric("deepseek_running_sequences", 2)
            # As a crash does; SIGKILL comes from outside and is no request's fault.
            os.kill(server.engine_pid(), signal.SIGABRT)
            server.wait_metric("deepseek_engine_restarts_total", death)
        refused = answer.read()
    assert refused.status == 500, refused.body
    assert refused.json()["error"]["code"] == "internal_error", refused.body
    server.wait_ready()
    assert server.chat().status == 200, "others are answered"
