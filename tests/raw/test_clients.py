"""Slow, large, broken and numerous clients cost little, and never harm the others."""

import random

from wire import Wire, get, post

CHUNKED = b"Transfer-Encoding: chunked"
BODY_MAX = 1 << 20


def test_pipelined_requests_are_answered_in_order(address):
    with Wire(address) as wire:
        paths = [path for i in range(50) for path in ("/health", f"/none/{i}")]
        wire.send(b"".join(get(path) for path in paths))
        statuses = [wire.read_answer().status for _ in paths]
    assert statuses == [200, 404] * 50


def test_a_request_may_come_byte_by_byte(address):
    with Wire(address) as wire:
        for byte in get():
            wire.send(bytes([byte]))
        assert wire.read_answer().status == 200


def test_a_slow_head_is_408(address, alive):
    with Wire(address) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHo")
        answer = wire.read_answer()
        assert answer.status == 408
        assert "http.head_timeout" in answer.error["message"]
        assert wire.read_end() == b""


def test_a_slow_body_is_408(address, alive):
    for fields, start in ((b"Content-Length: 100", b"{"), (CHUNKED, b"5\r\n{")):
        with Wire(address) as wire:
            wire.send(post(fields, start))
            answer = wire.read_answer()
            assert answer.status == 408
            assert "http.body_timeout" in answer.error["message"]
            assert wire.read_end() == b""


def test_a_client_that_reads_nothing_is_cut(address, alive):
    with Wire(address, receive_buffer=4096) as wire:
        wire.socket.settimeout(20)
        try:
            while True:  # until the server reads no more, then takes the write time-out
                wire.send(200 * get("/v1/models"))
        except ConnectionError:
            pass
        assert wire.wait_cut() < 20


def test_a_client_that_leaves_in_the_middle_harms_nobody(address, alive):
    for cut in (b"GET /hea", post(b"Content-Length: 100", b"{"), post(CHUNKED, b"5\r\n{"), get()):
        for leave in (Wire.reset, lambda wire: wire.socket.close()):
            wire = Wire(address)
            wire.send(cut)
            leave(wire)


def test_a_large_body_is_413_and_the_answer_arrives(address, alive):
    size = 8 * BODY_MAX
    for fields, before in ((f"Content-Length: {size}".encode(), b""), (CHUNKED, b"800000\r\n")):
        with Wire(address) as wire:
            wire.send(post(fields, before))
            for _ in range(size // 65536):
                wire.send(65536 * b"x")
            wire.half_close()
            answer = wire.read_answer()
            assert answer.status == 413
            assert answer.error["code"] == "payload_too_large"
            assert "http.body_max" in answer.error["message"]
            assert wire.read_end() == b""


def test_the_body_is_asked_for_only_when_it_is_wanted(address):
    with Wire(address) as wire:
        wire.send(post(b"Content-Length: 2\r\nExpect: 100-continue"))
        assert wire.read_answer().status == 100
        wire.send(b"[]")
        assert wire.read_answer().status == 400
    with Wire(address) as wire:
        wire.send(post(f"Content-Length: {BODY_MAX + 1}\r\nExpect: 100-continue".encode()))
        assert wire.read_answer().status == 413


def test_requests_work_beside_a_thousand_idle_connections(address):
    idle = [Wire(address) for _ in range(1000)]
    try:
        with Wire(address) as wire:
            for _ in range(20):
                wire.send(get())
                assert wire.read_answer().status == 200
        for one in idle[::50]:
            one.send(get())
            assert one.read_answer().status == 200
    finally:
        for one in idle:
            one.socket.close()


def test_random_bytes_never_harm(address, alive):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    for _ in range(200):
        with Wire(address) as wire:
            data = source.randbytes(source.randrange(1, 300))
            if source.random() < 0.5:
                good = bytearray(post(b"Content-Length: 2", b"{}"))
                for _ in range(source.randrange(1, 4)):
                    good[source.randrange(len(good))] = source.randrange(256)
                data = bytes(good)
            wire.send(data)
            wire.half_close()
            wire.wait_cut()


def test_http_1_0_is_answered_and_closed(address):
    with Wire(address) as wire:
        wire.send(b"GET /health HTTP/1.0\r\n\r\n")
        answer = wire.read_answer()
        assert answer.status == 200
        assert "transfer-encoding" not in answer.fields
        assert wire.read_end() == b""


def test_head_has_no_body(address):
    with Wire(address) as wire:
        wire.send(b"HEAD /none HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/none"))
        received = b""
        while received.count(b"HTTP/1.1 ") < 2:
            received += wire.socket.recv(65536)
        first = received.split(b"\r\n\r\n", 1)
        assert first[1].startswith(b"HTTP/1.1 404 "), "HEAD was answered with a body"
