"""A server in front of two upstreams, as the SDK of a client sees it.

Most tests share one server, whose breakers never open; the upstreams are as new for each test.
"""

import contextlib
import json

import openai
import pytest

from support import gateway, upstream_text
from support import upstream_faults as faults
from support.gateway import asking, hear, hear_async, raw_stream, streaming, text_of
from support.server import Server
from support.upstream import Upstream, UpstreamProcess
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What is a relay?"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        ups = [stack.enter_context(Upstream(name)) for name in ("first", "second")]
        rows = [gateway.backend(one.name, one.url) for one in ups]
        folder = tmp_path_factory.mktemp("relay")
        breaker = {"failures_max": 1_000_000, "outlier_factor": 0}
        file = gateway.configuration(folder, rows, breaker=breaker)
        server = Server(("--config", file), wait="listening")
        stack.callback(server.kill)
        yield server, ups


@pytest.fixture
def pair(shared):
    _, ups = shared
    for one in ups:
        wait_until(lambda one=one: one.busy_sockets() == 0, "earlier answers have ended")
        one.default.reset()
    return ups


@pytest.fixture
def relay(shared, pair):
    return shared[0]


@pytest.fixture
def sdk(relay):
    with gateway.client(relay) as client:
        yield client


def names(scripts):
    return [len(script.calls) for script in scripts]


# --- plain answers ------------------------------------------------------------------------------


def test_whole(sdk, pair):
    answer = sdk.chat.completions.create(**asking(QUESTION))
    assert answer.choices[0].message.content == full_text(QUESTION)
    assert answer.id == "chatcmpl-first-1" and answer.model == "deepseek-chat@first"
    assert answer.usage.completion_tokens == upstream_text.WORDS
    assert names(pair) == [1, 0]


def test_stream(sdk, pair):
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.ids == {"chatcmpl-first-1"}
    assert heard.usages[0].completion_tokens == upstream_text.WORDS
    assert names(pair) == [1, 0]


def test_a_client_that_asks_for_no_usage_gets_none(relay):
    frames = raw_stream(relay, QUESTION, stream_options=None)
    assert text_of(frames) == full_text(QUESTION) and frames[-1] == "[DONE]"
    assert all(frame["choices"] for frame in frames[:-1])


async def test_async(relay):
    async with gateway.async_client(relay) as client:
        answer = await client.chat.completions.create(**asking(QUESTION))
        assert answer.choices[0].message.content == full_text(QUESTION)
        heard = await hear_async(client, **streaming(QUESTION))
        heard.assert_one_answer(full_text(QUESTION))


def test_the_upstreams_bytes_pass_unchanged(relay, pair):
    """A client of the same form gets the frames as they came, however they were sliced."""
    for size in (1, 5, 333):
        pair[0].behave(faults.sliced(size))
        with relay.stream("/v1/chat/completions", streaming(QUESTION)) as exchange:
            body = exchange.read().body
        assert body == b"".join(pair[0].calls[-1].speak().frames())
    whole = relay.post("/v1/chat/completions", asking(QUESTION))
    assert whole.body == pair[0].calls[-1].speak().whole()


def test_completions(sdk):
    prompt = "Once upon a time::"
    answer = sdk.completions.create(model="deepseek-chat", prompt=prompt)
    assert answer.choices[0].text == full_text(prompt)
    stream = sdk.completions.create(model="deepseek-chat", prompt=prompt, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == full_text(prompt)


def test_embeddings(sdk, pair):
    pair[0].behave(faults.vectors())
    answer = sdk.embeddings.create(model="some-embedder", input=["a", "bcd"])
    assert [row.embedding[0] for row in answer.data] == [1.0, 3.0]
    assert pair[0].calls[0].path == "/v1/embeddings"


def test_a_connection_is_used_again(sdk, pair):
    before = pair[0].sockets_seen
    for number in range(10):
        sdk.chat.completions.create(**asking(f"{number}"))
    assert pair[0].sockets_seen <= before + 1, "each request had a connection of its own"


# --- the first one fails ------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("frames", [0, 1, 2, 9, upstream_text.WORDS, upstream_text.WORDS + 1])
def test_killed_in_the_stream(sdk, pair, frames, reset):
    """Before the first byte, behind the role, in the text, behind its last word."""
    cut = faults.cut_after_frames(frames, reset) if frames else faults.cut_at_once(reset)
    pair[0].behave(cut)
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.ids == {"chatcmpl-first-1" if frames else "chatcmpl-second-1"}
    assert len(pair[1].calls) == 1
    # A kept connection that ends without a byte may have been closed before: it is tried afresh.
    assert 1 <= len(pair[0].calls) <= (1 if frames else 2)
    assert pair[1].default.wrong_continuations() == []


def test_behind_the_role_alone_the_second_one_is_asked_as_usual(sdk, pair):
    """An assistant's message without a word in it is nothing to go on with."""
    pair[0].behave(faults.cut_after_frames(1))
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert [message["role"] for message in pair[1].calls[0].body["messages"]] == ["user"]


def test_usage_of_both_legs(sdk, pair):
    """What was delivered is billed: the prompt of both legs, and the text of each."""
    pair[0].behave(faults.cut_after_frames(9))
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION)))
    [usage] = heard.usages
    second = pair[1].calls[0].speak().usage
    assert second["completion_tokens"] == upstream_text.WORDS - 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    first_tokens = usage.completion_tokens - second["completion_tokens"]
    delivered = "".join(upstream_text.pieces(QUESTION)[:8])
    assert 0.2 * len(delivered) <= first_tokens <= 0.6 * len(delivered), usage
    first_prompt = usage.prompt_tokens - second["prompt_tokens"]
    assert 1 <= first_prompt <= len(pair[0].calls[0].raw_body), usage


@pytest.mark.parametrize("at", [1, 40, 333, 1001, 2002])
def test_cut_anywhere_in_a_frame(sdk, pair, at):
    pair[0].behave(faults.cut_after_bytes(at))
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert pair[1].default.wrong_continuations() == []


def test_the_process_is_killed_in_mid_answer(start_gateway, start_upstream):
    second = start_upstream("second")
    with UpstreamProcess("first", pace=0.02) as first:
        rows = [gateway.backend("first", first.url), gateway.backend("second", second.url)]
        server = start_gateway(rows)
        with gateway.client(server) as client:
            stream = iter(client.chat.completions.create(**streaming(QUESTION)))
            heard = gateway.Heard()
            while len(heard.text) < 40:
                heard.take(next(stream))
            first.kill()
            hear(stream, heard).assert_one_answer(full_text(QUESTION))
    assert heard.ids == {"chatcmpl-first-1"}


def test_it_goes_on_a_third_time(start_gateway, start_upstream):
    ups = [start_upstream(name) for name in ("first", "second", "third")]
    ups[0].behave(faults.cut_after_frames(5))
    ups[1].behave(faults.cut_after_bytes(700))
    server = start_gateway([gateway.backend(one.name, one.url) for one in ups])
    with gateway.client(server) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert [len(one.calls) for one in ups] == [1, 1, 1]


@pytest.mark.parametrize("form", ["prefix", "continue_final_message", "assistant_last"])
def test_every_form_of_continuation(start_gateway, pair, form):
    first, second = pair
    second.default.understands = {form}
    rows = [
        gateway.backend("first", first.url, continuation="none"),
        gateway.backend("second", second.url, continuation=form),
    ]
    first.behave(faults.cut_after_frames(7))
    with gateway.client(start_gateway(rows)) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
        heard.assert_one_answer(full_text(QUESTION))
        assert second.calls[-1].question.continues


def test_the_limit_of_tokens_shrinks(sdk, pair):
    pair[0].behave(faults.cut_after_frames(9))
    hear(sdk.chat.completions.create(**streaming(QUESTION, max_tokens=200)))
    assert 100 <= pair[1].calls[0].body["max_tokens"] <= 192


def test_reasoning_is_continued(sdk, pair):
    for frames in (4, 12):
        pair[0].behave(faults.cut_after_frames(frames))
        thinking = {"thinking": {"type": "enabled"}}
        heard = hear(sdk.chat.completions.create(**streaming(QUESTION), extra_body=thinking))
        heard.assert_one_answer(full_text(QUESTION))
        assert heard.reasoning == "".join(upstream_text.reasoning_pieces(QUESTION))


def test_a_completion_is_continued(sdk, pair):
    prompt = "Once upon a time::"
    pair[0].behave(faults.cut_after_frames(6))
    stream = sdk.completions.create(model="deepseek-chat", prompt=prompt, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == full_text(prompt)
    assert {chunk.id for chunk in chunks} == {"cmpl-first-1"}


@pytest.mark.parametrize("frames", [0, 9])
def test_a_whole_answer_begins_anew(sdk, pair, frames):
    """Its client has seen nothing yet: no continuation is needed."""
    pair[0].behave(faults.cut_after_frames(frames))
    answer = sdk.chat.completions.create(**asking(QUESTION, n=2))
    assert [choice.message.content for choice in answer.choices] == [full_text(QUESTION)] * 2
    assert answer.id == "chatcmpl-second-1"


# --- where going on is not sound ----------------------------------------------------------------

UNSOUND = {
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "tool call": {"tools": TOOLS, "tool_choice": "required"},
    "schema": {"response_format": {"type": "json_object"}},
}


@pytest.mark.parametrize("case", UNSOUND)
def test_an_honest_error(relay, pair, case):
    pair[0].behave(faults.cut_after_frames(4))
    frames = raw_stream(relay, QUESTION, **UNSOUND[case])
    assert "[DONE]" not in frames
    error = frames[-1]["error"]
    assert error["message"] and error["type"] == "server_error", error
    assert [frame for frame in frames if "error" in frame] == frames[-1:]
    assert names(pair) == [1, 0]


@pytest.mark.parametrize("case", UNSOUND)
def test_the_sdk_sees_that_error(sdk, pair, case):
    pair[0].behave(faults.cut_after_frames(4))
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION, **UNSOUND[case])))
    assert isinstance(heard.error, openai.APIError), heard
    assert heard.finishes == []


@pytest.mark.parametrize("case", UNSOUND)
def test_before_the_first_byte_all_of_them_go_elsewhere(sdk, pair, case):
    pair[0].behave(faults.cut_at_once())
    heard = hear(sdk.chat.completions.create(**streaming(QUESTION, **UNSOUND[case])))
    assert heard.error is None and heard.ids == {"chatcmpl-second-1"}


def test_nobody_can_continue(start_gateway, pair):
    rows = [gateway.backend(one.name, one.url, continuation="none") for one in pair]
    relay = start_gateway(rows)
    pair[0].behave(faults.cut_after_frames(6))
    frames = raw_stream(relay, QUESTION)
    assert "[DONE]" not in frames and frames[-1]["error"]["message"]
    assert text_of(frames) == "".join(upstream_text.pieces(QUESTION)[:5])
    assert names(pair) == [1, 0]


def test_nothing_was_said_yet(start_gateway, pair):
    """Behind the role alone there is no text to continue: anybody can begin."""
    rows = [gateway.backend(one.name, one.url, continuation="none") for one in pair]
    pair[0].behave(faults.cut_after_frames(1))
    with gateway.client(start_gateway(rows)) as client:
        heard = hear(client.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))


# --- the client's own mistakes ------------------------------------------------------------------


@pytest.mark.parametrize("code", [400, 404, 413, 422])
def test_a_wrong_request_is_refused_once(sdk, pair, code):
    """As the upstream says it. 404 means that this one has no such model: the second is asked."""
    error = {"message": f"bad because {code}", "param": "top_p", "type": "invalid_request_error"}
    for one in pair:
        one.behave(faults.status(code, body={"error": error}))
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.chat.completions.create(**asking(QUESTION))
    assert refused.value.status_code == code
    assert f"bad because {code}" in refused.value.message
    assert names(pair) == ([1, 1] if code == 404 else [1, 0])


def test_a_wrong_stream_request_is_refused_with_its_status(sdk, pair):
    pair[0].behave(faults.status(400))
    with pytest.raises(openai.BadRequestError, match="scripted 400"):
        sdk.chat.completions.create(**streaming(QUESTION))
    assert names(pair) == [1, 0]


def test_what_we_see_ourselves_reaches_no_upstream(sdk, pair):
    with pytest.raises(openai.BadRequestError):
        sdk.chat.completions.create(model="deepseek-chat", messages=[])
    assert names(pair) == [0, 0]


# --- what passes --------------------------------------------------------------------------------


def sent(pair):
    return pair[0].calls[-1].body


def test_tools_formats_and_images_pass_unchanged(sdk, pair):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = [
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    schema = {
        "type": "json_schema",
        "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}},
    }
    options = {
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": schema,
        "temperature": 0.25,
        "stop": ["\n\n", "END"],
        "seed": 7,
        "user": "u-1",
    }
    sdk.chat.completions.create(
        model="vision",
        messages=messages,
        **options,
        extra_body={"thinking": {"type": "disabled"}, "min_p": 0.05},
    )
    wanted = {"model": "vision", "messages": messages, **options}
    assert sent(pair) == {**wanted, "thinking": {"type": "disabled"}, "min_p": 0.05}


def test_a_tool_call_comes_back(sdk):
    answer = sdk.chat.completions.create(**asking(QUESTION, tools=TOOLS, tool_choice="required"))
    call = answer.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Hamburg"}
    arguments, reasons = "", []
    for chunk in sdk.chat.completions.create(
        **streaming(QUESTION, tools=TOOLS, tool_choice="required")
    ):
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for piece in choice.delta.tool_calls or []:
                arguments += piece.function.arguments or ""
    assert json.loads(arguments) == {"city": "Hamburg"} and reasons == ["tool_calls"]


def test_unknown_fields_pass_only_if_allowed(start_gateway, pair):
    rows = [gateway.backend("first", pair[0].url, allow_fields=["house_field"])]
    with gateway.client(start_gateway(rows)) as client:
        extra = {"house_field": {"a": [1]}, "other_field": 1, "chat_template": "{{x}}"}
        client.chat.completions.create(**asking(QUESTION), extra_body=extra)
    assert sent(pair)["house_field"] == {"a": [1]}
    assert "other_field" not in sent(pair) and "chat_template" not in sent(pair)


def test_an_escaped_or_doubled_name_is_no_way_around_the_allowlist(relay, pair):
    body = (
        '{"model": "deepseek-chat", "messages": [{"role": "user", "content": "Hi"}],'
        ' "chat_\\u0074emplate": "x", "priority": 9}'
    )
    fields = [("Content-Type", "application/json")]
    assert relay.post("/v1/chat/completions", body, fields).status == 200
    assert set(sent(pair)) == {"model", "messages"}


# --- names --------------------------------------------------------------------------------------


def test_aliases_and_names_of_the_upstream(start_gateway, pair):
    rows = [
        gateway.backend("first", pair[0].url, models=["our-chat"],
                        upstream_models={"our-chat": "their-chat-7"}),
        gateway.backend("second", pair[1].url, models=["other-chat"]),
    ]
    routes = [{"model": "*", "backends": ["first", "second"], "strategy": "priority"}]
    server = start_gateway(rows, routes, default_model="our-chat", aliases={"gpt-4o": "our-chat"})
    for name in ("our-chat", "gpt-4o", None):
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        body |= {"model": name} if name else {}
        assert server.post("/v1/chat/completions", body).status == 200
        assert sent(pair)["model"] == "their-chat-7"
    with gateway.client(server) as client:
        client.chat.completions.create(**{**asking("Hi"), "model": "other-chat"})
        assert pair[1].calls[-1].body["model"] == "other-chat"
        listed = {model.id: model for model in client.models.list()}
        assert set(listed) == {"our-chat", "other-chat", "gpt-4o"}
        assert client.models.retrieve("gpt-4o").id == "gpt-4o"
        assert all(model.object == "model" and model.owned_by for model in listed.values())


def test_a_model_that_nobody_serves(start_gateway, pair):
    routes = [{"model": "deepseek-*", "backends": ["first"]}]
    server = start_gateway([gateway.backend("first", pair[0].url)], routes)
    with gateway.client(server) as client, pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(**{**asking("Hi"), "model": "gpt-99"})
    assert refused.value.code == "model_not_found" and names(pair) == [0, 0]


def test_the_header_says_why(sdk, pair):
    raw = sdk.chat.completions.with_raw_response
    assert "first" in raw.create(**asking(QUESTION)).headers["DeepSeek-Route"]
    pair[0].behave(faults.status(503))
    note = raw.create(**asking(QUESTION)).headers["DeepSeek-Route"]
    assert "first" in note and "second" in note, note
    note = raw.create(**streaming(QUESTION)).headers["DeepSeek-Route"]
    assert "second" in note


# --- other forms of client ----------------------------------------------------------------------


def test_infer(relay, pair):
    answer = relay.post("/api/v1/infer", {"query": QUESTION})
    assert answer.status == 200, answer.body
    assert answer.json()["answer"] == full_text(QUESTION)
    assert answer.json()["usage"]["completion_tokens"] == upstream_text.WORDS
    assert sent(pair)["messages"][-1] == {"role": "user", "content": QUESTION}


def test_infer_streamed_goes_on_elsewhere(relay, pair):
    whole = relay.post("/api/v1/infer", {"query": QUESTION, "stream": True}).frames()
    pair[0].behave(faults.cut_after_frames(9))
    broken = relay.post("/api/v1/infer", {"query": QUESTION, "stream": True}).frames()
    assert whole[-1] == broken[-1] == "[DONE]"

    def said(frames):
        return "".join(str(frame.get("delta") or frame.get("answer") or "")
                       for frame in frames[:-1])

    assert said(whole) == said(broken) != ""
    assert names(pair) == [2, 1]


def test_generate(relay, pair):
    prompt = "Say it::"
    answer = relay.post("/generate", {"prompt": prompt, "max_tokens": 500})
    assert answer.status == 200 and answer.json() == full_text(prompt), answer.body
    assert names(pair) == [1, 0]


def test_generate_goes_elsewhere(relay, pair):
    pair[0].behave(faults.status(502))
    prompt = "Say it::"
    assert relay.post("/generate", {"prompt": prompt}).json() == full_text(prompt)
    assert names(pair) == [1, 1]
