"""Many clients of every kind for minutes, engines that die meanwhile; and nothing grows."""

import itertools
import os
import pathlib
import random
import signal
import socket
import threading
from http.client import HTTPException

import pytest

from support.server import NO_QUARANTINE, rss_bytes
from support.waiting import wait_until

CLIENTS = 8
REQUESTS = 100  # of each client in a round
ROUNDS = 4
GROWTH_MAX = 24 << 20  # bytes of the server's memory from the second round to the last

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def whole(server, dice):
    answer = server.chat("Say hello.", tokens_max=dice.randint(1, 6))
    assert answer.status in (200, 502, 503), answer.body


def streamed(server, dice):
    with server.chat_stream(tokens_max=dice.randint(1, 12)) as stream:
        if stream.status == 200:
            assert list(stream.frames())


def left_in_the_middle(server, dice):
    with server.chat_stream(tokens_max=4000, ignore_eos=True) as stream:
        list(itertools.islice(stream.frames(), dice.randint(0, 5)))


def refused(server, dice):
    path, body, status = dice.choice(
        [
            ("/v1/chat/completions", {"messages": []}, 400),
            ("/v1/completions", {"model": "none", "prompt": "Hi"}, 404),
            ("/v1/nothing", {}, 404),
            ("/api/v1/infer", {"query": "x " * dice.randint(9000, 12000)}, 400),
        ]
    )
    assert server.post(path, body).status in (status, 502, 503)


def embedded(server, dice):
    answer = server.post("/v1/embeddings", {"input": ["some words"] * dice.randint(1, 4)})
    assert answer.status in (200, 502, 503), answer.body


def cut_in_its_head(server, dice):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n")


KINDS = [whole, streamed, left_in_the_middle, refused, embedded, cut_in_its_head]


def client(server, seed, failures):
    dice = random.Random(seed)
    for _ in range(REQUESTS):
        kind = dice.choice(KINDS)
        try:
            kind(server, dice)
        except (AssertionError, OSError, HTTPException) as error:
            failures.append(f"{kind.__name__}, seed {seed}: {error!r}")


def play_round(server, number):
    failures = []
    threads = [
        threading.Thread(target=client, args=(server, number * CLIENTS + one, failures))
        for one in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    if number % 2 == 1:
        os.kill(server.engine_pid(), signal.SIGKILL)
    for thread in threads:
        thread.join()
    server.wait_metric("deepseek_running_sequences", 0)
    server.wait_metric("deepseek_waiting_requests", 0)
    server.wait_ready()
    return failures


def descriptors(server):
    return len(list(pathlib.Path(f"/proc/{server.pid}/fd").iterdir()))


def test_nothing_grows(start_server):
    server = start_server(extra_environment=NO_QUARANTINE)
    memory, open_files, failures = [], [], []
    for number in range(ROUNDS):
        failures += play_round(server, number)
        wait_until(lambda: server.metrics().value("deepseek_http_connections") <= 1, "clients left")
        memory.append(rss_bytes(server.pid))
        open_files.append(descriptors(server))
    assert failures == []
    assert memory[-1] - memory[1] <= GROWTH_MAX, memory
    assert open_files[-1] <= open_files[0] + 2, open_files
    assert server.stop() == 0
