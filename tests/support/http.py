"""One HTTP/1.1 request over one connection, with exactly the header fields that the test names.

Host and Content-Length are added when they are missing, nothing else.
"""

import http.client
import json
import ssl
from urllib.parse import urlsplit


class Response:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # (name, value) in the order received
        self.body = body  # bytes

    def field(self, name):
        for found, value in self.fields:
            if found.lower() == name.lower():
                return value
        return None

    def text(self):
        return self.body.decode("utf-8")  # broken UTF-8 is a failure

    def json(self):
        return json.loads(self.text())

    def frames(self):
        """The payloads of the SSE frames, JSON decoded where it is JSON."""
        return [decode_frame(frame) for frame in split_frames(self.text())]


def split_frames(text):
    """The `data:` payloads of an event stream, as text; comments are left out."""
    payloads = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line[:5] == "data:"]
        if lines:
            payloads.append("\n".join(lines))
    return payloads


def decode_frame(payload):
    return payload if payload == "[DONE]" else json.loads(payload)


class Exchange:
    """A request that was sent and whose response may still be coming."""

    def __init__(self, url, method, path, fields=(), body=None, timeout=120, context=None):
        parts = urlsplit(url)
        kind = http.client.HTTPConnection
        arguments = {}
        if parts.scheme == "https":
            kind = http.client.HTTPSConnection
            arguments["context"] = context or ssl.create_default_context()
        self.connection = kind(parts.hostname, parts.port, timeout=timeout, **arguments)
        names = {name.lower() for name, _ in fields}
        self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if "host" not in names:
            self.connection.putheader("Host", parts.netloc)
        for name, value in fields:
            self.connection.putheader(name, value)
        body = body.encode("utf-8") if isinstance(body, str) else body
        counted = "content-length" in names or "transfer-encoding" in names
        if not counted and (body is not None or method in ("POST", "PUT", "PATCH")):
            self.connection.putheader("Content-Length", str(len(body or b"")))
        try:
            self.connection.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may have come before the whole body was taken
        self._response = None

    @property
    def response(self):
        if self._response is None:
            self._response = self.connection.getresponse()
        return self._response

    @property
    def status(self):
        return self.response.status

    def read_line(self):
        return self.response.readline()

    def frames(self):
        """Yields the stream's frames as they arrive."""
        lines = []
        while True:
            line = self.response.readline()
            text = line.decode("utf-8").rstrip("\r\n")
            if text.startswith("data:"):
                lines.append(text[5:].removeprefix(" "))
            elif text == "" and lines:
                yield decode_frame("\n".join(lines))
                lines = []
            if line == b"":
                return

    def read(self):
        body = self.response.read()
        return Response(self.status, self.response.getheaders(), body)

    def close(self):
        """Leaves at once, whatever is still coming."""
        if self._response is not None:
            self._response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(url, method, path, fields=(), body=None, timeout=120, context=None):
    """Sends one request and reads the whole response. `body` may be text, bytes or a JSON value."""
    fields = list(fields)
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body, ensure_ascii=False)
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.append(("Content-Type", "application/json"))
    with Exchange(url, method, path, fields, body, timeout, context) as exchange:
        return exchange.read()


def open_stream(url, path, body, fields=(), timeout=120):
    """Starts a request and returns its Exchange; the response is read as it comes."""
    text = json.dumps(body, ensure_ascii=False)
    return Exchange(
        url, "POST", path, [("Content-Type", "application/json"), *fields], text, timeout
    )
