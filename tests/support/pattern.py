"""Expected bodies of scenarios: JSON with wildcards, event streams with repeat marks, text.

Pure. The language is described in tests/scenarios/README.md; `match_*` return None when the value
fits, else one sentence that says where it does not.
"""

import json
import re
from dataclasses import dataclass, field

from support.http import decode_frame, split_frames

_TYPES = {
    "any": lambda value: True,
    "string": lambda value: isinstance(value, str),
    "text": lambda value: isinstance(value, str) and value != "",
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
}
_SPACE = re.compile(r"\s*")
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null')
_WILD = re.compile(
    r"<(?P<type>\w+)(?:\s+/(?P<regex>(?:[^/\\]|\\.)*)/)?"
    r"(?:\s+(?P<low>-?\d+(?:\.\d+)?)?\.\.(?P<high>-?\d+(?:\.\d+)?)?)?"
    r"(?:\s+as\s+(?P<name>\w+))?>"
)


class PatternError(Exception):
    """The scenario itself is wrong."""


@dataclass
class Wild:
    type: str
    regex: str | None = None
    low: float | None = None
    high: float | None = None
    name: str | None = None


@dataclass
class ObjectPattern:
    fields: dict = field(default_factory=dict)
    absent: list = field(default_factory=list)
    more: bool = False


@dataclass
class ListPattern:
    items: list = field(default_factory=list)  # (pattern, mark), mark in "", "*", "+"
    more: bool = False


class _Parser:
    def __init__(self, text):
        self.text = text
        self.at = 0

    def space(self):
        self.at = _SPACE.match(self.text, self.at).end()

    def starts(self, word):
        self.space()
        return self.text.startswith(word, self.at)

    def take(self, word):
        if not self.starts(word):
            return False
        self.at += len(word)
        return True

    def need(self, word):
        if not self.take(word):
            line = self.text.count("\n", 0, self.at) + 1
            rest = self.text[self.at : self.at + 30]
            raise PatternError(f"line {line} of the pattern: expected {word!r} before {rest!r}")

    def value(self):
        if self.take("{"):
            return self.object()
        if self.take("["):
            return self.list()
        if self.starts("<"):
            return self.wild()
        match = _LITERAL.match(self.text, self.at)
        if match is None:
            self.need("a JSON value")
        self.at = match.end()
        return json.loads(match.group())

    def wild(self):
        match = _WILD.match(self.text, self.at)
        if match is None or match["type"] not in (*_TYPES, "same"):
            self.need("a wildcard such as <string>")
        self.at = match.end()
        return Wild(
            match["type"],
            match["regex"],
            float(match["low"]) if match["low"] else None,
            float(match["high"]) if match["high"] else None,
            match["name"],
        )

    def object(self):
        pattern = ObjectPattern()
        while not self.take("}"):
            if self.take("..."):
                pattern.more = True
            else:
                self.member(pattern)
            if not self.take(","):
                self.need("}")
                break
        return pattern

    def member(self, pattern):
        absent = self.take("!")
        self.space()
        match = _LITERAL.match(self.text, self.at)
        if match is None or not match.group().startswith('"'):
            self.need("a member's name in quotes")
        self.at = match.end()
        name = json.loads(match.group())
        if absent:
            pattern.absent.append(name)
            return
        self.need(":")
        pattern.fields[name] = self.value()

    def list(self):
        pattern = ListPattern()
        while not self.take("]"):
            if self.take("..."):
                pattern.more = True
            else:
                item = self.value()
                mark = "*" if self.take("*") else "+" if self.take("+") else ""
                pattern.items.append((item, mark))
            if not self.take(","):
                self.need("]")
                break
        return pattern


def parse(text):
    parser = _Parser(text)
    pattern = parser.value()
    parser.space()
    if parser.at != len(text):
        parser.need("the end of the pattern")
    return pattern


def _brief(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


def match_json(pattern, value, names, where="body"):
    if isinstance(pattern, Wild):
        return _match_wild(pattern, value, names, where)
    if isinstance(pattern, ObjectPattern):
        return _match_object(pattern, value, names, where)
    if isinstance(pattern, ListPattern):
        return _match_list(pattern, value, names, where)
    same = value == pattern and isinstance(value, bool) == isinstance(pattern, bool)
    return None if same else f"{where}: expected {_brief(pattern)}, found {_brief(value)}"


def _match_wild(pattern, value, names, where):
    if pattern.type == "same":
        if pattern.name not in names:
            raise PatternError(f"{where}: nothing was remembered as {pattern.name!r}")
        return match_json(names[pattern.name], value, names, where)
    if not _TYPES[pattern.type](value):
        return f"{where}: expected <{pattern.type}>, found {_brief(value)}"
    if pattern.regex is not None and re.search(pattern.regex, value) is None:
        return f"{where}: expected a match of /{pattern.regex}/, found {_brief(value)}"
    if pattern.low is not None and value < pattern.low:
        return f"{where}: expected at least {pattern.low:g}, found {_brief(value)}"
    if pattern.high is not None and value > pattern.high:
        return f"{where}: expected at most {pattern.high:g}, found {_brief(value)}"
    if pattern.name is not None:
        names[pattern.name] = value
    return None


def _match_object(pattern, value, names, where):
    if not isinstance(value, dict):
        return f"{where}: expected an object, found {_brief(value)}"
    for name, wanted in pattern.fields.items():
        if name not in value:
            return f"{where}.{name}: missing in {_brief(value)}"
        wrong = match_json(wanted, value[name], names, f"{where}.{name}")
        if wrong:
            return wrong
    for name in pattern.absent:
        if name in value:
            return f"{where}.{name}: should not be there, found {_brief(value[name])}"
    extra = sorted(set(value) - set(pattern.fields) - set(pattern.absent))
    return None if pattern.more or not extra else f"{where}: unexpected members {extra}"


def _match_list(pattern, value, names, where):
    if not isinstance(value, list):
        return f"{where}: expected a list, found {_brief(value)}"
    steps = [
        (mark, lambda one, p=item: match_json(p, one, names, where)) for item, mark in pattern.items
    ]
    return match_sequence(steps, value, pattern.more, where)


def match_sequence(steps, values, more, where):
    """Matches values against (mark, check) steps; mark "*", "+" or "?" repeats, as in a regex."""
    furthest = (-1, f"{where}: is empty")

    def walk(step, at):
        nonlocal furthest
        if step == len(steps):
            if at == len(values) or more:
                return True
            problem = f"{where}[{at}]: nothing more expected, found {_brief(values[at])}"
            furthest = max(furthest, (at, problem))
            return False
        mark, check = steps[step]
        wrong = check(values[at]) if at < len(values) else f"{where} ends after {at}"
        if wrong is None:
            if mark in ("*", "+"):  # "+" has its one; any further ones are optional
                if walk_star(step, at + 1):
                    return True
            elif walk(step + 1, at + 1):
                return True
        else:
            furthest = max(furthest, (at, f"[{at}] {wrong}"))
        return mark in ("*", "?") and walk(step + 1, at)

    def walk_star(step, at):
        last = at
        while last < len(values) and steps[step][1](values[last]) is None:
            last += 1
        return any(walk(step + 1, end) for end in range(last, at - 1, -1))

    return None if walk(0, 0) else furthest[1]


# --- event streams ------------------------------------------------------------------------------

_FRAME = re.compile(r"^data([*+?]?):", re.MULTILINE)


def parse_frames(text):
    """`data:` lines, each with an optional mark: (mark, pattern or "[DONE]")."""
    starts = list(_FRAME.finditer(text))
    frames = []
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        payload = text[start.end() : end].strip()
        frames.append((start.group(1), payload if payload == "[DONE]" else parse(payload)))
    return frames


def match_frames(frames, text, names, where="stream"):
    values = [decode_frame(payload) for payload in split_frames(text)]

    def check(pattern):
        def checked(value):
            if pattern == "[DONE]" or value == "[DONE]":
                same = pattern == "[DONE]" and value == "[DONE]"
                wanted = pattern if isinstance(pattern, str) else "JSON"
                return None if same else f"expected {wanted}, found {_brief(value)}"
            return match_json(pattern, value, names, where)

        return checked

    return match_sequence([(mark, check(p)) for mark, p in frames], values, False, where)


def check_pattern(expected):
    """Raises PatternError when an expected body is not well written."""
    kind = expected.lstrip()
    if kind.startswith("data"):
        parse_frames(expected)
    elif kind != "<empty>" and not kind.startswith("~"):
        parse(kind)


def match_body(expected, text, names):
    """`expected` as written in a scenario, against the response's body."""
    kind = expected.lstrip()
    if kind == "<empty>":
        return None if text == "" else f"body: expected none, found {text[:200]!r}"
    if kind.startswith("~"):
        for line in kind.splitlines():
            if line.strip() and re.search(line.removeprefix("~").strip(), text, re.M) is None:
                return f"body: no match of {line.removeprefix('~').strip()!r} in:\n{text[:2000]}"
        return None
    if kind.startswith("data"):
        return match_frames(parse_frames(expected), text, names)
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"body: not JSON ({error}): {text[:300]!r}"
    return match_json(parse(expected), value, names)
