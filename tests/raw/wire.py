"""A client that sends bytes as they are and reads what comes back."""

import json
import re
import socket
import struct
import time

PATIENCE_SECONDS = 30


class Answer:
    """One response: status, fields (lower case names), body."""

    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body

    @property
    def error(self):
        """The error object of an OpenAI body; fails when it does not have that shape."""
        assert self.fields["content-type"].startswith("application/json"), self.fields
        error = json.loads(self.body)["error"]
        assert set(error) >= {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and error["message"], error
        return error


class Wire:
    """One connection. Reading fails after PATIENCE_SECONDS instead of hanging."""

    def __init__(self, address, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(address)
        self._received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self):
        data = self.socket.recv(65536)
        self._received += data
        return bool(data)

    def read_answer(self):
        """The next response. Fails with ConnectionError when the connection ends before it."""
        while b"\r\n\r\n" not in self._received:
            if not self._more():
                raise ConnectionError(f"no answer, only {self._received!r}")
        head, self._received = self._received.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", lines[0]).group(1))
        fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields[name.lower()] = value.strip()
        if status == 100:
            return Answer(status, fields, b"")
        return Answer(status, fields, self._take(int(fields["content-length"])))

    def _take(self, size):
        while len(self._received) < size:
            if not self._more():
                raise ConnectionError("the body is cut")
        body, self._received = self._received[:size], self._received[size:]
        return body

    def read_end(self):
        """Everything up to the end of the connection, which must come without a reset."""
        while self._more():
            pass
        rest, self._received = self._received, b""
        return rest

    def wait_cut(self):
        """The end of the connection, however it ends; returns the seconds it took."""
        began = time.monotonic()
        try:
            self.read_end()
        except ConnectionError:
            pass
        return time.monotonic() - began


def get(path="/health", more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode("latin-1")


def post(fields, body=b"", path="/v1/chat/completions"):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode("latin-1") + fields + b"\r\n\r\n" + body
