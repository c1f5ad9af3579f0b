"""Lends the address of one server with short time-outs to the raw-socket tests.

DEEPSEEK_RAW_ADDRESS=127.0.0.1:PORT tests a server that already runs; it needs SETTINGS.
"""

import os

import pytest
from wire import Wire, get

SETTINGS = {
    "http.head_max": "16KB",
    "http.body_max": "1MB",
    "http.fields_max": "50",
    "http.head_timeout": "500ms",
    "http.body_timeout": "500ms",
    "http.write_timeout": "1s",
    "http.idle_timeout": "60s",
    "http.connections_max": "3000",
}


@pytest.fixture(scope="session")
def address():
    given = os.environ.get("DEEPSEEK_RAW_ADDRESS")
    if given:
        host, port = given.rsplit(":", 1)
        yield host, int(port)
        return
    from support.server import Server

    started = Server(settings=SETTINGS, wait="listening")
    yield "127.0.0.1", started.port
    assert started.stop() == 0, started.log_text()


@pytest.fixture
def alive(address):
    """Fails the test when the server does not answer a plain request after it."""
    yield
    with Wire(address) as wire:
        wire.send(get())
        assert wire.read_answer().status == 200
