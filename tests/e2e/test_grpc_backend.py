"""One deepseek-server that calls others over gRPC."""

import contextlib

import pytest

from support import gateway, rpc
from support import upstream_faults as faults
from support.gateway import asking, hear, streaming
from support.rpc import rpc_target
from support.server import Server
from support.upstream import Upstream
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "What is a relay?"
KEY = "sk-between-servers-0001"


class Nodes:
    """Two servers with an upstream each, and one in front of them."""

    def __init__(self, stack, folder):
        self.ups, self.servers, rows = [], [], []
        for name in ("left", "right"):
            up = stack.enter_context(Upstream(name))
            inner = folder / name
            inner.mkdir()
            file = gateway.configuration(
                inner,
                [gateway.backend(name, up.url)],
                access={"keys": [{"key": KEY, "tenant": "front"}]},
                retry={"attempts_max": 1},
                breaker={"failures_max": 1_000_000, "outlier_factor": 0},
            )
            server = Server(("--config", file), rpc.ON, wait="listening")
            stack.callback(server.kill)
            more = {"type": "grpc", "api_key": KEY, "health_interval": "200ms"}
            rows.append(gateway.backend(name, f"http://{rpc_target(server)}", **more))
            self.ups.append(up)
            self.servers.append(server)
        file = gateway.configuration(folder, rows)
        self.front = Server(("--config", file), wait="listening")
        stack.callback(self.front.kill)
        self.sdk = stack.enter_context(gateway.client(self.front))


@pytest.fixture
def nodes(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Nodes(stack, tmp_path)


def test_answers(nodes):
    whole = nodes.sdk.chat.completions.create(**asking(QUESTION))
    assert whole.choices[0].message.content == full_text(QUESTION)
    assert whole.choices[0].finish_reason == "stop" and whole.model == gateway.MODEL
    heard = hear(nodes.sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert heard.usages[0].completion_tokens == whole.usage.completion_tokens > 0
    prompt = "Once upon a time::"
    answer = nodes.sdk.completions.create(model=gateway.MODEL, prompt=prompt, max_tokens=99)
    assert answer.choices[0].text == full_text(prompt)
    assert len(nodes.ups[0].calls) == 3 and not nodes.ups[1].calls
    # Every call came to its end there, and none looks like a client that left.
    for method, count in (("StreamChat", 2), ("StreamGenerate", 1)):
        labels = {"endpoint": f"grpc/{method}", "status": "200"}
        nodes.servers[0].wait_metric("deepseek_http_requests_total", count, **labels)


def test_embeddings(nodes):
    nodes.ups[0].behave(faults.vectors())
    answer = nodes.sdk.embeddings.create(model="some-embedder", input=["a", "bcd"])
    assert [row.embedding[0] for row in answer.data] == [1.0, 3.0]


def test_the_next_one_answers(nodes):
    nodes.ups[0].behave(faults.status(503))
    answer = nodes.sdk.chat.completions.create(**asking(QUESTION))
    assert answer.choices[0].message.content == full_text(QUESTION)
    assert nodes.ups[0].calls and nodes.ups[1].calls


def test_a_clients_mistake_is_not_tried_again(nodes):
    nodes.ups[0].behave(faults.status(400))
    answer = nodes.front.post("/v1/chat/completions", asking(QUESTION))
    assert answer.status == 400 and not nodes.ups[1].calls


def test_an_answer_goes_on_elsewhere(nodes):
    nodes.ups[0].behave(faults.cut_after_frames(5))
    heard = hear(nodes.sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert nodes.ups[1].calls


def test_a_server_that_died(nodes):
    nodes.servers[0].kill()
    heard = hear(nodes.sdk.chat.completions.create(**streaming(QUESTION)))
    heard.assert_one_answer(full_text(QUESTION))
    assert not nodes.ups[0].calls


def test_a_client_that_leaves(nodes):
    nodes.ups[0].behave(faults.stall_after_frames(2))
    stream = nodes.sdk.chat.completions.create(**streaming(QUESTION))
    next(iter(stream))
    stream.close()
    wait_until(lambda: nodes.ups[0].default.left, "the far upstream's client has left")


def test_health(nodes):
    def usable(wanted):
        rows = nodes.front.metrics()
        return rows.value("deepseek_backend_usable", backend="left") == wanted

    wait_until(lambda: usable(1), "the left one is well")
    nodes.servers[0].kill()
    wait_until(lambda: usable(0), "the left one is known to be gone")
