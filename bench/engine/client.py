"""What a streaming client of a completion sees: when the first token came, and the gaps."""

import dataclasses
import threading
import time

from support import http

WORDS = (
    "river stone morning garden winter letter market bridge silver window village candle harbor "
    "forest thunder blanket copper meadow lantern orchard pepper saddle tunnel velvet walnut "
    "anchor barrel cotton desert engine feather glacier hammer island jungle kettle ladder mirror"
).split()


def words(count, seed):
    """`count` words that differ from those of every other seed from the first one on."""
    state = seed * 2654435761 % 2**32 or 1
    out = [f"{seed}"]
    for _ in range(count - 1):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(WORDS[(state >> 16) % len(WORDS)])
    return " ".join(out)


@dataclasses.dataclass
class Answer:
    begun: float
    first: float | None = None
    ended: float = 0.0
    gap_max: float = 0.0
    gaps: list = dataclasses.field(default_factory=list)  # between two pieces of text
    tokens: int = 0  # of the answer, as the server counts them
    prompt_tokens: int = 0
    text: str = ""
    error: str = ""

    @property
    def first_token(self):
        return (self.first or self.ended) - self.begun


def ask(url, prompt, tokens, key=None, **more):
    """One streamed completion of exactly `tokens` tokens."""
    fields = [("Authorization", f"Bearer {key}")] if key else []
    body = {
        "prompt": prompt,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }
    answer = Answer(time.perf_counter())
    last, pieces = None, []
    try:
        with http.open_stream(url, "/v1/completions", body, fields, timeout=600) as stream:
            if stream.status != 200:
                answer.error = f"{stream.status} {stream.read().text()[:200]}"
            else:
                for frame in stream.frames():
                    if frame == "[DONE]":
                        break
                    if "error" in frame:
                        answer.error = str(frame["error"])[:200]
                        break
                    usage = frame.get("usage") or {}
                    answer.tokens = usage.get("completion_tokens", answer.tokens)
                    answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
                    if not frame.get("choices"):
                        continue
                    now = time.perf_counter()
                    answer.first = answer.first or now
                    if last is not None:
                        answer.gaps.append(now - last)
                        answer.gap_max = max(answer.gap_max, now - last)
                    last = now
                    pieces.append(frame["choices"][0].get("text") or "")
    except OSError as error:
        answer.error = str(error)
    answer.ended = time.perf_counter()
    answer.text = "".join(pieces)
    if not answer.error and answer.tokens == 0:
        answer.error = "no usage"
    return answer


def together(calls):
    """Runs the calls, each on a thread of its own; their results in order."""
    results = [None] * len(calls)

    def run(index):
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
