"""The request id goes in, into the log, and out again; prompts and keys go nowhere."""


def test_id_in_the_log_and_no_prompt(start_server):
    server = start_server(settings={"log.level": "debug"})
    secret_prompt = "the purple elephant 4711"
    answer = server.post(
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": secret_prompt}], "max_tokens": 2},
        [("X-Request-Id", "trace-me-42"), ("Authorization", "Bearer sk-very-secret-key")],
    )
    assert answer.field("X-Request-Id") == "trace-me-42"
    server.post("/v1/chat/completions", {"messages": secret_prompt, "model": 5})
    server.wait_for_log(lambda entry: "trace-me-42" in str(entry), "a line with the request id")
    assert server.stop() == 0
    assert secret_prompt not in server.log_text()
    assert "sk-very-secret-key" not in server.log_text()


def test_made_ids_differ(server):
    ids = {server.get("/health").field("X-Request-Id") for _ in range(10)}
    assert len(ids) == 10 and None not in ids
