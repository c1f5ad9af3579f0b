"""Answers that are held to a schema, a grammar, an expression or a choice, by a local model."""

import json
import re

import jsonschema
import openai
import pytest

MODEL = "deepseek-chat"
ASK = [{"role": "user", "content": "Tell me about a person."}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "colour": {"enum": ["red", "green"]},
    },
    "required": ["name", "age", "colour"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as made:
        yield made


def ask(client, messages=ASK, seed=1, tokens=400, **fields):
    return client.chat.completions.create(
        model=MODEL, messages=messages, max_tokens=tokens, seed=seed, **fields
    )


def schema_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_an_answer_is_valid_against_its_schema(client, seed, temperature):
    answer = ask(
        client, seed=seed, temperature=temperature, response_format=schema_format(PERSON)
    ).choices[0]
    if answer.finish_reason == "length":  # a name without end: JSON so far
        assert answer.message.content.startswith("{")
        return
    assert answer.finish_reason == "stop"
    jsonschema.validate(json.loads(answer.message.content), PERSON)


def test_streams_are_held_too_and_join_to_the_same(client):
    fields = {"temperature": 0, "response_format": schema_format(PERSON)}
    whole = ask(client, **fields).choices[0].message.content
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in ask(client, stream=True, **fields)
        if chunk.choices
    ]
    assert len(pieces) > 5
    assert "".join(pieces) == whole


def test_several_choices_are_each_held(client):
    choices = ask(
        client, n=3, temperature=1.5, response_format=schema_format(PERSON), tokens=300
    ).choices
    assert len(choices) == 3
    for choice in choices:
        if choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), PERSON)


def test_any_object(client):
    answer = ask(client, temperature=0, response_format={"type": "json_object"}).choices[0]
    assert answer.message.content.startswith("{")
    if answer.finish_reason == "stop":
        assert isinstance(json.loads(answer.message.content), dict)


def test_a_choice_an_expression_and_a_grammar(client):
    def said(**extra):
        answer = ask(client, temperature=1.5, extra_body=extra).choices[0]
        assert answer.finish_reason == "stop"
        return answer.message.content

    assert said(structured_outputs={"choice": ["Yes, it is.", "No."]}) in ("Yes, it is.", "No.")
    assert re.fullmatch(r"[a-f]{3}-\d{4}", said(structured_outputs={"regex": r"[a-f]{3}-\d{4}"}))
    grammar = 'root ::= "<" word ("," word)? ">"\nword ::= [a-z] [a-z] [a-z]'
    assert re.fullmatch(r"<[a-z]{3}(,[a-z]{3})?>", said(structured_outputs={"grammar": grammar}))


def test_completions_and_infer_take_constraints(client, server):
    body = {"prompt": "The answer is", "max_tokens": 40, "temperature": 0}
    choice = server.post("/v1/completions", {**body, "guided_choice": [" forty", " two"]}).json()
    assert choice["choices"][0]["text"] in (" forty", " two")


def test_an_answer_ends_where_nothing_may_follow_even_if_it_may_not_end(client):
    answer = ask(
        client,
        temperature=0,
        extra_body={"ignore_eos": True, "structured_outputs": {"choice": ["one", "two"]}},
    ).choices[0]
    assert answer.finish_reason == "stop"
    assert answer.message.content in ("one", "two")


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        (
            {"response_format": schema_format({"type": "object", "properties": {
                "name": {"type": "string", "format": "email"}}})},
            "response_format.json_schema.schema/properties/name/format",
            "not enforced",
        ),
        ({"extra_body": {"regex": "(?=a)b"}}, "regex", "(?="),
        ({"extra_body": {"regex": "(a{900}){900}"}}, "regex", "repetitions"),
        ({"extra_body": {"grammar": "root ::= nothing"}}, "grammar", "grammar"),
        (
            {"tools": [WEATHER], "extra_body": {"regex": "a"}},
            "regex",
            "tools",
        ),
    ],
)  # fmt: skip
def test_what_is_not_enforced_is_refused_by_name(client, fields, param, word):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **fields)
    assert refused.value.param == param
    assert word in str(refused.value)


def test_bombs_are_refused_and_hold_up_nobody(client, server):
    deep = {"type": "string"}
    for _ in range(500):
        deep = {"anyOf": [deep, {"type": "array", "items": deep}]} if _ < 12 else {"items": deep}
    for schema in (deep, {"enum": ["x" * 40 + str(i) for i in range(3000)]}):
        with pytest.raises(openai.BadRequestError):
            ask(client, response_format=schema_format(schema))
    assert server.get("/ready").status == 200


def arguments(call):
    return json.loads(call.function.arguments)


@pytest.mark.parametrize("seed", range(3))
def test_a_call_that_must_be_made_is_made(client, seed):
    choice = ask(
        client, seed=seed, temperature=1, tools=[WEATHER, TIME], tool_choice="required"
    ).choices[0]
    if choice.finish_reason == "length":
        return
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        if call.function.name == "get_weather":
            jsonschema.validate(arguments(call), WEATHER["function"]["parameters"])
        else:
            assert isinstance(arguments(call), dict)


def test_the_named_tool_is_called(client):
    named = {"type": "function", "function": {"name": "get_weather"}}
    fields = {"temperature": 0, "tools": [TIME, WEATHER], "tool_choice": named}
    fields["parallel_tool_calls"] = False
    choice = ask(client, **fields).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather"
    jsonschema.validate(arguments(call), WEATHER["function"]["parameters"])

    pieces, name = "", ""
    for chunk in ask(client, stream=True, **fields):
        for part in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
            pieces += part.function.arguments or ""
            name += part.function.name or ""
    assert (name, pieces) == ("get_weather", call.function.arguments)


def test_a_strict_tool_with_what_is_not_enforced_is_refused(client):
    parameters = {"type": "object", "properties": {"a": {"type": "string", "format": "date"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert ask(client, tools=[tool], tokens=4).choices
    tool["function"]["strict"] = True
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, tools=[tool], tokens=4)
    assert refused.value.param == "tools[0].function.parameters/properties/a/format"


def test_tools_beside_a_schema(client):
    """Either a call or an answer of the schema, and never anything else."""
    choice = ask(
        client, temperature=1, tools=[WEATHER], response_format=schema_format(PERSON)
    ).choices[0]
    if choice.finish_reason == "tool_calls":
        for call in choice.message.tool_calls:
            jsonschema.validate(arguments(call), WEATHER["function"]["parameters"])
    elif choice.finish_reason == "stop":
        jsonschema.validate(json.loads(choice.message.content), PERSON)
