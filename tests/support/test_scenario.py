"""The reader of scenario files."""

import pytest

from support import scenario

TEXT = """
# About this file.
server: own --set a.b=1

=== First
>>> POST /v1/x
Content-Type: application/json

{"a": "{{repeat 3 "ab"}}"}
<<< 200
Content-Type: application/json*

{"b": <int>}

wait deepseek_running_sequences{model="m"} >= 2
kill engine

=== Second
>>> background GET /y
>>> GET /z
<<< 404
"""


def test_reads_everything():
    file = scenario.read_file("x.txt", TEXT)
    assert file.own and file.arguments == ["--set", "a.b=1"]
    first, second = file.scenarios
    assert (first.name, second.name) == ("First", "Second")
    request, wait, kill = first.steps
    assert (request.method, request.path, request.status) == ("POST", "/v1/x", "200")
    assert request.fields == [("Content-Type", "application/json")]
    assert request.body == '{"a": "ababab"}'
    assert request.expected_fields == [("Content-Type", "application/json*")]
    assert request.expected_body == '{"b": <int>}'
    assert wait.condition == ("deepseek_running_sequences", {"model": "m"}, ">=", 2)
    assert kill.kind == "kill engine"
    assert [step.background for step in second.steps] == [True, False]


@pytest.mark.parametrize(
    "text, words",
    [
        ("hello", "x.txt:1: expected '=== name'"),
        ("=== a\n", "has no steps"),
        ("=== a\n>>> get /x", "x.txt:2: expected '>>> METHOD"),
        ("=== a\n>>> GET /x\nnot a header\n", "x.txt:3: expected 'Name: value'"),
        ("=== a\n>>> GET /x\n\n=== b", "expected '<<< STATUS'"),
    ],
)
def test_names_file_and_line(text, words):
    with pytest.raises(scenario.ScenarioError, match=words.replace("(", r"\(")):
        scenario.read_file("x.txt", text)
