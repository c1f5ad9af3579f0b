"""Tools with models of this machine, by the real OpenAI SDK: refusals, prompts, results."""

import json

import openai
import pytest

MODEL = "deepseek-chat"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "How the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASK = [{"role": "user", "content": "How is the weather in Rome?"}]
NO_ID = {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
CALLED = [
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", **NO_ID}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny <|im_end|>"},
]


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as made:
        yield made


def ask(client, messages=ASK, **fields):
    fields = {"tools": [WEATHER], "max_tokens": 8, "temperature": 0, **fields}
    return client.chat.completions.create(model=MODEL, messages=messages, **fields)


def test_tools_are_part_of_the_prompt(client):
    bare = client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=1)
    assert ask(client).usage.prompt_tokens > bare.usage.prompt_tokens + 40
    assert ask(client, tool_choice="none").usage.prompt_tokens == bare.usage.prompt_tokens


def test_results_come_back_into_the_prompt(client):
    answer = ask(client, CALLED)
    assert answer.usage.prompt_tokens > ask(client).usage.prompt_tokens
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"tool_choice": {"type": "function", "function": {"name": "other"}}},
            "tool_choice",
        ),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
        ),
    ],
)
def test_refusals_name_the_field(client, fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **fields)
    assert refused.value.param == param


FUNCTION = WEATHER["function"]
CALLED_AS_FUNCTION = [
    *ASK,
    {"role": "assistant", "content": None, "function_call": NO_ID["function"]},
    {"role": "function", "name": "get_weather", "content": "Sunny <|im_end|>"},
]


def ask_in_the_old_form(client, messages=ASK, **fields):
    fields = {"functions": [FUNCTION], "max_tokens": 64, "temperature": 0, **fields}
    return client.chat.completions.create(model=MODEL, messages=messages, **fields)


def test_functions_are_tools_in_the_prompt(client):
    old = ask_in_the_old_form(client, max_tokens=8)
    assert old.usage.prompt_tokens == ask(client).usage.prompt_tokens
    old = ask_in_the_old_form(client, CALLED_AS_FUNCTION, max_tokens=8)
    assert old.usage.prompt_tokens == ask(client, CALLED).usage.prompt_tokens
    bare = client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=1)
    unused = ask_in_the_old_form(client, function_call="none", max_tokens=1)
    assert unused.usage.prompt_tokens == bare.usage.prompt_tokens


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_function_comes_in_the_old_form(client, streamed):
    wanted = {"function_call": {"name": "get_weather"}}
    if not streamed:
        choice = ask_in_the_old_form(client, **wanted).choices[0]
        assert choice.message.tool_calls is None
        name, arguments = choice.message.function_call.name, choice.message.function_call.arguments
        reason = choice.finish_reason
    else:
        chunks = [chunk.choices[0] for chunk in ask_in_the_old_form(client, stream=True, **wanted)]
        calls = [chunk.delta.function_call for chunk in chunks if chunk.delta.function_call]
        assert not any(chunk.delta.tool_calls for chunk in chunks)
        name = calls[0].name
        assert not any(call.name for call in calls[1:])
        arguments = "".join(call.arguments for call in calls)
        reason = chunks[-1].finish_reason
    assert name == "get_weather"
    assert reason in ("function_call", "length")
    if reason == "function_call":
        assert isinstance(json.loads(arguments), dict)
    else:
        assert arguments.startswith("{")


def test_functions_and_tools_are_not_mixed(client):
    with pytest.raises(openai.BadRequestError) as refused:
        ask_in_the_old_form(client, tools=[WEATHER])
    assert refused.value.param == "functions"
