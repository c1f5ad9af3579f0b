"""The pattern language of the scenarios."""

import json

import pytest

from support import pattern


def problem(expected, value, names=None):
    return pattern.match_body(expected, json.dumps(value), names if names is not None else {})


@pytest.mark.parametrize(
    "expected, value",
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": <int>, ...}', {"a": 1, "b": 2}),
        ('{"a": <int 1..3>}', {"a": 3}),
        ('{"a": <number 0.5..>}', {"a": 0.5}),
        ('{"a": <number ..0>}', {"a": -0.5}),
        ('{"a": <number -1..1>}', {"a": -0.5}),
        ('{"a": <string /^x-/>}', {"a": "x-1"}),
        ('{"a": 1, !"b"}', {"a": 1}),
        ("[<int>*]", []),
        ("[<int>+]", [1, 2]),
        ("[<int>+, <string>]", [1, 2, "x"]),
        ("[<int>, ...]", [1, "x"]),
        ("[<any as first>, <same as first>]", ["x", "x"]),
        ("<text>", "你好"),
        ("null", None),
        ("true", True),
        ("[]", []),
        ("{}", {}),
    ],
)
def test_fits(expected, value):
    assert problem(expected, value) is None


@pytest.mark.parametrize(
    "expected, value, words",
    [
        ('{"a": 1}', {"a": 2}, "body.a: expected 1, found 2"),
        ('{"a": 1}', {"a": True}, "body.a"),
        ('{"a": 1}', {"a": 1, "b": 2}, "unexpected members ['b']"),
        ('{"a": 1, !"b", ...}', {"a": 1, "b": 2}, "should not be there"),
        ('{"a": <int 1..3>}', {"a": 4}, "at most 3"),
        ('{"a": <string /^x-/>}', {"a": "y"}, "match of"),
        ("[<int>+]", [], "ends after 0"),
        ("[<int>*]", [1, "x"], "[1]"),
        ("[<any as first>, <same as first>]", ["x", "y"], 'expected "x"'),
        ("<int>", True, "expected <int>"),
        ("<text>", "", "expected <text>"),
    ],
)
def test_does_not_fit(expected, value, words):
    assert words in problem(expected, value)


def test_frames_repeat_and_end():
    expected = 'data: {"n": 0}\ndata+: {"n": <int 1..>}\ndata: [DONE]'
    stream = 'data: {"n": 0}\n\ndata: {"n": 1}\n\n: comment\n\ndata: {"n": 2}\n\ndata: [DONE]\n\n'
    assert pattern.match_body(expected, stream, {}) is None
    assert "ends after" in pattern.match_body(expected, stream.replace("[DONE]", '{"n": 3}'), {})
    assert "found" in pattern.match_body(expected, 'data: {"n": 0}\n\ndata: [DONE]\n\n', {})


def test_text_and_empty():
    assert pattern.match_body("~ ^abc$\n~ d+", "abc\nddd\n", {}) is None
    assert "no match" in pattern.match_body("~ ^x$", "abc", {})
    assert pattern.match_body("<empty>", "", {}) is None
    assert "expected none" in pattern.match_body("<empty>", "x", {})


def test_a_wrong_pattern_is_an_error_of_its_own():
    with pytest.raises(pattern.PatternError, match="wildcard"):
        pattern.parse('{"a": <strnig>}')
    with pytest.raises(pattern.PatternError, match="expected '}'"):
        pattern.parse('{"a": 1 "b": 2}')
