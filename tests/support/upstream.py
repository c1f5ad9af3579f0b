"""A scripted upstream of OpenAI's form, and of Anthropic's at /v1/messages, with HTTP/1.1 of its
own so that it can misbehave.

    with Upstream() as upstream:
        upstream.behave(faults.cut_after_frames(3))   # at any time, for the requests that follow
        ... a server whose backend has base_url=upstream.url ...
        assert upstream.calls[0].fields["authorization"] == "Bearer sk-upstream"

It runs in a thread of its own on a port that the system chooses. One listener can play several
upstreams: script("name") has its own behaviour and record below /name/v1. As a program it is a
process that can be killed: see UpstreamProcess.
"""

import asyncio
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

from support import messages_text
from support import upstream_faults as faults
from support.upstream_text import Question, Spoken

ALL_FORMS = frozenset({"prefix", "continue_final_message", "assistant_last"})
_REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 503: "Service Unavailable"}
_WRITE_BUFFER_MAX = 256 * 1024


class Call:
    """One request that came, what it said, and how it ended."""

    def __init__(self, connection, script, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.field_list = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.fields = {name.lower(): value for name, value in self.field_list}
        self.raw_body = body
        self.script = script
        self.received_at = time.monotonic()
        self.left_at = None  # when the other side closed before the answer's end
        self.ended = None  # "answered", "left" or "cut"
        self.number = self.turn = 0
        self._connection = connection
        self.body = json.loads(body) if body[:1] == b"{" else {}
        self.question = Question(self.body, script.understands)
        self.spoken = None
        self.refused = None  # why a request of Anthropic's form was none

    @property
    def streams(self):
        return self.body.get("stream") is True

    def speak(self):
        if self.spoken is None:
            kind = messages_text.SpokenMessage if messages_text.is_messages(self.path) else Spoken
            self.spoken = kind(self.question, self.number, self.script.name)
        return self.spoken

    # --- what behaviours are made of ------------------------------------------------------------

    async def send(self, data):
        await self._connection.send(data)

    async def send_head(self, status=200, fields=(), length=None):
        """`length` None announces chunks."""
        reason = _REASONS.get(status, "Status")
        kind = "text/event-stream" if length is None else "application/json"
        lines = [f"HTTP/1.1 {status} {reason}"]
        if not any(name.lower() == "content-type" for name, _ in fields):
            lines.append(f"Content-Type: {kind}")
        lines += [f"{name}: {value}" for name, value in fields]
        chunked = "Transfer-Encoding: chunked"
        lines.append(chunked if length is None else f"Content-Length: {length}")
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send_chunk(self, data):
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def send_end(self):
        await self.send(b"0\r\n\r\n")

    async def send_body(self, body, status=200, fields=()):
        await self.send_head(status, fields, len(body))
        await self.send(body)

    def cut(self, reset=False):
        """The end of the connection, in the middle of whatever was said."""
        self.ended = "cut"
        self._connection.close(reset)

    def __repr__(self):
        return f"<{self.script.name} call {self.number}: {self.path} {self.ended}>"


class Script:
    """One upstream's behaviour and what it has seen."""

    def __init__(self, upstream, name, prefix):
        self._upstream = upstream
        self.name = name
        self.prefix = prefix
        self.reset()

    @property
    def url(self):
        return f"{self._upstream.origin}{self.prefix}/v1"

    def reset(self):
        """As it was at the start; no request may be under way."""
        self.calls = []
        self.well = True  # what its health page says
        self.understands = ALL_FORMS
        self.behave(faults.answer())

    def behave(self, behaviour):
        """How the requests from now on are answered; their `turn` counts from 1."""
        self._behaviour, self._turn = behaviour, 0

    def chats(self):
        """The calls for answers, without health checks and lists of models."""
        return [call for call in self.calls if call.method == "POST"]

    def left(self):
        """The calls whose client went away before the end."""
        return [call for call in self.calls if call.left_at is not None]

    def wrong_continuations(self):
        return [call for call in self.chats() if not call.question.is_beginning()]

    async def play(self, call):
        self.calls.append(call)
        call.number = len(self.calls)
        if call.method == "POST":
            self._turn += 1
            call.turn = self._turn
            if messages_text.is_messages(call.path) or messages_text.is_count(call.path):
                await self._play_message(call)
            else:
                await self._behaviour(call)
        else:
            await _page(call)


    async def _play_message(self, call):
        counts = messages_text.is_count(call.path)
        call.refused = messages_text.why_refused(call, counts)
        if call.refused:
            body = messages_text.error_body("invalid_request_error", call.refused)
            await call.send_body(json.dumps(body).encode(), 400)
        elif counts:
            await call.send_body(json.dumps(messages_text.count_of(call.body)).encode())
        else:
            await self._behaviour(call)


async def _page(call):
    models = [{"id": "upstream-model", "object": "model", "created": 1, "owned_by": "upstream"}]
    pages = {"/models": {"object": "list", "data": models}, "/health": {"status": "ok"}}
    path = call.path.split("?")[0]
    page = next((page for end, page in pages.items() if path.endswith(end)), None)
    if call.path.endswith("/health") and not call.script.well:
        await call.send_body(b'{"status":"loading"}', 503)
        return
    body = json.dumps(page or {"error": {"message": "no such page"}}).encode()
    await call.send_body(body, 200 if page else 404)


class _Connection(asyncio.Protocol):
    def __init__(self, upstream):
        self._upstream = upstream
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._call = None
        self._gone = False

    # --- asyncio's side -------------------------------------------------------------------------

    def connection_made(self, transport):
        self._transport = transport
        transport.set_write_buffer_limits(_WRITE_BUFFER_MAX)
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._upstream.connections.add(self)

    def data_received(self, data):
        self._buffer += data
        self._changed.set()

    def eof_received(self):
        self._leave()

    def connection_lost(self, _):
        self._leave()
        self._upstream.connections.discard(self)

    def pause_writing(self):
        self._writable.clear()

    def resume_writing(self):
        self._writable.set()

    def busy(self):
        return self._call is not None and not self._gone

    def _leave(self):
        if self._gone:
            return
        self._gone = True
        if self._call is not None and self._call.ended is None:
            self._call.left_at = time.monotonic()
            self._call.ended = "left"
        self._task.cancel()

    def close(self, reset=False):
        if reset:
            linger = struct.pack("ii", 1, 0)
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        else:
            self._transport.close()

    # --- requests -------------------------------------------------------------------------------

    async def send(self, data):
        self._transport.write(data)
        await self._writable.wait()
        await asyncio.sleep(0)

    async def _more(self):
        self._changed.clear()
        await self._changed.wait()

    async def _read_request(self):
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._more()
        head = bytes(self._buffer[:end])
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        while len(self._buffer) < end + 4 + length:
            await self._more()
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        script = self._upstream.script_of(head.split(b" ", 2)[1].decode("latin-1"))
        return Call(self, script, head, body)

    async def _serve(self):
        idle = self._upstream.idle_seconds
        try:
            call = await self._read_request()
            while True:
                self._call = call
                await call.script.play(call)
                if call.ended is not None:
                    return
                call.ended = "answered"
                self._call = None
                call = await asyncio.wait_for(self._read_request(), idle)
        except (asyncio.CancelledError, TimeoutError, ConnectionError):
            pass
        finally:
            if not self._transport.is_closing():
                self._transport.close()


class Upstream:
    """`tls`: a folder with cert.pem and key.pem; `port` 0 lets the system choose."""

    def __init__(self, name="upstream", tls=None, port=0):
        self.name = name
        self.connections = set()
        self.sockets_seen = 0
        self.idle_seconds = None  # how long a connection without a request stays open
        self.tls_delay = 0.0  # before the handshake
        self._tls = None
        if tls is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._scripts = {}
        self._starting = set()  # handshakes under way
        self.default = Script(self, name, "")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- its scripts ----------------------------------------------------------------------------

    @property
    def origin(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self):
        return self.default.url

    @property
    def calls(self):
        return self.default.calls

    def behave(self, behaviour):
        self.default.behave(behaviour)

    def script(self, name):
        if name not in self._scripts:
            self._scripts[name] = Script(self, name, f"/{name}")
        return self._scripts[name]

    def script_of(self, path):
        return self._scripts.get(path.split("/")[1], self.default)

    # --- its sockets ----------------------------------------------------------------------------

    def open_sockets(self):
        return len(self.connections)

    def busy_sockets(self):
        """Connections on which an answer is under way."""
        return sum(connection.busy() for connection in list(self.connections))

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _accept(self):
        while True:
            accepted, _ = await self._loop.sock_accept(self._listener)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets_seen += 1
            task = self._loop.create_task(self._start(accepted))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self, accepted):
        try:
            if self._tls and self.tls_delay:
                await asyncio.sleep(self.tls_delay)
            await self._loop.connect_accepted_socket(
                lambda: _Connection(self), accepted, ssl=self._tls
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            accepted.close()

    def _in_loop(self, function):
        done = threading.Event()

        def run():
            try:
                function()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10), "the upstream's thread hangs"

    def close_connections(self, reset=True):
        self._in_loop(lambda: [one.close(reset) for one in list(self.connections)])

    def die(self):
        """Refuses connections from now on and resets those that are open."""

        def stop():
            if self._listener.fileno() < 0:
                return
            self._accepting.cancel()
            self._loop.remove_reader(self._listener)
            self._listener.close()
            for task in list(self._starting):
                task.cancel()
            for connection in list(self.connections):
                connection.close(reset=True)

        self._in_loop(stop)

    def stop(self):
        if self._thread.is_alive():
            self.die()
            self._in_loop(self._loop.stop)
            self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class UpstreamProcess:
    """An upstream in a process of its own, to be killed. It always answers, at the given pace."""

    def __init__(self, name="process", pace=0.0):
        folder = pathlib.Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.upstream", name, str(pace)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,  # its end ends the process
            stdout=subprocess.PIPE,
        )
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def refused_url():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def main():
    with Upstream(sys.argv[1]) as upstream:
        upstream.behave(faults.answer(pace=float(sys.argv[2])))
        print(upstream.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
