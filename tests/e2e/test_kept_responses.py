"""State of client.responses, by the real OpenAI SDK: conversations that go on by
previous_response_id, what is kept of them and for whom, and what happens at limits and faults.
"""

import sqlite3

import openai
import pytest

from support import gateway, upstream_text
from support import upstream_faults as faults
from support.server import Server
from support.upstream import Upstream

MODEL = "deepseek-chat"
FIRST_KEY, SECOND_KEY = "sk-client-0001", "sk-client-0002"
KEYS = [
    {"key": FIRST_KEY, "tenant": "first"},
    {"key": SECOND_KEY, "tenant": "second"},
]
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as made:
        yield made


@pytest.fixture
def start(upstream, tmp_path):
    """Starts a server with these settings of `responses`, on one data folder for the test."""
    upstream.default.reset()
    started = []

    def run(sections=None, **responses):
        row = gateway.backend("first", upstream.url)
        sections = {"responses": responses, **(sections or {})}
        file = gateway.configuration(tmp_path, [row], **sections)
        server = Server(("--config", file), wait="listening")
        started.append(server)
        return server

    yield run
    for server in started:
        server.kill()


@pytest.fixture
def server(start):
    return start()


@pytest.fixture
def responses(server):
    with gateway.client(server) as made:
        yield made.responses


def told(upstream):
    """The conversation that reached the upstream last, as (role, text)."""
    return [(one["role"], one["content"]) for one in upstream.calls[-1].body["messages"]]


def text(question):
    return upstream_text.text(question)


def not_found(responses, made_id):
    with pytest.raises(openai.NotFoundError) as refused:
        responses.retrieve(made_id)
    assert refused.value.code == "not_found"


def cannot_go_on(responses, made_id):
    with pytest.raises(openai.BadRequestError) as refused:
        responses.create(model=MODEL, input="go on", previous_response_id=made_id)
    assert refused.value.code == "previous_response_not_found"
    assert refused.value.param == "previous_response_id"


def test_a_conversation_goes_on(responses, upstream):
    first = responses.create(model=MODEL, input="one", instructions="Be brief.")
    assert first.store is True
    assert told(upstream) == [("system", "Be brief."), ("user", "one")]
    second = responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert told(upstream) == [("user", "one"), ("assistant", text("one")), ("user", "two")]
    with responses.stream(
        model=MODEL, input="three", instructions="Rhyme.", previous_response_id=second.id
    ) as stream:
        list(stream)
        third = stream.get_final_response()
    assert third.store is True
    assert told(upstream) == [
        ("system", "Rhyme."),
        ("user", "one"),
        ("assistant", text("one")),
        ("user", "two"),
        ("assistant", text("two")),
        ("user", "three"),
    ]
    # A stream's response is kept as well, and two may go on from the same.
    responses.create(model=MODEL, input="four", previous_response_id=third.id)
    assert told(upstream)[-2:] == [("assistant", text("three")), ("user", "four")]
    responses.create(model=MODEL, input="other", previous_response_id=first.id)
    assert told(upstream) == [("user", "one"), ("assistant", text("one")), ("user", "other")]


def test_what_is_kept_can_be_read_and_deleted(responses):
    first = responses.create(model=MODEL, input="one", metadata={"k": "v"})
    second = responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert responses.retrieve(first.id) == first
    assert responses.retrieve(second.id) == second
    assert responses.delete(first.id) is None
    not_found(responses, first.id)
    assert responses.retrieve(second.id) == second
    cannot_go_on(responses, first.id)
    cannot_go_on(responses, second.id)  # a part of what it went on from is gone
    for call in (responses.delete, responses.cancel, responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(first.id)


def test_input_items_are_the_conversation(responses):
    first = responses.create(model=MODEL, input="one")
    second = responses.create(
        model=MODEL,
        input=[{"role": "user", "content": "two"}, {"role": "user", "content": "three"}],
        previous_response_id=first.id,
    )

    def texts(**options):
        page = responses.input_items.list(second.id, **options)
        return [item.content[0].text for item in page]  # the SDK asks for all pages

    everything = ["one", text("one"), "two", "three"]
    assert texts(order="asc") == everything
    assert texts() == everything[::-1]
    assert texts(order="asc", limit=1) == everything
    page = responses.input_items.list(second.id, order="asc", limit=3)
    assert page.has_more
    ids = [item.id for item in page.data]
    assert len(set(ids)) == 3 and page.last_id == ids[-1]
    assert texts(order="asc", after=ids[0]) == everything[1:]
    assert ids[1] == first.output[0].id
    for wrong in ({"limit": 101}, {"order": "up"}, {"after": "msg_none"}):
        with pytest.raises(openai.BadRequestError) as refused:
            responses.input_items.list(second.id, **wrong)
        assert refused.value.param == next(iter(wrong))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_sends_only_the_results(responses, upstream, streamed):
    options = {"model": MODEL, "tools": [WEATHER], "tool_choice": "required", "input": "weather?"}
    if streamed:
        with responses.stream(**options) as stream:
            list(stream)
            made = stream.get_final_response()
    else:
        made = responses.create(**options)
    (call,) = made.output
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    made = responses.create(
        model=MODEL, tools=[WEATHER], input=[result], previous_response_id=made.id
    )
    messages = upstream.calls[-1].body["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["function"]["name"] == "weather"
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == call.call_id
    assert messages[2]["content"] == "rain"
    kinds = [item.type for item in responses.input_items.list(made.id, order="asc")]
    assert kinds == ["message", "function_call", "function_call_output"]


def test_reasoning_stays_in_the_conversation(responses, upstream):
    said = [{"type": "output_text", "text": "Rain.", "annotations": []}]
    items = [
        {"role": "user", "content": "weather?"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "look up"}],
        },
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
         "content": said},
        {"role": "user", "content": "and tomorrow?"},
    ]  # fmt: skip
    first = responses.create(model=MODEL, input=items)
    responses.create(model=MODEL, input="thanks", previous_response_id=first.id)
    message = upstream.calls[-1].body["messages"][1]
    assert (message["reasoning_content"], message["content"]) == ("look up", "Rain.")
    kinds = [item.type for item in responses.input_items.list(first.id, order="asc")]
    assert kinds == ["message", "reasoning", "message", "message"]


def test_nothing_is_kept_unless_it_is_wanted(responses, upstream):
    first = responses.create(model=MODEL, input="one")
    unkept = responses.create(
        model=MODEL, input="two", store=False, previous_response_id=first.id
    )
    assert unkept.store is False
    assert len(told(upstream)) == 3
    not_found(responses, unkept.id)
    cannot_go_on(responses, unkept.id)
    cannot_go_on(responses, "resp_none")
    not_found(responses, "none of ours/%00")


def test_what_is_not_offered_is_refused(responses):
    made = responses.create(model=MODEL, input="one")
    with pytest.raises(openai.BadRequestError) as refused:
        responses.cancel(made.id)
    assert "background" in refused.value.message
    with pytest.raises(openai.BadRequestError) as refused:
        list(responses.retrieve(made.id, stream=True))
    assert refused.value.param == "stream"
    for field, value in {"background": True, "conversation": "conv_1"}.items():
        with pytest.raises(openai.BadRequestError) as refused:
            responses.create(model=MODEL, input="one", **{field: value})
        assert refused.value.param == field


def test_a_restart_forgets_nothing(start, upstream):
    before = start()
    with gateway.client(before) as client:
        first = client.responses.create(model=MODEL, input="one")
        before.process.kill()
        before.process.wait()
    after = start()
    with gateway.client(after) as client:
        assert client.responses.retrieve(first.id) == first
        client.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert told(upstream) == [("user", "one"), ("assistant", text("one")), ("user", "two")]
    assert after.stop() == 0


def test_tenants_are_apart(start, upstream):
    server = start({"access": {"keys": KEYS}})
    with gateway.client(server) as own, gateway.client(server, SECOND_KEY) as other:
        made = own.responses.create(model=MODEL, input="secret")
        asked = len(upstream.calls)
        not_found(other.responses, made.id)
        cannot_go_on(other.responses, made.id)
        for call in (other.responses.delete, other.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                call(made.id)
        assert len(upstream.calls) == asked
        assert own.responses.retrieve(made.id) == made


def test_the_oldest_conversation_of_a_tenant_makes_room(start):
    server = start({"access": {"keys": KEYS}}, tenant_rows_max=3)
    with gateway.client(server) as own, gateway.client(server, SECOND_KEY) as other:
        elsewhere = other.responses.create(model=MODEL, input="elsewhere")
        old = own.responses.create(model=MODEL, input="old")
        begun = own.responses.create(model=MODEL, input="begun")
        new = own.responses.create(model=MODEL, input="on", previous_response_id=old.id)
        own.responses.create(model=MODEL, input="one more")
        not_found(own.responses, begun.id)  # "old" is still in use
        assert own.responses.retrieve(old.id) == old
        assert own.responses.retrieve(new.id) == new
        assert other.responses.retrieve(elsewhere.id) == elsewhere
    metrics = server.metrics()
    assert metrics.value("deepseek_responses_total", event="evicted") == 1
    assert metrics.value("deepseek_responses_total", event="stored") == 5
    assert metrics.value("deepseek_responses_kept") == 4
    assert metrics.value("deepseek_responses_kept_bytes") > 4 * 300


@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_too_large_is_answered_but_not_kept(start, streamed):
    server = start(response_bytes_max="4KB")
    with gateway.client(server) as client:
        question = "word " * 2000
        if streamed:
            with client.responses.stream(model=MODEL, input=question) as stream:
                list(stream)
                made = stream.get_final_response()
        else:
            made = client.responses.create(model=MODEL, input=question)
        assert made.output_text
        assert made.store is False
        not_found(client.responses, made.id)
    assert server.metrics().value("deepseek_responses_total", event="refused") == 1


def test_a_conversation_is_within_the_limits_of_a_request(start):
    server = start({"limits": {"messages_max": 4}})
    with gateway.client(server) as client:
        first = client.responses.create(model=MODEL, input="one")
        second = client.responses.create(
            model=MODEL, input="two", previous_response_id=first.id
        )
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=MODEL, input="3", previous_response_id=second.id)
        assert refused.value.param == "previous_response_id"
        assert "limits.messages_max" in refused.value.message


def test_a_disk_that_fails_costs_no_answer(start, tmp_path):
    server = start()
    with gateway.client(server) as client:
        kept = client.responses.create(model=MODEL, input="one")
        file = sqlite3.connect(tmp_path / "data" / "responses.db", isolation_level=None)
        file.execute("BEGIN IMMEDIATE")  # the file is locked by another
        made = client.responses.create(model=MODEL, input="two")
        file.execute("ROLLBACK")
        file.close()
        assert made.output_text and made.store is False
        not_found(client.responses, made.id)
        assert client.responses.retrieve(kept.id) == kept
        assert client.responses.create(model=MODEL, input="three").store is True
    assert server.metrics().value("deepseek_responses_total", event="failed") == 1
    assert any(line.get("room") == "responses" for line in server.log)


def test_streams_that_break_are_kept_as_failed(responses, upstream):
    upstream.behave(faults.cut_after_frames(3))
    events = list(responses.create(model=MODEL, input="hello", stream=True))
    assert events[-1].type == "response.failed"
    assert responses.retrieve(events[0].response.id).status == "failed"


def test_a_client_that_leaves_leaves_nothing(server, responses, upstream):
    upstream.behave(faults.answer(pace=0.05))
    stream = responses.create(model=MODEL, input="hello", stream=True)
    made_id = next(iter(stream)).response.id
    stream.close()
    server.wait_metric("deepseek_http_requests_total", 1, status="499")
    not_found(responses, made_id)


def test_the_switch(start):
    server = start(enabled=False)
    with gateway.client(server) as client:
        made = client.responses.create(model=MODEL, input="one")
        assert made.store is False
        not_found(client.responses, made.id)
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=MODEL, input="two", previous_response_id=made.id)
        assert refused.value.param == "previous_response_id"
        assert "responses.enabled" in refused.value.message
