"""Everything that an upstream can do wrong, one kind at a time.

One server; each kind has its own backend there, and two routes: with a good second backend the
client gets its answer, alone it gets an honest error in time.
"""

import contextlib
import time

import pytest

from support import gateway
from support import upstream_faults as faults
from support.gateway import asking, assert_honest_error, hear, raw_stream, streaming, text_of
from support.server import Server
from support.upstream import Upstream
from support.upstream_text import text as full_text

# A whole answer says nothing before its end, so only the deadline of the request bounds it.
DEADLINE_SECONDS = 8
SHORT = {"connect_timeout": "2s", "first_token_timeout": "1500ms", "gap_timeout": "1500ms"}
SETTINGS = {
    "network": {"rpc_timeout": f"{DEADLINE_SECONDS}s"},
    "retry": {"attempts_max": 4, "backoff_min": "10ms", "backoff_max": "50ms", "budget_min": 1000},
    "breaker": {"failures_max": 1_000_000, "outlier_factor": 0},
}
ANSWER, ERROR = "answer", "error"

# name: behaviour, what a lonely stream comes to, what a lonely whole answer comes to
FAULTS = {
    "status-408": (faults.status(408), ERROR, ERROR),
    "status-429": (faults.status(429), ERROR, ERROR),
    "status-429-later": (faults.status(429, 3600), ERROR, ERROR),
    "status-429-date": (faults.status(429, 3600, date=True), ERROR, ERROR),
    "status-429-nonsense": (faults.status(429, "soon"), ERROR, ERROR),
    "status-500": (faults.status(500), ERROR, ERROR),
    "status-502": (faults.status(502), ERROR, ERROR),
    "status-503": (faults.status(503), ERROR, ERROR),
    "status-503-later": (faults.status(503, 3600), ERROR, ERROR),
    "status-504": (faults.status(504), ERROR, ERROR),
    "status-302": (faults.status(302), ERROR, ERROR),
    "status-204": (faults.status(204, body=""), ERROR, ERROR),
    "html-502": (faults.html_error(502), ERROR, ERROR),
    "html-200": (faults.html_error(200), ERROR, ERROR),
    "stall-before-head": (faults.stall_before_head(), ERROR, ERROR),
    "stall-before-token": (faults.stall_before_token(), ERROR, ERROR),
    "stall-silent": (faults.stall_before_token(comments=False), ERROR, ERROR),
    "stall-in-stream": (faults.stall_after_frames(5), ERROR, ERROR),
    "cut-at-once": (faults.cut_at_once(), ERROR, ERROR),
    "reset-at-once": (faults.cut_at_once(reset=True), ERROR, ERROR),
    "cut-frames": (faults.cut_after_frames(4), ERROR, ERROR),
    "reset-frames": (faults.cut_after_frames(4, reset=True), ERROR, ERROR),
    "cut-bytes": (faults.cut_after_bytes(777), ERROR, ERROR),
    "reset-bytes": (faults.cut_after_bytes(555, reset=True), ERROR, ERROR),
    "garbage": (faults.garbage(), ERROR, ERROR),
    "garbage-json": (faults.garbage_json(), ERROR, ERROR),
    "garbage-later": (faults.garbage_after_frames(3), ERROR, ERROR),
    "endless-line": (faults.endless_line(), ERROR, ERROR),
    "endless-head": (faults.endless_head(), ERROR, ERROR),
    "early-hints-endless": (faults.early_hints(), ERROR, ERROR),
    "early-hints": (faults.early_hints(3), ANSWER, ANSWER),
    "gzip": (faults.compressed(), ERROR, ERROR),
    "usage-negative": (
        faults.wrong_usage({"prompt_tokens": -9, "completion_tokens": -1, "total_tokens": -10}),
        ANSWER,
        ANSWER,
    ),
    "usage-absurd": (
        faults.wrong_usage({"prompt_tokens": 10**15, "completion_tokens": 10**18}),
        ANSWER,
        ANSWER,
    ),
    "usage-nonsense": (faults.wrong_usage({"prompt_tokens": "many"}), ANSWER, ANSWER),
    "usage-missing": (faults.wrong_usage(None), ANSWER, ANSWER),
    "error-event": (faults.error_event(4), ERROR, ERROR),
    "error-event-first": (faults.error_event(0), ERROR, ERROR),
    "no-done": (faults.without_done(), ANSWER, ANSWER),
    "no-done-closed": (faults.without_done(close=True), ANSWER, ANSWER),
    "no-finish": (faults.without_finish(5), ERROR, ANSWER),
    "sliced": (faults.sliced(3), ANSWER, ANSWER),
}
CASES = [(name, kind) for name in FAULTS for kind in ("stream", "whole")]
QUESTION = "What could go wrong?"


class Bench:
    """The server, a backend for each kind, and the models KIND.pair and KIND.alone."""

    def __init__(self, stack, folder):
        self.good = stack.enter_context(Upstream("good"))
        self.bad = stack.enter_context(Upstream("bad"))
        rows = [gateway.backend("good", self.good.url)]
        routes = []
        for name, (behaviour, _, _) in FAULTS.items():
            script = self.bad.script(name)
            script.behave(behaviour)
            rows.append(gateway.backend(name, script.url, **SHORT))
            for company, backends in (("pair", [name, "good"]), ("alone", [name])):
                model = f"{name}.{company}"
                routes.append({"model": model, "backends": backends, "strategy": "priority"})
        file = gateway.configuration(folder, rows, routes, default_model="", **SETTINGS)
        arguments = ("--config", file)
        self.server = Server(arguments, wait="listening")
        stack.callback(self.server.kill)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Bench(stack, tmp_path_factory.mktemp("chaos"))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_with_a_good_second_one(bench, name, kind):
    model = f"{name}.pair"
    with gateway.client(bench.server, timeout=60) as client:
        if kind == "stream":
            request = {**streaming(QUESTION), "model": model}
            hear(client.chat.completions.create(**request)).assert_one_answer(full_text(QUESTION))
        else:
            answer = client.chat.completions.create(**{**asking(QUESTION), "model": model})
            assert answer.choices[0].message.content == full_text(QUESTION)
    assert bench.bad.script(name).calls != []
    assert bench.good.default.wrong_continuations() == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_lonely_stream(bench, name):
    model = f"{name}.alone"
    began = time.monotonic()
    answer = bench.server.post("/v1/chat/completions", {**streaming(QUESTION), "model": model})
    assert time.monotonic() - began < DEADLINE_SECONDS + 3
    if FAULTS[name][1] == ANSWER:
        frames = answer.frames()
        assert frames[-1] == "[DONE]" and text_of(frames) == full_text(QUESTION)
    elif answer.status == 200:
        frames = answer.frames()
        assert "[DONE]" not in frames and frames[-1]["error"]["message"], frames[-1]
        assert full_text(QUESTION).startswith(text_of(frames))
        assert sum("error" in frame for frame in frames) == 1
    else:
        assert_honest_error(answer)


@pytest.mark.parametrize("name", FAULTS)
def test_a_lonely_whole_answer(bench, name):
    model = f"{name}.alone"
    began = time.monotonic()
    answer = bench.server.post("/v1/chat/completions", {**asking(QUESTION), "model": model})
    assert time.monotonic() - began < DEADLINE_SECONDS + 3
    if FAULTS[name][2] == ANSWER:
        assert answer.status == 200, answer.body
        assert answer.json()["choices"][0]["message"]["content"] == full_text(QUESTION)
    else:
        assert_honest_error(answer)


@pytest.mark.parametrize("kind", ["stream", "whole"])
@pytest.mark.parametrize("name", ["usage-negative", "usage-absurd", "usage-nonsense",
                                  "usage-missing"])
def test_other_forms_never_see_wrong_usage(bench, name, kind):
    """Where the server words the answer itself it gives its own estimate."""
    model = f"{name}.alone"
    body = {"query": QUESTION, "model": model, "stream": kind == "stream"}
    answer = bench.server.post("/api/v1/infer", body)
    assert answer.status == 200, answer.body
    if kind == "stream":
        [usage] = [frame["usage"] for frame in answer.frames()[:-1] if frame.get("usage")]
    else:
        usage = answer.json()["usage"]
    assert 1 <= usage["prompt_tokens"] < 1000, usage
    assert 20 <= usage["completion_tokens"] < 1000, usage


def test_the_server_is_well_after_all_that(bench):
    assert bench.server.process.poll() is None
    assert raw_stream(bench.server, QUESTION, model="sliced.pair")[-1] == "[DONE]"
    complaints = [entry for entry in bench.server.log if "raw" in entry]
    assert complaints == [], complaints[:3]  # what a sanitizer says is no JSON
