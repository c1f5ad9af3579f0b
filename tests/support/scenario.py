"""Reads and plays scenario files: requests and expected responses as text.

The format is described in tests/scenarios/README.md.
"""

import contextlib
import fnmatch
import os
import re
import shlex
import signal
from dataclasses import dataclass, field

from support import http, pattern
from support.waiting import process_exists, wait_until

_HEAD = re.compile(r"^>>>( background)? ([A-Z]+) (\S+)$")
_STATUS = re.compile(r"^<<< (\d{3}|stream)$")
_WAIT = re.compile(r"^wait (\w+)(\{.*\})? (=|>=|<=) (\d+)$")
_REPEAT = re.compile(r'\{\{repeat (\d+) "((?:[^"\\]|\\.)*)"\}\}')


class ScenarioError(Exception):
    """The file is not a scenario file; the message names file and line."""


@dataclass
class Step:
    kind: str  # "request", "wait" or "kill engine"
    line: int
    background: bool = False
    method: str = ""
    path: str = ""
    fields: list = field(default_factory=list)
    body: str | None = None
    status: str = ""
    expected_fields: list = field(default_factory=list)
    expected_body: str | None = None
    condition: tuple = ()


@dataclass
class Scenario:
    name: str
    line: int
    steps: list = field(default_factory=list)


@dataclass
class ScenarioFile:
    arguments: list = field(default_factory=list)
    own: bool = False  # a server that no other file uses
    held: bool = False  # its engine waits before it loads the model
    scenarios: list = field(default_factory=list)


class _Reader:
    def __init__(self, path, text):
        self.path = path
        self.lines = text.split("\n")
        self.at = 0

    def fail(self, words):
        raise ScenarioError(f"{self.path}:{self.at + 1}: {words}")

    def peek(self):
        return self.lines[self.at].rstrip() if self.at < len(self.lines) else None

    def next(self):
        line = self.peek()
        self.at += 1
        return line

    def fields(self):
        """Header lines up to the first empty or marker line."""
        found = []
        while (line := self.peek()) and not line.startswith(
            (">>>", "<<<", "===", "wait ", "kill ")
        ):
            name, colon, value = line.partition(":")
            if not colon or " " in name:
                self.fail(f"expected 'Name: value' or an empty line, found {line!r}")
            found.append((name, value.strip()))
            self.at += 1
        return found

    def body(self):
        """All lines up to the next marker; None when they are empty."""
        lines = []
        while (line := self.peek()) is not None:
            if line.startswith((">>> ", "<<< ", "=== ", "wait ", "kill ")):
                break
            if not line.startswith("#"):
                lines.append(self.lines[self.at])
            self.at += 1
        return "\n".join(lines).strip() or None


def read_file(path, text):
    reader = _Reader(path, text)
    result = ScenarioFile()
    while (line := reader.peek()) is not None:
        if line.startswith("=== "):
            result.scenarios.append(_read_scenario(reader))
        elif line.startswith("server:"):
            words = shlex.split(reader.next()[7:])
            result.own = True
            result.held = "held" in words
            result.arguments = [word for word in words if word not in ("own", "held")]
        elif line == "" or line.startswith("#"):
            reader.next()
        else:
            reader.fail(f"expected '=== name', found {line!r}")
    return result


def _read_scenario(reader):
    line_number = reader.at + 1
    scenario = Scenario(reader.next()[4:].strip(), line_number)
    while (line := reader.peek()) is not None and not line.startswith("=== "):
        if line == "" or line.startswith("#"):
            reader.next()
        elif line.startswith(">>> "):
            scenario.steps.append(_read_request(reader))
        elif line.startswith("wait "):
            scenario.steps.append(_read_wait(reader))
        elif line == "kill engine":
            scenario.steps.append(Step("kill engine", reader.at + 1))
            reader.next()
        else:
            reader.fail(f"expected '>>> METHOD /path', found {line!r}")
    if not scenario.steps:
        reader.fail(f"scenario {scenario.name!r} has no steps")
    return scenario


def _read_wait(reader):
    match = _WAIT.match(reader.peek())
    if match is None:
        reader.fail("expected 'wait METRIC = NUMBER' (or >=, <=)")
    labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
    step = Step("wait", reader.at + 1, condition=(match[1], labels, match[3], int(match[4])))
    reader.next()
    return step


def _read_request(reader):
    match = _HEAD.match(reader.peek())
    if match is None:
        reader.fail("expected '>>> METHOD /path' or '>>> background METHOD /path'")
    step = Step("request", reader.at + 1, bool(match[1]), match[2], match[3])
    reader.next()
    step.fields = reader.fields()
    step.body = _expand(reader.body())
    status = _STATUS.match(reader.peek() or "")
    if status is None:
        if not step.background:
            reader.fail("expected '<<< STATUS' after the request")
        return step
    reader.next()
    step.status = status[1]
    step.expected_fields = reader.fields()
    step.expected_body = reader.body()
    if step.expected_body is not None:
        try:
            pattern.check_pattern(step.expected_body)
        except pattern.PatternError as error:
            reader.fail(f"the body above is not well written: {error}")
    return step


def _expand(body):
    if body is None:
        return None
    return _REPEAT.sub(lambda match: match[2] * int(match[1]), body)


# --- playing ------------------------------------------------------------------------------------


def play(scenario, server):
    """Returns None, or what differed, as text with the line in the file."""
    names = {}
    with contextlib.ExitStack() as open_requests:
        for step in scenario.steps:
            wrong = _play_step(step, server, names, open_requests)
            if wrong:
                return f"line {step.line}: {wrong}"
    return None


def _play_step(step, server, names, open_requests):
    if step.kind == "wait":
        name, labels, operator, number = step.condition
        compare = {
            "=": lambda v: v == number,
            ">=": lambda v: v >= number,
            "<=": lambda v: v <= number,
        }[operator]
        server.wait_metric(name, compare, **labels)
        return None
    if step.kind == "kill engine":
        pid = server.engine_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not process_exists(pid), "the engine has ended")
        return None
    url = server.metrics_url if step.path == "/metrics" else server.url
    path = _fill(step.path, names)
    exchange = http.Exchange(url, step.method, path, step.fields, step.body)
    open_requests.callback(exchange.close)
    if step.background:
        if step.status == "stream":  # it has begun to answer, and stays open
            return None if exchange.status == 200 else f"expected 200, found {exchange.status}"
        return None
    return _compare(step, exchange.read(), names)


def _fill(text, names):
    return re.sub(r"\{(\w+)\}", lambda match: str(names.get(match[1], match[0])), text)


def _compare(step, response, names):
    shown = response.body.decode("utf-8", "replace")[:1500]
    if str(response.status) != step.status:
        return f"expected status {step.status}, found {response.status} with body:\n{shown}"
    for name, wanted in step.expected_fields:
        found = response.field(name)
        if wanted == "<absent>":
            if found is not None:
                return f"header {name} should not be there, found {found!r}"
        elif found is None:
            return f"header {name} is missing; there are {response.fields}"
        elif wanted.startswith("~"):
            if re.search(wanted[1:].strip(), found) is None:
                return f"header {name}: no match of {wanted[1:].strip()!r} in {found!r}"
        elif not fnmatch.fnmatchcase(found, wanted):
            return f"header {name}: expected {wanted!r}, found {found!r}"
    if step.expected_body is None:
        return None
    try:
        text = response.text()
    except UnicodeDecodeError as error:
        return f"the body is not UTF-8: {error}"
    wrong = pattern.match_body(step.expected_body, text, names)
    return f"{wrong}\nThe whole body:\n{shown}" if wrong else None
