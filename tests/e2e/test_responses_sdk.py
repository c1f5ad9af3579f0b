"""client.responses of the real OpenAI SDK: against the engine of this machine, and against an
upstream of OpenAI's older form behind the server.
"""

import openai
import pytest

from support import gateway, upstream_text
from support import upstream_faults as faults
from support.server import Server
from support.upstream import Upstream

MODEL = "deepseek-chat"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(scope="module")
def local(server):
    with gateway.client(server) as made:
        yield made.responses


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as made:
        yield made


@pytest.fixture(scope="module")
def relay(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("responses")
    file = gateway.configuration(folder, [gateway.backend("first", upstream.url)])
    server = Server(("--config", file), wait="listening")
    yield server
    server.kill()


@pytest.fixture
def through(relay, upstream):
    upstream.default.reset()
    with gateway.client(relay) as made:
        yield made.responses


def test_a_response(local):
    made = local.create(model=MODEL, input="Say hello.", max_output_tokens=8)
    assert made.id.startswith("resp_") and made.object == "response"
    assert made.model == "smollm2-135m-instruct"
    assert made.output_text
    assert made.status in ("completed", "incomplete")
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made.store is True
    assert local.retrieve(made.id) == made


def test_stream_is_the_same_text(local):
    options = {"model": MODEL, "input": "Say hello.", "max_output_tokens": 16, "temperature": 0}
    whole = local.create(**options)
    events = list(local.create(**options, stream=True))
    # The SDK's own get_final_response() knows response.completed only.
    final = events[-1].response
    assert final.output_text == whole.output_text
    assert final.status == whole.status
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_errors(local):
    with pytest.raises(openai.NotFoundError):
        local.create(model="no-such-model", input="a")
    with pytest.raises(openai.BadRequestError) as hosted:
        local.create(model=MODEL, input="a", tools=[{"type": "web_search"}])
    assert hosted.value.param == "tools[0].type"


def test_the_model_hears_what_was_said_before(local):
    options = {"model": MODEL, "max_output_tokens": 8, "temperature": 0}
    first = local.create(input="My name is Ann.", **options)
    more = local.create(input="What is my name?", previous_response_id=first.id, **options)
    said = {"role": "assistant", "content": first.output_text}
    asked = {"role": "user", "content": "What is my name?"}
    whole = [{"role": "user", "content": "My name is Ann."}, said, asked]
    same = local.create(input=whole, store=False, **options)
    assert more.usage.input_tokens == same.usage.input_tokens
    assert more.output_text == same.output_text
    # What the conversation begins with was computed before.
    assert more.usage.input_tokens_details.cached_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop(through, upstream, streamed):
    items = [{"role": "user", "content": "weather?"}]
    options = {"model": MODEL, "tools": [WEATHER], "tool_choice": "required", "input": items}
    if streamed:
        with through.stream(**options) as stream:
            list(stream)
            made = stream.get_final_response()
    else:
        made = through.create(**options)
    (call,) = made.output
    assert (call.type, call.name) == ("function_call", "weather")
    assert call.arguments == '{"city": "Hamburg"}'
    assert upstream.calls[-1].body["tools"][0]["function"]["name"] == "weather"
    items += [
        {"type": "function_call", "call_id": call.call_id, "name": call.name,
         "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        {"role": "user", "content": "so? words=3"},
    ]  # fmt: skip
    made = through.create(**{**options, "tool_choice": "auto"})
    assert made.output_text == upstream_text.text("so? words=3")
    told = upstream.calls[-1].body["messages"]
    assert [one["role"] for one in told] == ["user", "assistant", "tool", "user"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"] == call.call_id


def test_a_broken_stream_is_a_failed_response(through, upstream):
    upstream.behave(faults.cut_after_frames(3))
    events = list(through.create(model=MODEL, input="hello", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
