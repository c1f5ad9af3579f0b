"""Managed backends: programs that the server starts, watches, starts again, and never leaves."""

import os
import signal

import pytest

from support import gateway, managed_program
from support.gateway import asking, hear, streaming
from support.server import Server
from support.upstream import Upstream
from support.upstream_text import text as full_text
from support.waiting import wait_until

QUESTION = "Who looks after you?"


@pytest.fixture
def serve(tmp_path):
    """Starts a server with these backends."""
    started = []

    def start(*rows, routes=None, settings=None, **sections):
        file = gateway.configuration(tmp_path, list(rows), routes, **sections)
        server = Server(("--config", file), settings, wait="listening")
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


def ask(server, question=QUESTION):
    with gateway.client(server) as client:
        answer = client.chat.completions.create(**asking(question))
    return answer.choices[0].message.content


def state_entry(server, state, start=0):
    return server.wait_for_log(
        lambda entry: entry.get("message") == "managed backend" and entry.get("state") == state,
        f"a managed backend is {state}",
        start,
    )


def test_starts_serves_and_says_what_it_prints(serve, tmp_path):
    row, lives = managed_program.row(tmp_path)
    server = serve(row)
    state_entry(server, "ready")
    assert ask(server) == full_text(QUESTION)
    line = server.wait_for_log(lambda entry: entry.get("message") == "output", "its output")
    assert line["backend"] == "managed"
    assert line["line"].startswith("managed serves xxx")
    assert len(line["line"]) < 600, "lines are bounded"
    assert server.stop() == 0
    lives.wait_all_ended()


def test_killed_it_starts_again_and_serves_again(serve, tmp_path):
    row, lives = managed_program.row(tmp_path)
    server = serve(row)
    state_entry(server, "ready")
    first = lives.wait(1)
    start = len(server.log)
    os.kill(first["program"], signal.SIGKILL)
    state_entry(server, "restarting", start)
    state_entry(server, "ready", start)
    assert ask(server) == full_text(QUESTION)
    second = lives.wait(2)
    assert second["program"] != first["program"]
    server.stop()
    lives.wait_all_ended()


def test_killed_in_the_middle_of_an_answer_another_goes_on(serve, tmp_path):
    row, lives = managed_program.row(tmp_path, continuation="prefix")
    with Upstream("other") as other:
        server = serve(row, gateway.backend("other", other.url))
        state_entry(server, "ready")
        with gateway.client(server) as client:
            heard = gateway.Heard()
            stream = client.chat.completions.create(**streaming(QUESTION))
            for chunk in stream:
                heard.take(chunk)
                if heard.text and lives.read():
                    break
            os.kill(lives.wait(1)["program"], signal.SIGKILL)
            hear(stream, heard)
        heard.assert_one_answer(full_text(QUESTION))
        assert len(other.default.chats()) == 1


def test_sigkill_of_the_server_takes_all_of_it_along(serve, tmp_path):
    row, lives = managed_program.row(tmp_path, modes=["deaf"])
    server = serve(row)
    state_entry(server, "ready")
    lives.wait(1)
    server.kill()
    lives.wait_all_ended()


def test_a_second_signal_leaves_nothing_behind(serve, tmp_path):
    row, lives = managed_program.row(tmp_path, modes=["deaf"])
    server = serve(row)
    state_entry(server, "ready")
    server.signal(signal.SIGTERM)
    server.wait_for_log(lambda entry: "stopping" in entry.get("message", ""), "it stops")
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 128 + signal.SIGTERM
    lives.wait_all_ended()


def test_while_it_starts_others_are_asked_and_alone_it_says_so(serve, tmp_path):
    row, _ = managed_program.row(tmp_path, modes=["unwell"])
    with Upstream("other") as other:
        routes = [
            {"model": "both", "backends": ["managed", "other"]},
            {"model": "*", "backends": ["managed"]},
        ]
        server = serve(row, gateway.backend("other", other.url), routes=routes)
        answer = server.chat(QUESTION, model="both")
        assert answer.status == 200
        assert len(other.default.chats()) == 1
        alone = server.chat(QUESTION, model="alone")
        assert alone.status == 503
        assert int(alone.field("retry-after")) >= 1
        assert "managed" in alone.json()["error"]["message"]
        assert "it is starting" in alone.json()["error"]["message"]


def test_one_that_is_never_well_is_started_again(serve, tmp_path):
    row, lives = managed_program.row(tmp_path, modes=["unwell"], start_timeout="2s")
    server = serve(row)
    entry = server.wait_for_log(
        lambda entry: "start_timeout" in entry.get("reason", ""), "the start took too long"
    )
    assert entry["backend"] == "managed"
    assert lives.wait(2)["program"] != lives.wait(1)["program"]


def test_one_that_dies_at_once_is_started_more_and_more_slowly(serve, tmp_path):
    row, lives = managed_program.row(tmp_path, modes=["brief"])
    server = serve(row)
    server.wait_for_log(lambda entry: entry.get("line") == "no more devices", "its last words")
    entry = server.wait_for_log(lambda entry: "restart in" in entry.get("reason", ""), "a pause")
    assert "it ended with exit status 3" in entry["reason"]
    server.stop()
    lives.wait_all_ended()


def test_a_program_that_does_not_exist_stops_the_start(tmp_path):
    row = {"name": "ghost", "type": "managed", "command": ["no-such-program-9", "{port}"]}
    file = gateway.configuration(tmp_path, [row])
    server = Server(("--config", file), wait=None)
    assert server.wait_exit() == 2
    assert (
        'backend "ghost": there is no program "no-such-program-9" in PATH that may be run'
        in server.log_text()
    )


def test_reload_starts_changes_and_ends_programs(serve, tmp_path):
    with Upstream("other") as other:
        rows = [gateway.backend("other", other.url)]
        server = serve(*rows)
        row, lives = managed_program.row(tmp_path, name="late")

        def reload(*rows):
            start = len(server.log)
            gateway.configuration(tmp_path, list(rows))
            server.signal(signal.SIGHUP)
            server.wait_for_log(lambda entry: entry.get("message") == "reloaded", "reload", start)
            return start

        start = reload(row, *rows)
        state_entry(server, "ready", start)
        assert ask(server) == full_text(QUESTION)
        assert not other.default.chats()

        # Another price needs no other program.
        reload({**row, "price_input": 2.0}, *rows)
        assert ask(server, "Again?") == full_text("Again?")
        assert len(lives.read()) == 1

        start = reload({**row, "environment": {**row["environment"], "MORE": "1"}}, *rows)
        state_entry(server, "ready", start)
        assert len(lives.read()) == 2
        assert ask(server, "And now?") == full_text("And now?")
        assert not other.default.chats()

        reload(*rows)
        lives.wait_all_ended()
        assert ask(server, "Still here?") == full_text("Still here?")
        assert len(other.default.chats()) == 1


def test_a_port_that_is_taken_is_tried_again(serve, tmp_path):
    """A port that another program has is told, and tried again."""
    with Upstream("taker") as taker:
        row, lives = managed_program.row(tmp_path, port=taker.port)
        server = serve(row)
        entry = server.wait_for_log(
            lambda entry: "is taken by another program" in entry.get("reason", ""), "the reason"
        )
        assert str(taker.port) in entry["reason"]
        assert lives.read() == []
        start = len(server.log)
        taker.stop()
        state_entry(server, "ready", start)
        assert ask(server) == full_text(QUESTION)
