"""Upstreams that are no scripts: llama-server, and another deepseek-server."""

import signal

from support import gateway, peers, upstream_text
from support import upstream_faults as faults
from support.gateway import asking, hear, streaming
from support.models import default_model
from support.waiting import process_exists, wait_until

QUESTION = "Tell me about the sea."
LONG = {"max_tokens": 48, "temperature": 0}


def test_llama_server_as_a_managed_backend(start_gateway):
    row = {
        "name": "llama",
        "type": "managed",
        "engine": "llama-server",
        "command": [str(peers.llama_server())],
        "model": str(default_model()),
        "models": [gateway.MODEL],
        "arguments": ["-c", "2048", "-t", "1", "-np", "1"],
    }
    server = start_gateway([row])
    wait_until(lambda: server.get("/ready").status == 200, "llama-server is ready")
    with gateway.client(server) as client:
        whole = client.chat.completions.create(**asking(QUESTION, **LONG))
        assert whole.choices[0].message.content
        assert 0 < whole.usage.completion_tokens <= 48
        heard = hear(client.chat.completions.create(**streaming(QUESTION, **LONG)))
    assert heard.error is None
    assert heard.text == whole.choices[0].message.content
    assert len(heard.ids) == 1
    programs = server.children()
    assert server.stop() == 0
    wait_until(lambda: not any(map(process_exists, programs)), "nothing is left")


def test_llama_server_goes_on_with_an_answer(start_gateway, start_upstream):
    """The first upstream breaks off; llama-server continues behind the assistant's words."""
    first = start_upstream("first")
    first.behave(faults.cut_after_frames(6))
    with peers.LlamaServer(default_model()) as llama:
        rows = [
            gateway.backend("first", first.url),
            gateway.backend("llama", llama.url, continuation="assistant_last"),
        ]
        server = start_gateway(rows)
        with gateway.client(server) as client:
            heard = hear(client.chat.completions.create(**streaming(QUESTION, **LONG)))
    assert heard.error is None, heard.error
    begun = upstream_text.text(QUESTION)
    shared = next(n for n, (a, b) in enumerate(zip(heard.text, begun, strict=False)) if a != b)
    assert shared >= len(upstream_text.pieces(QUESTION)[0]), "its first words are the first's"
    assert len(heard.ids) == len(heard.models) == 1
    assert heard.roles == ["assistant"]
    assert heard.finishes in (["stop"], ["length"])
    assert len(heard.text) > shared


def test_another_deepseek_server_that_is_killed_in_the_middle(start_gateway, start_server):
    near, far = start_server(), start_server()
    rows = [gateway.backend(name, one.url + "/v1") for name, one in (("near", near), ("far", far))]
    for row in rows:
        row["upstream_models"] = {gateway.MODEL: "smollm2-135m-instruct"}
    server = start_gateway(rows)
    more = {"max_tokens": 120, "temperature": 0, "extra_body": {"ignore_eos": True}}
    with gateway.client(server) as client:
        undisturbed = hear(client.chat.completions.create(**streaming(QUESTION, **more)))
        heard = gateway.Heard()
        stream = client.chat.completions.create(**streaming(QUESTION, **more))
        for chunk in stream:
            heard.take(chunk)
            if len(heard.text) > 40:
                near.signal(signal.SIGKILL)
                break
        hear(stream, heard)
    assert undisturbed.error is None
    assert heard.error is None, heard.error
    assert len(heard.ids) == len(heard.created) == 1
    assert heard.roles == ["assistant"]
    assert len(heard.finishes) == 1
    assert heard.text[:40] == undisturbed.text[:40]
    made = far.metrics().value("deepseek_completion_tokens_total", model="smollm2-135m-instruct")
    assert made > 0
