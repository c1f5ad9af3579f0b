"""Active health checks: a sick upstream gets no requests, a well one gets them again."""

import http.server
import json
import threading

import pytest
from support import gateway
from support.waiting import wait_until


class Clinic(http.server.ThreadingHTTPServer):
    """An upstream whose health is set by hand."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Patient)
        self.status = 200
        self.checks = 0
        self.questions = 0
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Patient(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        assert self.path == "/healthz"
        self.server.checks += 1
        self._send(self.server.status, b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.questions += 1
        choice = {"index": 0, "message": {"role": "assistant", "content": "well"}}
        choice["finish_reason"] = "stop"
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        self._send(200, json.dumps({**body, "choices": [choice], "usage": usage}).encode())


@pytest.fixture
def clinic():
    server = Clinic()
    yield server
    server.close()


def test_a_sick_upstream_is_left_alone_until_it_is_well(start_gateway, start_upstream, clinic):
    second = start_upstream("second")
    checked = {"health_path": "/healthz", "health_interval": "100ms"}
    rows = [
        gateway.backend("first", clinic.url, **checked),
        gateway.backend("second", second.url),
    ]
    server = start_gateway(rows)

    def answered_by():
        answer = server.post("/v1/chat/completions", gateway.asking("Who are you?"))
        assert answer.status == 200, answer.body
        return answer.field("DeepSeek-Route")

    assert answered_by().startswith("first:")
    clinic.status = 503
    wait_until(lambda: answered_by().startswith("second:"), "the second answers")
    asked = clinic.questions
    assert answered_by().startswith("second:")
    assert clinic.questions == asked, "nobody asks the sick one"
    clinic.status = 200
    wait_until(lambda: answered_by().startswith("first:"), "the first answers again")
    assert clinic.checks >= 3
