"""Upstreams of Anthropic's form behind the server, as real SDKs of both forms see them.

The scripted upstream refuses what the real one refuses. `first` speaks Anthropic's form, `second`
OpenAI's, `third` Anthropic's again.
"""

import contextlib
import json

import anthropic
import openai
import pytest

from support import gateway, messages_text, upstream_text
from support import upstream_faults as faults
from support.gateway import asking, hear, streaming
from support.messages_text import OWN_SIGNATURE, SIGNATURE
from support.models import default_model
from support.server import Server
from support.upstream import Upstream
from support.upstream_text import text as full_text
from support.waiting import wait_until

MODEL = "deepseek-chat"
QUESTION = "What is a relay?"
THINKING = {"thinking": {"type": "enabled"}}
FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TOOL = {"name": "weather", "input_schema": FUNCTION["function"]["parameters"]}


def messages_backend(one, **more):
    row = {"type": "anthropic", "continuation": "assistant_last", **more}
    return gateway.backend(one.name, one.url, **row)


def make_server(folder, ups):
    first, second, third = ups
    rows = [
        messages_backend(first, beta_features=["beta-a", "beta-b"]),
        gateway.backend(second.name, second.url),
        messages_backend(third, key_as_bearer=True, upstream_models={"renamed": "claude-there"}),
    ]
    orders = {
        "by-messages": ["first"],
        "renamed": ["third"],
        "messages-then-openai": ["first", "second"],
        "openai-then-messages": ["second", "first"],
        "messages-then-messages": ["first", "third"],
        "*": ["first"],
    }
    routes = [
        {"model": model, "backends": names, "strategy": "priority"}
        for model, names in orders.items()
    ]
    breaker = {"failures_max": 1_000_000, "outlier_factor": 0}
    file = gateway.configuration(folder, rows, routes, breaker=breaker)
    return Server(("--config", file), wait="listening")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        ups = [stack.enter_context(Upstream(name)) for name in ("first", "second", "third")]
        server = make_server(tmp_path_factory.mktemp("anthropic_upstream"), ups)
        stack.callback(server.kill)
        yield server, ups


@pytest.fixture
def ups(shared):
    for one in shared[1]:
        wait_until(lambda one=one: one.busy_sockets() == 0, "earlier answers have ended")
        one.default.reset()
    yield shared[1]
    for one in shared[1]:
        # A test whose server sent nonsense says so here, not as a puzzling 400.
        refused = [call.refused for call in one.calls if call.refused]
        assert not refused, refused


@pytest.fixture
def relay(shared, ups):
    return shared[0]


@pytest.fixture
def chats(relay):
    with gateway.client(relay) as client:
        yield client


@pytest.fixture
def claude(relay):
    with claude_of(relay) as client:
        yield client


@pytest.fixture
def fresh(tmp_path, ups):
    """A server of the test's own: a backend that was overloaded is left alone for a while."""
    server = make_server(tmp_path, ups)
    yield server
    server.kill()


def claude_of(server):
    return anthropic.Anthropic(base_url=server.url, api_key="sk-client-0001", max_retries=0)


def telling(question=QUESTION, **more):
    """Arguments of messages.create()."""
    messages = [{"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages, "max_tokens": 2000, **more}


def said(message):
    return "".join(block.text for block in message.content if block.type == "text")


def stream_of(claude, **options):
    with claude.messages.stream(**options) as stream:
        return stream.get_final_message()


# --- clients of OpenAI's form -------------------------------------------------------------------


def test_whole_chat(chats, ups):
    answer = chats.chat.completions.create(**asking(QUESTION))
    assert answer.choices[0].message.content == full_text(QUESTION)
    assert answer.choices[0].finish_reason == "stop"
    call = ups[0].calls[-1]
    assert call.path == "/v1/messages"
    assert call.fields["x-api-key"] == "sk-upstream-first-0001"
    assert "authorization" not in call.fields
    assert call.fields["anthropic-version"] == "2023-06-01"
    assert call.fields["anthropic-beta"] == "beta-a,beta-b"
    assert call.body["max_tokens"] == 4096
    usage = answer.usage
    assert usage.prompt_tokens == call.spoken.usage["input_tokens"] + 9
    assert usage.prompt_tokens_details.cached_tokens == 7
    assert usage.completion_tokens == upstream_text.WORDS


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_streamed_chat(chats, ups, size):
    ups[0].behave(faults.sliced(size))
    heard = hear(chats.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.usages[0].completion_tokens == upstream_text.WORDS


@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_of_a_chat(chats, ups, streamed):
    more = {"extra_body": THINKING, "temperature": 0.2}
    if streamed:
        heard = hear(chats.chat.completions.create(**streaming(QUESTION, **more)))
        heard.assert_one_answer(full_text(QUESTION))
        text, usage = heard.reasoning, heard.usages[0]
    else:
        answer = chats.chat.completions.create(**asking(QUESTION, **more))
        text, usage = answer.choices[0].message.reasoning_content, answer.usage
    assert text == "".join(upstream_text.reasoning_pieces(QUESTION))
    assert usage.completion_tokens == ups[0].calls[-1].spoken.usage["output_tokens"] > 500


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_a_chat(chats, ups, streamed):
    options = asking("weather?", tools=[FUNCTION], tool_choice="required", extra_body=THINKING)
    if streamed:
        calls, finish = {}, None
        for chunk in chats.chat.completions.create(**options, stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                one = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                one["id"] += call.id or ""
                one["name"] += call.function.name or ""
                one["arguments"] += call.function.arguments or ""
            finish = chunk.choices[0].finish_reason or finish
        assert list(calls) == [0]
        call_id, name, arguments = calls[0].values()
    else:
        choice = chats.chat.completions.create(**options).choices[0]
        finish = choice.finish_reason
        (call,) = choice.message.tool_calls
        call_id, name, arguments = call.id, call.function.name, call.function.arguments
    assert (finish, name, json.loads(arguments)) == ("tool_calls", "weather", {"city": "Hamburg"})
    function = {"name": name, "arguments": arguments}
    options["tool_choice"] = "auto"
    options["messages"] += [
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "rain"},
        {"role": "user", "content": "so? words=3"},
    ]
    answer = chats.chat.completions.create(**options)
    assert answer.choices[0].message.content == full_text("so? words=3")
    told = ups[0].calls[-1].body
    assert [message["role"] for message in told["messages"]] == ["user", "assistant", "user"]
    assert told["messages"][2]["content"][0]["content"] == "rain"
    assert "thinking" not in told


def test_a_model_has_its_own_name_there(chats, claude, ups):
    assert chats.chat.completions.create(**asking(QUESTION) | {"model": "renamed"}).choices
    assert said(claude.messages.create(**telling(model="renamed"))) == full_text(QUESTION)
    assert [call.body["model"] for call in ups[2].calls] == ["claude-there"] * 2


def test_responses_and_completions(chats, ups):
    response = chats.responses.create(model=MODEL, input=QUESTION)
    assert response.output_text == full_text(QUESTION)
    prompt = "Once upon a time"
    answer = chats.completions.create(model=MODEL, prompt=prompt, max_tokens=100)
    assert answer.choices[0].text == full_text(prompt)
    assert [call.path for call in ups[0].calls] == ["/v1/messages"] * 2


def test_a_prefix_of_the_client(chats, ups):
    begun = "".join(upstream_text.pieces(QUESTION)[:8])
    assert begun.endswith("\n"), "the hard case"
    options = asking(QUESTION)
    options["messages"].append({"role": "assistant", "content": begun, "prefix": True})
    answer = chats.chat.completions.create(**options)
    assert begun + answer.choices[0].message.content == full_text(QUESTION)


def test_what_the_form_cannot_say_goes_elsewhere(chats, ups):
    with pytest.raises(openai.BadRequestError, match="Anthropic's form") as refused:
        chats.chat.completions.create(**asking(QUESTION, n=2))
    assert refused.value.body["code"] == "not_implemented" and refused.value.body["param"] == "n"
    assert ups[0].calls == []
    options = asking(QUESTION, n=2) | {"model": "messages-then-openai"}
    assert len(chats.chat.completions.create(**options).choices) == 2
    options = asking("{}") | {"model": "messages-then-openai"}
    chats.chat.completions.create(**options, response_format={"type": "json_object"})
    assert [len(one.calls) for one in ups] == [0, 2, 0]


def test_embeddings_are_refused_with_a_reason(chats, ups):
    with pytest.raises(openai.BadRequestError, match="has neither embeddings"):
        chats.embeddings.create(model="by-messages", input="a")
    ups[1].behave(faults.vectors())
    answer = chats.embeddings.create(model="messages-then-openai", input="abc")
    assert answer.data[0].embedding[0] == 3.0
    assert ups[0].calls == []


# --- clients of Anthropic's form ----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 333])
def test_the_upstreams_bytes_pass_unchanged(relay, ups, size):
    ups[0].behave(faults.sliced(size))
    asked = telling(stream=True, thinking={"type": "enabled", "budget_tokens": 1024})
    with relay.stream("/v1/messages", asked) as exchange:
        body = exchange.read().body
    assert body == b"".join(ups[0].calls[-1].speak().frames())


def test_bodies_pass_unchanged(relay, ups):
    asked = telling(system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}])
    answer = relay.post("/v1/messages", asked)
    assert answer.body == ups[0].calls[-1].speak().whole()
    assert ups[0].calls[-1].body == asked
    relay.post("/v1/messages", asked | {"model": "messages-then-messages", "a_later_field": 1})
    assert ups[0].calls[-1].body == asked | {"model": "messages-then-messages"}


def test_messages_with_the_sdk(claude, ups):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    whole = claude.messages.create(**telling(thinking=thinking))
    streamed = stream_of(claude, **telling(thinking=thinking))
    for message in (whole, streamed):
        assert message.content[0].signature == SIGNATURE
        assert said(message) == full_text(QUESTION)
        assert message.usage.cache_read_input_tokens == 7
        assert message.stop_reason == "end_turn"
    assert whole.model == "deepseek-chat@first"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_with_thinking(claude, ups, streamed):
    options = telling("weather?", tools=[TOOL], tool_choice={"type": "any"})
    message = stream_of(claude, **options) if streamed else claude.messages.create(**options)
    (use,) = message.content
    assert (use.type, use.input, message.stop_reason) == (
        "tool_use",
        {"city": "Hamburg"},
        "tool_use",
    )
    thought = {"type": "thinking", "thinking": "hm", "signature": SIGNATURE}
    made = use.model_dump(include={"type", "id", "name", "input"})
    options["messages"] += [
        {"role": "assistant", "content": [thought, made]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}],
        },
        {"role": "user", "content": "so? words=3"},
    ]
    options |= {
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    assert said(claude.messages.create(**options)) == full_text("so? words=3")
    assert thought in ups[0].calls[-1].body["messages"][1]["content"]


def test_thinking_of_other_models_stays_here(claude, ups):
    foreign = {"type": "thinking", "thinking": "secret", "signature": OWN_SIGNATURE}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [foreign, {"type": "text", "text": "hello"}]},
        {"role": "user", "content": QUESTION},
    ]
    message = claude.messages.create(**telling(messages=history))
    assert said(message) == full_text(QUESTION)
    assert b"secret" not in ups[0].calls[-1].raw_body


def test_count_tokens(claude, ups):
    counted = claude.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "one two three"}], tools=[TOOL]
    )
    call = ups[0].calls[-1]
    assert call.path == "/v1/messages/count_tokens"
    assert counted.input_tokens == messages_text.count_of(call.body)["input_tokens"] > 1000


def test_an_openai_upstream_still_answers_messages(claude, ups):
    options = telling(model="openai-then-messages")
    assert said(claude.messages.create(**options)) == full_text(QUESTION)
    assert said(stream_of(claude, **options)) == full_text(QUESTION)
    assert [len(one.calls) for one in ups] == [0, 2, 0]


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error"), (401, "x")],
)
@pytest.mark.parametrize("model", ["messages-then-openai", "messages-then-messages"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_goes_to_the_next(fresh, ups, status, kind, streamed, model):
    ups[0].behave(messages_text.refusal(status, kind, "scripted words"))
    if model == "messages-then-openai":
        with gateway.client(fresh) as client:
            options = asking(QUESTION) | {"model": model}
            if streamed:
                heard = hear(client.chat.completions.create(**options, stream=True))
                heard.assert_one_answer(full_text(QUESTION))
            else:
                answer = client.chat.completions.create(**options)
                assert answer.choices[0].message.content == full_text(QUESTION)
        assert len(ups[1].calls) == 1
    else:
        with claude_of(fresh) as client:
            ask = (lambda **o: stream_of(client, **o)) if streamed else client.messages.create
            assert said(ask(**telling(model=model))) == full_text(QUESTION)
        (call,) = ups[2].calls
        assert call.fields["authorization"] == "Bearer sk-upstream-third-0001"
    assert len(ups[0].calls) == 1


def test_a_pause_is_kept_and_told(fresh, ups):
    ups[0].behave(messages_text.refusal(429, "rate_limit_error", "scripted words", 3600))
    with claude_of(fresh) as client:
        for _ in range(2):
            with pytest.raises(anthropic.RateLimitError) as limited:
                client.messages.create(**telling())
        assert 3500 < int(limited.value.response.headers["retry-after"]) <= 3700
        assert limited.value.body["error"]["type"] == "rate_limit_error"
    assert len(ups[0].calls) == 1, "it was asked again within its pause"


def test_a_mistake_of_the_client_is_told(chats, ups):
    ups[0].behave(messages_text.refusal(400, "invalid_request_error", "scripted words"))
    with pytest.raises(openai.BadRequestError, match="scripted words"):
        chats.chat.completions.create(**asking(QUESTION) | {"model": "messages-then-openai"})
    assert len(ups[1].calls) == 0
    broke = "Your credit balance is too low to access the API."
    ups[0].behave(messages_text.refusal(400, "invalid_request_error", broke))
    answer = chats.chat.completions.create(**asking(QUESTION) | {"model": "messages-then-openai"})
    assert answer.choices[0].message.content == full_text(QUESTION)


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
@pytest.mark.parametrize("model", ["messages-then-openai", "messages-then-messages"])
@pytest.mark.parametrize("form", ["chat", "messages"])
def test_overload_inside_a_stream_before_any_text(fresh, ups, frames, model, form):
    ups[0].behave(messages_text.error_event(frames))
    if form == "chat":
        with gateway.client(fresh) as client:
            heard = hear(
                client.chat.completions.create(**streaming(QUESTION) | {"model": model})
            )
        heard.assert_one_answer(full_text(QUESTION))
    else:
        with claude_of(fresh) as client:
            assert said(stream_of(client, **telling(model=model))) == full_text(QUESTION)
    assert [len(one.calls) for one in ups] == [1, 1, 0] if "openai" in model else [1, 0, 1]


def test_a_broken_stream_alone_is_an_error(chats, claude, ups):
    ups[0].behave(messages_text.error_event(6, "api_error", "scripted words"))
    heard = hear(chats.chat.completions.create(**streaming(QUESTION)))
    assert heard.error is not None and "scripted words" in str(heard.error)
    with pytest.raises(anthropic.APIStatusError) as broken:
        stream_of(claude, **telling())
    assert broken.value.body["error"]["type"] == "api_error"


# --- answers that go on elsewhere ---------------------------------------------------------------

# Pieces of text that came; behind the eighth ends a line, which no prefill may end with.
CUTS = [1, 5, 8, 9, upstream_text.WORDS]


@pytest.mark.parametrize("pieces", CUTS)
@pytest.mark.parametrize("model", ["messages-then-openai", "messages-then-messages"])
def test_from_messages(chats, claude, ups, pieces, model):
    ups[0].behave(faults.cut_after_frames(messages_text.frames_until(pieces)))
    heard = hear(chats.chat.completions.create(**streaming(QUESTION) | {"model": model}))
    heard.assert_one_answer(full_text(QUESTION))
    message = stream_of(claude, **telling(model=model))
    assert said(message) == full_text(QUESTION)
    assert message.id == "msg_first_2", "the head of the upstream's own frames"
    assert [block.type for block in message.content] == ["text"], "one block goes on"
    assert len(ups[0].calls) == 2


@pytest.mark.parametrize("pieces", CUTS)
def test_to_messages(chats, claude, ups, pieces):
    ups[1].behave(faults.cut_after_frames(1 + pieces))
    heard = hear(
        chats.chat.completions.create(**streaming(QUESTION) | {"model": "openai-then-messages"})
    )
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.ids == {"chatcmpl-second-1"}
    message = stream_of(claude, **telling(model="openai-then-messages"))
    assert said(message) == full_text(QUESTION)
    assert [len(one.calls) for one in ups] == [2, 2, 0]


def test_text_behind_thinking_goes_on_without_thinking(claude, ups):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    frames = 2 + 1 + upstream_text.REASONING_WORDS + 2 + 1 + 5
    ups[0].behave(faults.cut_after_frames(frames))
    message = stream_of(claude, **telling(model="messages-then-messages", thinking=thinking))
    assert said(message) == full_text(QUESTION)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].signature == SIGNATURE
    assert "thinking" not in ups[2].calls[-1].body


def test_thinking_goes_on_where_the_form_allows(claude, ups):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options = telling(model="messages-then-openai", thinking=thinking)
    ups[0].behave(faults.cut_after_frames(2 + 1 + 3))
    message = stream_of(claude, **options)
    thought, text = message.content
    assert thought.thinking == "".join(upstream_text.reasoning_pieces(QUESTION))
    assert thought.signature == OWN_SIGNATURE and text.text == full_text(QUESTION)
    with pytest.raises(anthropic.APIStatusError):
        stream_of(claude, **options | {"model": "messages-then-messages"})


def test_calls_of_tools_never_go_on(claude, ups):
    ups[0].behave(faults.cut_after_frames(5))
    options = telling(tools=[TOOL], tool_choice={"type": "any"}, model="messages-then-messages")
    with pytest.raises(anthropic.APIStatusError):
        stream_of(claude, **options)
    assert len(ups[2].calls) == 0


@pytest.mark.parametrize("kind", ["messages", "chat"])
def test_an_engine_of_this_machine_goes_on(start_server, tmp_path, kind):
    with Upstream("claude") as one:
        one.behave(faults.cut_after_frames(messages_text.frames_until(5)))
        rows = [messages_backend(one)]
        routes = [{"model": "*", "backends": ["claude", "smol"], "strategy": "priority"}]
        models = [{"name": "smol", "path": str(default_model())}]
        file = gateway.configuration(tmp_path, rows, routes, models=models, default_model="smol")
        server = start_server("--config", file)
        states = lambda: [model["status"] for model in server.get("/health").json()["models"]]
        wait_until(lambda: states() == ["ready"], "the local model is ready")
        if kind == "messages":
            with claude_of(server) as client:
                message = stream_of(client, **telling(model="smol") | {"max_tokens": 80})
            text, made = said(message), message.usage.output_tokens
            assert message.id == "msg_claude_1"
        else:
            with gateway.client(server) as client:
                options = streaming(QUESTION, max_tokens=80) | {"model": "smol"}
                heard = hear(client.chat.completions.create(**options))
            assert heard.error is None and heard.finishes[0] in ("stop", "length")
            text, made = heard.text, heard.usages[0].completion_tokens
        begun = "".join(upstream_text.pieces(QUESTION)[:5])
        assert text.startswith(begun) and len(text) > len(begun)
        assert made > 5


# --- its health ---------------------------------------------------------------------------------


def test_checks_and_lists_of_models(start_server, tmp_path):
    with Upstream("claude") as one:
        rows = [messages_backend(one, health_path="/v1/models", health_interval="100ms")]
        file = gateway.configuration(tmp_path, rows)
        server = start_server("--config", file, wait="listening")
        wait_until(lambda: len(one.calls) >= 3, "it was checked")
        listed = lambda: [model["id"] for model in server.get("/v1/models").json()["data"]]
        wait_until(lambda: "upstream-model" in listed(), "its models are listed")
        assert all(call.fields["x-api-key"] == "sk-upstream-claude-0001" for call in one.calls)
        assert any(call.path == "/v1/models?limit=1000" for call in one.calls)
