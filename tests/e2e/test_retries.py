"""Refusals that pass: the SDK waits as Retry-After says and succeeds."""

import http.client
import json
import threading

import openai
import pytest

from support.engines import HeldEngine

HELLO = [{"role": "user", "content": "Say hello."}]


class Call(threading.Thread):
    """One SDK call with retries, on a thread of its own."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self._url = server.url + "/v1"
        self.result = None
        self.start()

    def run(self):
        try:
            with openai.OpenAI(base_url=self._url, api_key="unused", max_retries=8) as client:
                self.result = client.chat.completions.with_raw_response.create(
                    model="deepseek-chat", messages=HELLO, max_tokens=2
                )
        except openai.OpenAIError as error:
            self.result = error

    def finished(self):
        self.join(90)
        assert not self.is_alive(), "the call is still running"
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def refused(server, status):
    return server.metrics().value("deepseek_http_requests_total", status=str(status))


def test_503_while_the_model_loads(start_server):
    with HeldEngine() as engine:
        server = start_server(settings={"engine.program": engine.program}, wait="listening")
        call = Call(server)
        server.wait_metric("deepseek_http_requests_total", lambda count: count >= 1, status="503")
        engine.release()
        server.wait_ready()
        answer = call.finished()
    assert answer.retries_taken >= 1
    assert answer.parse().choices[0].message.content


def test_429_while_the_queue_is_full(start_server):
    server = start_server(settings={"engine.sequences_max": "1", "engine.priority_queue_size": "1"})
    with server.chat_stream(tokens_max=4000, ignore_eos=True) as running:
        next(running.frames())
        with server.chat_stream(tokens_max=4000, ignore_eos=True):
            server.wait_metric("deepseek_waiting_requests", 1)
            call = Call(server)
            server.wait_metric(
                "deepseek_http_requests_total", lambda count: count >= 1, status="429"
            )
    answer = call.finished()
    assert answer.retries_taken >= 1
    assert answer.parse().choices[0].message.content


def test_wrong_parameters_are_not_retried(server):
    before = refused(server, 400)
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=3) as client:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="deepseek-chat", messages=HELLO, temperature=9)
    assert refused(server, 400) == before + 1


def begin(server, **more):
    """A whole answer is asked for; what has come of it so far."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90)
    body = {"model": "deepseek-chat", "messages": HELLO, "max_tokens": 2, **more}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    return connection.getresponse()


def test_a_late_whole_answer_sends_empty_lines(start_server):
    """As DeepSeek's API does, so that no proxy gives it up."""
    server = start_server(settings={"engine.sequences_max": "1", "http.keep_alive_line": "50ms"})
    with server.chat_stream(tokens_max=4000, ignore_eos=True) as running:
        next(running.frames())
        late = begin(server)
        assert late.status == 200 and late.read(3) == b"\n\n\n", "it has not been its turn yet"
    told = json.loads(late.read())
    assert told["choices"][0]["message"]["content"]
    assert told["usage"]["completion_tokens"] == 2


def test_a_late_failure_has_no_end(start_server):
    """What had sent empty lines says its error, and no client takes it for an answer."""
    settings = {"engine.sequences_max": "1", "engine.queue_timeout": "500ms"}
    server = start_server(settings={**settings, "http.keep_alive_line": "50ms"})
    with server.chat_stream(tokens_max=4000, ignore_eos=True) as running:
        next(running.frames())
        with pytest.raises(http.client.IncompleteRead) as cut:
            begin(server).read()
        assert json.loads(cut.value.partial)["error"]["message"]
        call = Call(server)
        server.wait_metric(
            "deepseek_http_requests_total", lambda count: count >= 2, status="504"
        )
    answer = call.finished()
    assert answer.retries_taken >= 1
    assert answer.parse().choices[0].message.content
