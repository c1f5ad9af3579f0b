"""The API over gRPC, and its methods over HTTP, in front of a scripted upstream."""

import contextlib
import json
import socket

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support import gateway, http, rpc
from support import upstream_faults as faults
from support.certificate import make_certificate
from support.rpc import NAME, Service, asking, rpc_target, text_of, trailers
from support.server import Server, run
from support.upstream import Upstream
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What is a relay?"
KEY = "sk-client-of-grpc-0001"


def start(stack, folder, upstream, settings=None, **sections):
    row = gateway.backend("first", upstream.url)
    sections = {"breaker": {"failures_max": 1_000_000, "outlier_factor": 0}, **sections}
    sections.setdefault("retry", {"attempts_max": 1})
    file = gateway.configuration(folder, [row], **sections)
    server = Server(("--config", file), {**rpc.ON, **(settings or {})}, wait="listening")
    stack.callback(server.kill)
    return server


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        server = start(stack, tmp_path_factory.mktemp("grpc"), upstream)
        service = stack.enter_context(Service(rpc_target(server)))
        yield server, upstream, service


@pytest.fixture
def upstream(shared):
    one = shared[1]
    wait_until(lambda: one.busy_sockets() == 0, "earlier answers have ended")
    one.default.reset()
    # One that said it is limited is left alone for a moment.
    shared[0].wait_metric("deepseek_backend_usable", 1, backend="first")
    return one


@pytest.fixture
def service(shared, upstream):
    return shared[2]


@pytest.fixture
def server(shared, upstream):
    return shared[0]


# --- answers ------------------------------------------------------------------------------------


def test_whole(service):
    answer = service.call("Chat", asking(QUESTION))
    assert answer.choices[0].content == full_text(QUESTION)
    assert answer.choices[0].finish_reason == "stop" and answer.model == gateway.MODEL
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream(service):
    pieces = list(service.call("StreamChat", asking(QUESTION)))
    assert text_of(pieces) == full_text(QUESTION)
    ends = [choice.finish_reason for piece in pieces for choice in piece.choices]
    assert [end for end in ends if end] == ["stop"]
    assert len({piece.id for piece in pieces}) == 1
    assert pieces[-1].usage.completion_tokens > 0 and not pieces[-2].HasField("usage")


def test_prompts(service):
    prompt = "Once upon a time::"
    assert service.call("Generate", {"prompt": prompt}).choices[0].content == full_text(prompt)
    assert text_of(service.call("StreamGenerate", {"prompt": prompt})) == full_text(prompt)
    echoed = service.call("Generate", {"prompt": prompt, "echo": True}).choices[0].content
    assert echoed == prompt + full_text(prompt)


def test_embeddings(service, upstream):
    upstream.behave(faults.vectors())
    answer = service.call("Embed", {"model": "any", "inputs": [{"text": "a"}, {"text": "bcd"}]})
    assert [one.values[0] for one in answer.embeddings] == [1.0, 3.0]
    assert [one.index for one in answer.embeddings] == [0, 1]


def test_models_and_health(service, server):
    listed = {model.id for model in service.call("ListModels").models}
    assert listed == {row["id"] for row in server.get("/v1/models").json()["data"]}
    assert service.call("Health").status == "ok"


def test_request_ids_pass(service, upstream):
    call = service.callable("Chat")
    request = service.message("Chat", asking(QUESTION))
    _, done = call.with_call(request, metadata=[("x-request-id", "mine-1")])
    assert dict(done.initial_metadata())["x-request-id"] == "mine-1"
    assert upstream.calls[-1].fields["x-request-id"] == "mine-1"


def test_tools_and_limits_reach_the_upstream(service, upstream):
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "number"}}}
    function = {"name": "weather", "parameters": json.dumps(schema), "description": "Of a city"}
    more = {"tools": [{"type": "function", "function": function}], "max_tokens": 77}
    more |= {"temperature": 0.25, "seed": "1234567890123456789", "stop": ["END"]}
    more |= {"tool_choice": {"type": "function", "name": "weather"}}
    service.call("Chat", asking(QUESTION, **more))
    body = upstream.calls[-1].body
    assert body["tools"][0]["function"]["parameters"] == schema
    assert list(body["tools"][0]["function"]["parameters"]["properties"]) == ["b", "a"]
    assert body["tool_choice"]["function"]["name"] == "weather"
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.25, 77, ["END"])
    assert body["seed"] == 1234567890123456789


# --- errors -------------------------------------------------------------------------------------

REFUSED = [
    ("Chat", {}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_request", "messages"),
    (
        "Chat",
        asking("x", temperature=9),
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_request",
        "temperature",
    ),
    (
        "StreamChat",
        {"messages": [{"role": "nobody", "content": "x"}]},
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_request",
        "messages[0].role",
    ),
    (
        "Chat",
        asking("x", constraint={"regex": "a", "grammar": "b"}),
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_request",
        "constraint.regex",
    ),
    ("Generate", {}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_request", "prompt"),
    ("Embed", {}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_request", "input"),
]


@pytest.mark.parametrize(("method", "fields", "code", "name", "param"), REFUSED)
def test_refusals(service, upstream, method, fields, code, name, param):
    error = service.refusal(method, fields)
    told = trailers(error)
    assert (error.code(), told["deepseek-error"], told["deepseek-param"]) == (code, name, param)
    assert param in error.details() and not upstream.calls


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (404, grpc.StatusCode.NOT_FOUND),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, grpc.StatusCode.UNAVAILABLE),
        (503, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_an_upstreams_errors(service, server, upstream, status, code):
    """The same request has the same error over both ways, each in its own form."""
    upstream.behave(faults.status(status))
    error = service.refusal("Chat", asking(QUESTION))
    answer = server.post("/api/v1/chat", asking(QUESTION))
    assert error.code() == code
    assert trailers(error)["deepseek-error"] == answer.json()["error"]["code"]


def test_an_answer_that_breaks_ends_with_a_status(service, upstream):
    upstream.behave(faults.cut_after_frames(3))
    heard = []
    with pytest.raises(grpc.RpcError) as raised:
        heard.extend(service.call("StreamChat", asking(QUESTION)))
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert full_text(QUESTION).startswith(text_of(heard)) and text_of(heard)


def test_no_such_method(service):
    call = service.channel.unary_unary(f"/{NAME}/Nothing", lambda text: text, lambda text: text)
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=30)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message(service):
    call = service.channel.unary_unary(f"/{NAME}/Chat", lambda text: text, lambda text: text)
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\xff\xff\xff\xff", timeout=30)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


# --- leaving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Chat", "StreamChat"])
def test_cancelling_reaches_the_upstream(service, upstream, method):
    upstream.behave(faults.stall_after_frames(2))
    row = service.callable(method)
    request = service.message(method, asking(QUESTION))
    if method == "Chat":
        call = row.future(request, timeout=60)
        wait_until(lambda: upstream.calls, "the upstream was asked")
    else:
        call = row(request, timeout=60)
        next(call)
    call.cancel()
    wait_until(lambda: upstream.default.left, "the upstream's client has left")


@pytest.mark.parametrize("method", ["Chat", "StreamChat"])
def test_a_deadline_ends_the_work(service, upstream, method):
    upstream.behave(faults.stall_after_frames(2))
    error = service.refusal(method, asking(QUESTION), timeout=0.7)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: upstream.default.left, "the upstream's client has left")


def test_a_slow_client_slows_only_itself(service, server, upstream):
    """Its upstream is not read any further; another call is answered meanwhile."""
    slow = service.call("StreamChat", asking(QUESTION))
    next(slow)
    assert service.call("Chat", asking("Another?")).choices[0].content == full_text("Another?")
    assert text_of([next(slow)])
    slow.cancel()


# --- over HTTP ----------------------------------------------------------------------------------


def without_noise(message):
    """What two answers to one question share."""
    for noise in ("id", "created", "timings"):
        message.pop(noise, None)
    for choice in message.get("choices", ()):
        choice.pop("timings", None)
    return message


def as_json(message):
    return without_noise(json_format.MessageToDict(message, preserving_proto_field_name=True))


def test_the_same_answers_over_http(service, server):
    for method, path, fields in [
        ("Chat", "/api/v1/chat", asking(QUESTION)),
        ("Generate", "/api/v1/generate", {"prompt": "Once::"}),
        ("ListModels", "/api/v1/models", None),
    ]:
        called = as_json(service.call(method, fields))
        answer = server.get(path) if fields is None else server.post(path, fields)
        assert answer.status == 200 and without_noise(answer.json()) == called


def test_the_same_pieces_over_http(service, server):
    called = [as_json(piece) for piece in service.call("StreamChat", asking(QUESTION))]
    with server.stream("/api/v1/chat:stream", asking(QUESTION)) as exchange:
        body = exchange.read().body.decode()
    frames = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    streamed = [without_noise(json.loads(frame)) for frame in frames[:-1]]

    def joined(pieces):
        return "".join(c.get("content", "") for p in pieces for c in p.get("choices", ()))

    assert joined(streamed) == joined(called) == full_text(QUESTION)
    assert streamed[-1] == called[-1]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/api/v1/chat", {"messages": [{"role": "user", "colour": "x"}]}, "messages[0].colour"),
        ("/api/v1/chat", {"colour": "x"}, "colour"),
        ("/api/v1/chat", asking("x", temperature=9), "temperature"),
        ("/api/v1/generate", {"prompt": "x", "prompts": [{"text": "y"}]}, "prompts"),
    ],
)
def test_http_is_strict(server, path, body, param):
    answer = server.post(path, body)
    assert (answer.status, answer.json()["error"]["param"]) == (400, param)


def test_doubled_keys_are_refused(server):
    answer = http.request(
        server.url,
        "POST",
        "/api/v1/chat",
        [("Content-Type", "application/json")],
        b'{"messages": [], "messages": []}',
    )
    assert answer.status == 400


# --- what clients find --------------------------------------------------------------------------


def test_reflection_and_health(service):
    assert {NAME, "grpc.health.v1.Health"} <= service.services
    assert service.methods["StreamChat"].server_streaming
    stub = health_pb2_grpc.HealthStub(service.channel)
    for name in ("", NAME):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_calls_are_counted(service, server):
    name, labels = "deepseek_http_requests_total", {"endpoint": "grpc/Chat", "status": "200"}
    before = server.metrics().value(name, **labels)
    service.call("Chat", asking(QUESTION))
    assert server.metrics().value(name, **labels) == before + 1


# --- keys, TLS, limits, ports -------------------------------------------------------------------


def test_keys(tmp_path):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        access = {"keys": [{"key": KEY, "tenant": "someone"}]}
        server = start(stack, tmp_path, upstream, access=access)
        target = rpc_target(server)
        nobody = stack.enter_context(Service(target))
        assert nobody.call("Health").status == "ok"
        for metadata in ([], [("authorization", "Bearer sk-wrong-key-00000")]):
            error = nobody.refusal("Chat", asking(QUESTION), metadata=metadata)
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        for metadata in ([("authorization", f"Bearer {KEY}")], [("x-api-key", KEY)]):
            assert nobody.call("Chat", asking(QUESTION), metadata=metadata).choices


def test_tls(tmp_path):
    folder = make_certificate(tmp_path)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        tls = {"tls.certificate": folder / "cert.pem", "tls.key": folder / "key.pem"}
        server = start(stack, tmp_path, upstream, tls)
        port = rpc_target(server).rsplit(":", 1)[1]
        trust = grpc.ssl_channel_credentials((folder / "cert.pem").read_bytes())
        with Service(f"localhost:{port}", credentials=trust) as service:
            assert service.call("Chat", asking(QUESTION)).choices[0].content
        plain = grpc.insecure_channel(f"localhost:{port}")
        call = plain.unary_unary(f"/{NAME}/Health", lambda text: text, lambda text: text)
        with pytest.raises(grpc.RpcError) as raised:
            call(b"", timeout=30)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        plain.close()


def test_limits(tmp_path):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        settings = {"http.body_max": "64KB", "grpc.calls_max": 2}
        server = start(stack, tmp_path, upstream, settings)
        service = stack.enter_context(Service(rpc_target(server)))
        upstream.behave(faults.stall_after_frames(3))
        held = [service.call("StreamChat", asking(QUESTION)) for _ in range(2)]
        for call in held:
            next(call)
        error = service.refusal("Chat", asking(QUESTION))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc.calls_max" in error.details()
        for call in held:
            call.cancel()
        upstream.default.reset()

        def answered():
            try:
                return service.call("Chat", asking(QUESTION)).choices
            except grpc.RpcError:
                return False

        wait_until(answered, "calls that ended make room")
        error = service.refusal("Chat", asking("x" * 70_000))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_port_is_never_shared(shared):
    port = rpc_target(shared[0]).rsplit(":", 1)[1]
    done = run(
        ["--port", 0, "--set", "metrics.port=0", "--set", "grpc.enabled=true"]
        + ["--set", f"grpc.port={port}"]
    )
    assert done.returncode == 2 and "in use" in done.stderr and port in done.stderr


def test_off_unless_asked_for(tmp_path):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        file = gateway.configuration(tmp_path, [gateway.backend("first", upstream.url)])
        server = Server(("--config", file), wait="listening")
        stack.callback(server.kill)
        assert not any(entry.get("for") == "grpc" for entry in server.log)


# --- the end ------------------------------------------------------------------------------------


def test_running_calls_end_before_the_server(tmp_path):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream("first"))
        server = start(stack, tmp_path, upstream)
        target = rpc_target(server)
        service = stack.enter_context(Service(target))
        upstream.behave(faults.answer(pace=0.02))
        call = service.call("StreamChat", asking(QUESTION))
        heard = [next(call)]
        server.signal(15)

        def closed():
            with socket.socket() as probe:
                host, port = target.split(":")
                return probe.connect_ex((host, int(port))) != 0

        wait_until(closed, "no new connection is taken")
        heard += list(call)
        assert text_of(heard) == full_text(QUESTION)
        assert server.wait_exit() == 0
