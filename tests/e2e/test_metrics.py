"""The metrics page: the list of names is a promise, the numbers move as they should."""

import re

from support.server import ROOT


def test_the_names_are_those_of_the_document(start_server):
    """docs/metrics.md lists every family that a running server shows, and no other."""
    server = start_server()
    server.chat(tokens_max=2)
    with server.chat_stream(tokens_max=2) as stream:
        list(stream.frames())
    server.post("/v1/embeddings", {"input": "Hi"})
    server.post("/v1/chat/completions", {"messages": []})
    document = (ROOT / "docs/metrics.md").read_text("utf-8")
    promised = set(re.findall(r"^\|\s*`(deepseek_\w+)", document, re.M))
    shown = {name for name in server.metrics().families() if name.startswith("deepseek_")}
    assert promised and shown == promised


def test_every_family_has_help_and_type(server):
    metrics = server.metrics()
    assert set(metrics.types) == set(metrics.help)
    for name, labels, _ in metrics.samples:
        family = name if name in metrics.types else re.sub(r"_(bucket|sum|count)$", "", name)
        assert family in metrics.types, name
        assert all(len(value) < 200 for value in labels.values())


def test_numbers_move(start_server):
    server = start_server()
    server.chat(tokens_max=5, ignore_eos=True)
    server.chat("again", tokens_max=5, ignore_eos=True)
    server.post("/v1/chat/completions", {"messages": []})
    metrics = server.metrics()
    assert (
        metrics.value("deepseek_http_requests_total", status="200", endpoint="/v1/chat/completions")
        == 2
    )
    assert metrics.value("deepseek_http_requests_total", status="400") == 1
    assert metrics.value("deepseek_completion_tokens_total") == 10
    assert metrics.value("deepseek_prompt_tokens_total") > 10
    assert metrics.value("deepseek_time_to_first_token_seconds_count") == 2
    assert metrics.value("deepseek_running_sequences") == 0


def test_labels_do_not_grow_with_what_clients_send(start_server):
    server = start_server()
    for number in range(50):
        server.get(f"/no/such/path/{number}")
        server.post(
            "/v1/chat/completions",
            {"model": f"model-{number}", "messages": [{"role": "user", "content": "Hi"}]},
        )
    text = server.metrics().text
    assert "/no/such/path/" not in text and "model-4" not in text
