"""What two HTTP parsers could read differently is refused, and the connection is closed."""

import pytest
from wire import Wire, get, post

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"

FRAMING = {
    "length and chunked": b"Content-Length: 5\r\n" + CHUNKED,
    "chunked and length": CHUNKED + b"\r\nContent-Length: 5",
    "two codings": b"Transfer-Encoding: gzip, chunked",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "two coding fields": CHUNKED + b"\r\n" + CHUNKED,
    "coding with other case": b"Transfer-Encoding: cHuNkEd",
    "coding after a vertical tab": b"Transfer-Encoding: \x0bchunked",
    "coding after another letter": b"Transfer-Encoding: xchunked",
    "coding with a parameter": b"Transfer-Encoding: chunked;q=0.5",
    "identity": b"Transfer-Encoding: identity",
    "empty coding": b"Transfer-Encoding:",
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Content-Length\t: 5",
    "folded coding": b"Transfer-Encoding:\r\n chunked",
    "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6",
    "list of lengths": b"Content-Length: 5, 5",
    "plus in length": b"Content-Length: +5",
    "minus in length": b"Content-Length: -5",
    "hexadecimal length": b"Content-Length: 0x5",
    "empty length": b"Content-Length:",
    "length with a fraction": b"Content-Length: 5.0",
    "length that overflows": b"Content-Length: 18446744073709551617",
    "bare LF between fields": b"A: b\nContent-Length: 5",
    "bare CR in a value": b"A: b\rContent-Length: 5",
    "NUL in a value": b"A: b\x00c",
    "control character in a value": b"A: b\x01c",
    "empty name": b": b",
    "no colon": b"Content-Length 5",
    "name that is no token": b"Content(Length: 5",
    "name outside ASCII": "Längē: 5".encode(),
}

HEADS = {
    "chunked on HTTP/1.0": (b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\n", 400),
    "first field folded": (b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "Host with user": (b"GET / HTTP/1.1\r\nHost: u@localhost\r\n\r\n", 400),
    "Host with path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "absolute target": (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority target": (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400),
    "fragment": (b"GET /health#a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bytes outside ASCII": ("GET /ä HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 400),
    "no version": (b"GET /\r\nHost: localhost\r\n\r\n", 400),
    "method that is no token": (b"G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two empty lines before": (b"\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
    "other expectation": (get(more="Expect: a-miracle\r\n"), 417),
    "TLS on the plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "head too long": (get(more="A: " + 20_000 * "x" + "\r\n"), 431),
    "head that never ends": (b"GET /" + 20_000 * b"x", 431),
    "too many fields": (get(more=60 * "A: b\r\n"), 431),
}

CHUNKS = {
    "chunk extension": b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "space after size": b"2 \r\n{}\r\n0\r\n\r\n",
    "plus in size": b"+2\r\n{}\r\n0\r\n\r\n",
    "0x in size": b"0x2\r\n{}\r\n0\r\n\r\n",
    "minus in size": b"-2\r\n{}\r\n0\r\n\r\n",
    "empty size": b"\r\n{}\r\n0\r\n\r\n",
    "size that overflows": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "bare LF after size": b"2\n{}\r\n0\r\n\r\n",
    "bare LF after data": b"2\r\n{}\n0\r\n\r\n",
    "data longer than size": b"2\r\n{}}\r\n0\r\n\r\n",
    "trailer": b"2\r\n{}\r\n0\r\nA: b\r\n\r\n",
    "bare LF at the end": b"2\r\n{}\r\n0\r\n\n",
}


def assert_refused(address, data, status):
    """The answer is an error in OpenAI's shape, the only one, and then the connection ends."""
    with Wire(address) as wire:
        wire.send(data)
        answer = wire.read_answer()
        assert answer.status == status, answer.body
        assert answer.fields["connection"] == "close"
        assert answer.error["type"] == "invalid_request_error"
        assert wire.read_end() == b"", "something behind the refusal was answered"


@pytest.mark.parametrize("fields", FRAMING.values(), ids=FRAMING.keys())
def test_bad_fields_are_refused(address, alive, fields):
    assert_refused(address, post(fields, b"0\r\n\r\n" + SMUGGLED), 400)


@pytest.mark.parametrize("head, status", HEADS.values(), ids=HEADS.keys())
def test_bad_heads_are_refused(address, alive, head, status):
    assert_refused(address, head, status)


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
def test_bad_chunks_are_refused(address, alive, body):
    assert_refused(address, post(CHUNKED, body + SMUGGLED), 400)


def test_an_upgrade_is_ignored(address):
    with Wire(address) as wire:
        wire.send(get(more="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
        assert wire.read_answer().status == 200


def test_one_empty_line_before_a_request_is_forgiven(address):
    with Wire(address) as wire:
        wire.send(get() + b"\r\n" + get())
        assert wire.read_answer().status == 200
        assert wire.read_answer().status == 200
