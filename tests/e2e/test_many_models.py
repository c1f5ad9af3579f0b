"""Several models under one memory budget: idle ones make room, busy ones never."""

import pathlib

from support.models import default_model
from support.waiting import process_exists, wait_until

HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
CELL_BYTES = 23040  # of the small model, in f16


def two_models(folder, budget_models):
    """A configuration file of the same small model under two names; `second` loads when asked."""
    file = pathlib.Path(folder) / "models.yaml"
    model = default_model()
    pool = CELL_BYTES * 1024
    one = pathlib.Path(model).stat().st_size + pool
    file.write_text(
        "models:\n"
        f"  - {{name: first, path: {model}, context_max: 1024}}\n"
        f"  - {{name: second, path: {model}, context_max: 1024, preload: false}}\n"
        f"memory: {{max_cache_size: {pool}B, max_models_size: {int(one * budget_models)}B}}\n",
        "utf-8",
    )
    return file


def states(server):
    return {model["id"]: model["status"] for model in server.get("/health").json()["models"]}


def ask(server, model):
    return server.post("/v1/chat/completions", {**HELLO, "model": model})


def test_both_are_loaded_where_there_is_room(start_server, tmp_path):
    server = start_server("--config", two_models(tmp_path, 2.2))
    assert states(server) == {"first": "ready", "second": "unloaded"}
    assert server.get("/ready").status == 200
    wait_until(lambda: ask(server, "second").status == 200, "the second model answers")
    assert states(server) == {"first": "ready", "second": "ready"}
    assert len(server.children()) == 2


def test_an_idle_model_makes_room_and_comes_back(start_server, tmp_path):
    server = start_server("--config", two_models(tmp_path, 1.5))
    for wanted, other in (("second", "first"), ("first", "second")):
        before = server.engine_pid()
        wait_until(lambda model=wanted: ask(server, model).status == 200, f"{wanted} answers")
        assert states(server) == {wanted: "ready", other: "unloaded"}
        assert not process_exists(before)
        assert len(server.children()) == 1
        assert server.get("/ready").status == 200


def test_a_busy_model_stays_until_it_is_idle(start_server, tmp_path):
    server = start_server("--config", two_models(tmp_path, 1.5))
    with server.chat_stream(model="first", tokens_max=400, ignore_eos=True) as stream:
        frames = stream.frames()
        next(frames)
        refused = ask(server, "second")
        assert refused.status == 503
        assert "in use by first" in refused.json()["error"]["message"]
        assert int(refused.field("Retry-After")) >= 1
        assert list(frames)[-1] == "[DONE]"
    wait_until(lambda: ask(server, "second").status == 200, "the second model answers")


def test_loading_one_does_not_hold_up_another(start_server, tmp_path):
    server = start_server("--config", two_models(tmp_path, 2.2))
    with server.chat_stream(model="first", tokens_max=200, ignore_eos=True) as stream:
        frames = stream.frames()
        next(frames)
        loading = server.stream("/v1/chat/completions", {**HELLO, "model": "second"})
        wait_until(lambda: states(server)["second"] == "ready", "the second model is loaded")
        assert list(frames)[-1] == "[DONE]"
    assert loading.read().status == 200
    loading.close()
