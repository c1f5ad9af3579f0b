"""Behaviours of a scripted upstream: what it does with one request.

Each function makes a behaviour, which is an `async def play(call)`. A behaviour that returns has
answered, and the connection waits for the next request; call.cut() ends it. When the client leaves,
the behaviour is cancelled wherever it waits.
"""

import asyncio
import gzip
import json
import random
import time
from email.utils import formatdate

_HTML = (
    b"<!doctype html><html><head><title>Bad gateway</title></head>"
    b"<body><h1>Bad gateway</h1><p>nginx/1.22.1</p></body></html>"
)
_FILL = b"a" * 65536
_KEEP_ALIVE_SECONDS = 0.05


async def _stall():
    await asyncio.Event().wait()


async def _send_frames(call, frames, pace=0.0):
    for number, frame in enumerate(frames):
        if pace and number:
            await asyncio.sleep(pace)
        await call.send_chunk(frame)


# --- answers ------------------------------------------------------------------------------------


def answer(pace=0.0, first_after=0.0):
    """Whole, or as a stream with `pace` seconds between two frames."""

    async def play(call):
        if first_after:
            await asyncio.sleep(first_after)
        spoken = call.speak()
        if not call.streams:
            if pace:
                await asyncio.sleep(pace * len(spoken.frames()))
            return await call.send_body(spoken.whole())
        await call.send_head()
        await _send_frames(call, spoken.frames(), pace)
        await call.send_end()

    return play


def sliced(size):
    """The stream in pieces that end anywhere: in the middle of frames, lines and characters."""

    async def play(call):
        if not call.streams:
            return await call.send_body(call.speak().whole())
        await call.send_head()
        body = b"".join(call.speak().frames())
        for at in range(0, len(body), size):
            await call.send_chunk(body[at : at + size])
        await call.send_end()

    return play


def vectors(tokens=None):
    """An embedding call's answer; `tokens`: what it says that it has read."""

    async def play(call):
        inputs = call.body["input"]
        inputs = inputs if isinstance(inputs, list) else [inputs]
        data = [
            {"object": "embedding", "index": index, "embedding": [float(len(text)), 1.0, 0.5]}
            for index, text in enumerate(inputs)
        ]
        read = 3 * len(inputs) if tokens is None else tokens
        usage = {"prompt_tokens": read, "total_tokens": read}
        body = {"object": "list", "data": data, "model": call.body["model"], "usage": usage}
        await call.send_body(json.dumps(body).encode())

    return play


def no_scores():
    """A rerank call's answer that forgets its documents."""

    async def play(call):
        await call.send_body(json.dumps({"model": call.body["model"], "results": []}).encode())

    return play


def scores():
    """A rerank call's answer: the longest document first."""

    async def play(call):
        documents = call.body["documents"]
        results = [
            {"index": index, "relevance_score": len(text) / 100}
            for index, text in enumerate(documents)
        ]
        results.sort(key=lambda result: -result["relevance_score"])
        usage = {"total_tokens": 3 * len(documents)}
        body = {"model": call.body["model"], "results": results, "usage": usage}
        await call.send_body(json.dumps(body).encode())

    return play


# --- refusals -----------------------------------------------------------------------------------


def status(code, retry_after=None, body=None, date=False):
    """An error in OpenAI's form. `date`: Retry-After as a date."""

    async def play(call):
        fields = []
        if retry_after is not None:
            value = formatdate(time.time() + retry_after, usegmt=True) if date else retry_after
            fields.append(("Retry-After", str(value)))
        error = {"message": f"scripted {code}", "type": "scripted", "param": None, "code": None}
        text = json.dumps({"error": error} if body is None else body)
        await call.send_body(text.encode(), code, fields)

    return play


def echo_secrets(code):
    """An error that repeats every header field it was sent, keys included."""

    async def play(call):
        said = "; ".join(f"{name}: {value}" for name, value in call.field_list)
        error = {"message": f"you sent {said}", "type": "scripted", "code": "scripted"}
        if code == 200 and call.streams:
            await call.send_head()
            await _send_frames(call, call.speak().frames()[:3])
            await call.send_chunk(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
            return await call.send_end()
        await call.send_body(json.dumps({"error": error}).encode(), code)

    return play


def html_error(code=502):
    async def play(call):
        await call.send_body(_HTML, code, [("Content-Type", "text/html")])

    return play


# --- stalls -------------------------------------------------------------------------------------


def stall_before_head():
    async def play(_):
        await _stall()

    return play


def stall_before_token(comments=True):
    """The head is there, and comments say that it lives, but nothing of the answer comes."""

    async def play(call):
        await call.send_head(length=None if call.streams else 1000)
        while comments:
            if call.streams:
                await call.send_chunk(b": keep-alive\n\n")
            await asyncio.sleep(_KEEP_ALIVE_SECONDS)
        await _stall()

    return play


def stall_after_frames(count):
    async def play(call):
        if call.streams:
            await call.send_head()
            await _send_frames(call, call.speak().frames()[:count])
        else:
            body = call.speak().whole()
            await call.send_head(length=len(body))
            await call.send(body[: len(body) // 2])
        await _stall()

    return play


# --- cuts ---------------------------------------------------------------------------------------


def cut_at_once(reset=False):
    """Reads the request and says nothing."""

    async def play(call):
        call.cut(reset)

    return play


def cut_after_frames(count, reset=False, pace=0.0):
    async def play(call):
        if call.streams:
            await call.send_head()
            await _send_frames(call, call.speak().frames()[:count], pace)
        else:
            body = call.speak().whole()
            await call.send_head(length=len(body))
            await call.send(body[: len(body) // 2])
        if reset:  # what was sent must arrive first: a reset overtakes it
            await asyncio.sleep(_KEEP_ALIVE_SECONDS)
        call.cut(reset)

    return play


def cut_after_bytes(count, reset=False):
    """Of the body; anywhere in a frame."""

    async def play(call):
        if call.streams:
            await call.send_head()
            await call.send_chunk(b"".join(call.speak().frames())[:count])
        else:
            body = call.speak().whole()
            await call.send_head(length=len(body))
            await call.send(body[: min(count, len(body) - 1)])
        if reset:
            await asyncio.sleep(_KEEP_ALIVE_SECONDS)
        call.cut(reset)

    return play


# --- nonsense -----------------------------------------------------------------------------------


def garbage(seed=1):
    """Bytes that are no HTTP."""

    async def play(call):
        await call.send(random.Random(seed).randbytes(300) + b"\r\n\r\n")
        call.cut()

    return play


def garbage_json():
    """A body or a frame that is no JSON."""

    async def play(call):
        if not call.streams:
            return await call.send_body(b'{"id": "x", "choices": [{"mess')
        await call.send_head()
        await call.send_chunk(b'data: {"id": "x", "choices": [{"del\n\n')
        await call.send_end()

    return play


def garbage_after_frames(count):
    """A good beginning, then a frame that is no JSON."""

    async def play(call):
        if not call.streams:
            return await call.send_body(b"\xff\xfe not even text")
        await call.send_head()
        await _send_frames(call, call.speak().frames()[:count])
        await call.send_chunk(b"data: \xff\xfe}{\n\n")
        await call.send_end()

    return play


def endless_line():
    """A line of the stream, or a string of the body, that never ends."""

    async def play(call):
        if call.streams:
            await call.send_head()
            await call.send_chunk(b'data: {"id": "')
        else:
            await call.send_head(fields=[("Content-Type", "application/json")])
            await call.send_chunk(b'{"id": "')
        while True:
            await call.send_chunk(_FILL)

    return play


def endless_head():
    async def play(call):
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: ")
        while True:
            await call.send(_FILL)

    return play


def early_hints(count=None):
    """Interim answers before the answer; without a count there is nothing else."""

    async def play(call):
        sent = 0
        while count is None or sent < count:
            await call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            sent += 1
        await answer()(call)

    return play


def compressed():
    """gzip, although nobody asked for it."""

    async def play(call):
        spoken = call.speak()
        body = gzip.compress(b"".join(spoken.frames()) if call.streams else spoken.whole())
        kind = "text/event-stream" if call.streams else "application/json"
        fields = [("Content-Type", kind), ("Content-Encoding", "gzip")]
        await call.send_body(body, fields=fields)

    return play


def wrong_usage(usage):
    """`usage` instead of the true one; None leaves it out."""

    async def play(call):
        spoken = call.speak()
        if not call.streams:
            body = json.loads(spoken.whole())
            body["usage"] = usage
            if usage is None:
                del body["usage"]
            return await call.send_body(json.dumps(body).encode())
        spoken.usage = usage
        frames = spoken.frames()
        if usage is None and b'"usage"' in frames[-2]:
            del frames[-2]
        await call.send_head()
        await _send_frames(call, frames)
        await call.send_end()

    return play


# --- ends of streams ----------------------------------------------------------------------------


def error_event(count):
    """An error frame behind `count` good ones; a 500 where no stream was asked for."""

    async def play(call):
        error = {"error": {"message": "scripted overload", "type": "server_error", "code": "x"}}
        if not call.streams:
            return await call.send_body(json.dumps(error).encode(), 500)
        await call.send_head()
        await _send_frames(call, call.speak().frames()[:count])
        await call.send_chunk(b"data: " + json.dumps(error).encode() + b"\n\n")
        await call.send_end()

    return play


def without_done(close=False):
    """Everything but [DONE]."""

    async def play(call):
        if not call.streams:
            return await call.send_body(call.speak().whole())
        await call.send_head()
        await _send_frames(call, call.speak().frames()[:-1])
        if close:
            return call.cut()
        await call.send_end()

    return play


def without_finish(count):
    """`count` frames, then [DONE] although no frame said why the answer ended."""

    async def play(call):
        if not call.streams:
            return await call.send_body(call.speak().whole())
        frames = call.speak().frames()
        await call.send_head()
        await _send_frames(call, [*frames[:count], frames[-1]])
        await call.send_end()

    return play


# --- several ------------------------------------------------------------------------------------


def limited(calls, then, first=None):
    """The first `calls` are answered, the others are treated as `then` says."""
    good = first or answer()

    async def play(call):
        await (good if call.turn <= calls else then)(call)

    return play


class RateLimit:
    """At most `calls` in any `window` seconds, then 429 with or without Retry-After."""

    def __init__(self, calls, window, retry_after=None):
        self._calls, self._window = calls, window
        self._refuse = status(429, retry_after)
        self._answer = answer()
        self._taken = []
        self.refused = 0

    async def __call__(self, call):
        now = asyncio.get_running_loop().time()
        self._taken = [at for at in self._taken if at > now - self._window]
        if len(self._taken) < self._calls:
            self._taken.append(now)
            await self._answer(call)
        else:
            self.refused += 1
            await self._refuse(call)


def mixed(seed, behaviours):
    """Another behaviour for every request, decided by the seed, the question and how often this
    upstream was asked it: the same in every run, whatever the order."""
    asked = {}

    async def play(call):
        question = call.question.text
        asked[question] = asked.get(question, 0) + 1
        dice = random.Random(f"{seed}/{call.script.name}/{question}/{asked[question]}")
        await dice.choice(behaviours)(call)

    return play
