"""Tools with models of this machine, by the real OpenAI SDK: refusals, prompts, results."""

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
