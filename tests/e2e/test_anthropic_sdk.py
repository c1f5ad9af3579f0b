"""The real Anthropic SDK: against the engine of this machine, and against an upstream of OpenAI's
form behind the server.
"""

import anthropic
import pytest

from support import gateway
from support import upstream_faults as faults
from support import upstream_text
from support.server import Server
from support.upstream import Upstream

MODEL = "deepseek-chat"
HELLO = [{"role": "user", "content": "Say hello."}]
HOT = {"temperature": 1.5}
WEATHER = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def make_client(server, path="", key="sk-client-0001"):
    return anthropic.Anthropic(base_url=server.url + path, api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def client(server):
    with make_client(server) as made:
        yield made


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as made:
        yield made


@pytest.fixture(scope="module")
def relay(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("anthropic")
    file = gateway.configuration(folder, [gateway.backend("first", upstream.url)])
    server = Server(("--config", file), wait="listening")
    yield server
    server.kill()


@pytest.fixture
def through(relay, upstream):
    upstream.default.reset()
    with make_client(relay) as made:
        yield made


# --- the engine of this machine ---------------------------------------------------------------


def test_the_stop_that_ended_a_message(client):
    ask = {"model": MODEL, "messages": HELLO, "max_tokens": 24, "extra_body": {"temperature": 0}}
    whole = client.messages.create(**ask).content[0].text
    stop = whole.split()[1]
    told = client.messages.create(**ask, stop_sequences=["never said", stop])
    assert (told.stop_reason, told.stop_sequence) == ("stop_sequence", stop)
    assert told.content[0].text == whole[: whole.index(stop)]
    with client.messages.stream(**ask, stop_sequences=[stop]) as stream:
        assert stream.get_final_message().stop_sequence == stop
    assert client.messages.create(**ask, stop_sequences=["never said"]).stop_sequence is None


def test_message(client):
    message = client.messages.create(model=MODEL, messages=HELLO, max_tokens=8)
    assert message.type == "message" and message.role == "assistant"
    assert message.model == "smollm2-135m-instruct"
    assert message.content[0].type == "text" and message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens > 0
    assert 1 <= message.usage.output_tokens <= 8
    assert message._request_id.startswith("req_")


def test_stream_is_the_same_text(client):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 16}
    options["extra_body"] = {"temperature": 0}
    whole = client.messages.create(**options)
    with client.messages.stream(**options) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_base_url_with_anthropic(server):
    with make_client(server, "/anthropic") as client:
        message = client.messages.create(
            model=MODEL, system="Be brief.", messages=HELLO, max_tokens=2
        )
        assert message.stop_reason == "max_tokens"


def test_count_tokens(client):
    short = client.messages.count_tokens(model=MODEL, messages=HELLO)
    long = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "word " * 100}]
    )
    assert 0 < short.input_tokens < long.input_tokens


def test_errors_are_of_this_form(client):
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="no-such-model", messages=HELLO, max_tokens=4)
    assert missing.value.body["type"] == "error"
    assert missing.value.body["error"]["type"] == "not_found_error"
    assert missing.value.body["request_id"] == missing.value.request_id
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        client.messages.create(model=MODEL, messages=HELLO, max_tokens=4, extra_body=HOT)
    document = {"type": "document", "source": {"type": "text", "data": "a"}}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\]"):
        client.messages.create(
            model=MODEL, messages=[{"role": "user", "content": [document]}], max_tokens=4
        )


def test_a_wrong_key_is_refused_in_this_form(start_server, upstream, tmp_path):
    keys = {"keys": [{"key": "sk-right-000000000001", "tenant": "ann"}]}
    rows = [gateway.backend("first", upstream.url)]
    file = gateway.configuration(tmp_path, rows, access=keys)
    upstream.default.reset()
    server = start_server("--config", file, wait="listening")
    with make_client(server, key="sk-wrong-000000000002") as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            client.messages.create(model=MODEL, messages=HELLO, max_tokens=4)
        assert refused.value.body["error"]["type"] == "authentication_error"
    with make_client(server, key="sk-right-000000000001") as client:
        assert client.messages.create(model=MODEL, messages=HELLO, max_tokens=2).content


# --- an upstream of OpenAI's form -------------------------------------------------------------


def test_a_stream_through_an_upstream(through, upstream):
    question = "what is new? words=12"
    with through.messages.stream(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        max_tokens=100,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        message = stream.get_final_message()
    thinking, text = message.content
    assert thinking.type == "thinking" and thinking.signature
    assert thinking.thinking == "".join(upstream_text.reasoning_pieces(question))
    assert text.text == upstream_text.text(question)
    assert message.stop_reason == "end_turn"
    sent = upstream.calls[-1]
    assert sent.path.endswith("/chat/completions")
    assert sent.body["thinking"] == {"type": "enabled"}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop(through, upstream, streamed):
    options = {
        "model": MODEL,
        "max_tokens": 100,
        "tools": [WEATHER],
        "tool_choice": {"type": "any"},
        "messages": [{"role": "user", "content": "weather?"}],
    }
    if streamed:
        with through.messages.stream(**options) as stream:
            message = stream.get_final_message()
    else:
        message = through.messages.create(**options)
    assert message.stop_reason == "tool_use"
    (use,) = message.content
    assert (use.type, use.name, use.input) == ("tool_use", "weather", {"city": "Hamburg"})
    sent = upstream.calls[-1].body
    assert sent["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]
    assert sent["tool_choice"] == "required"
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain"}
    options["tool_choice"] = {"type": "auto"}
    options["messages"] += [
        {"role": "assistant", "content": [use.model_dump(include={"type", "id", "name", "input"})]},
        {"role": "user", "content": [result, {"type": "text", "text": "so? words=3"}]},
    ]
    message = through.messages.create(**options)
    assert message.content[0].text == upstream_text.text("so? words=3")
    told = upstream.calls[-1].body["messages"]
    assert [one["role"] for one in told] == ["user", "assistant", "tool", "user"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"] == use.id


def test_a_broken_stream_is_an_error_event(through, upstream):
    upstream.behave(faults.cut_after_frames(3))
    with pytest.raises(anthropic.APIStatusError) as broken:
        with through.messages.stream(
            model=MODEL, messages=[{"role": "user", "content": "hello"}], max_tokens=50
        ) as stream:
            stream.get_final_message()
    assert broken.value.body["error"]["type"] == "api_error"
