"""What a scripted upstream says: a text that follows from the question alone.

Whoever is given the beginning of that text goes on exactly behind it, so that a test can tell
whether anything was lost or doubled on the way from several upstreams to one client.
"""

import hashlib
import json
import re

WORDS = 24  # of an answer whose question does not say words=N
REASONING_WORDS = 6
PROMPT_END = "::"  # where a prompt of /completions ends and its continuation begins
NOT_A_BEGINNING = "<<this is not the beginning of my text>>"
# Escapes, letters of two to four bytes and a new line: what a careless relay would break.
_MARKS = ("", "", "é", "", '"', "字", "\\", "\n", "😀", "")


def pieces(question, words=None):
    """The tokens of the answer to this question: one word each."""
    if words is None:
        asked = re.search(r"words=(\d+)", question)
        words = int(asked[1]) if asked else WORDS
    tag = hashlib.sha256(question.encode("utf-8")).hexdigest()[:4]
    return [
        f"{' ' if number else ''}{tag}-{number}{_MARKS[number % len(_MARKS)]}"
        for number in range(words)
    ]


def text(question, words=None):
    return "".join(pieces(question, words))


def reasoning_pieces(question):
    return pieces(f"reasoning about {question}", REASONING_WORDS)


def behind(all_pieces, given):
    """The pieces that follow `given`; the first may be the rest of a word. None: no beginning."""
    rest = given
    for number, piece in enumerate(all_pieces):
        if rest == "":
            return all_pieces[number:]
        if len(rest) < len(piece):
            return [piece[len(rest) :], *all_pieces[number + 1 :]] if piece[: len(rest)] == rest \
                else None
        if not rest.startswith(piece):
            return None
        rest = rest[len(piece) :]
    return [] if rest == "" else None


def _content_text(content):
    if isinstance(content, str):
        return content
    parts = content or []
    return "".join(part.get("text", "") for part in parts if isinstance(part, dict))


class Question:
    """What a request's body asks, and what of the answer it already holds.

    `understands`: the forms of continuation that the upstream knows, any of prefix,
    continue_final_message and assistant_last. What it does not know it passes over.
    """

    def __init__(self, body, understands):
        self.body = body
        self.given = self.given_reasoning = ""
        self.continues = False
        if "messages" in body:
            self._read_messages(body["messages"], understands)
        else:
            prompt = body.get("prompt", "")
            prompt = prompt if isinstance(prompt, str) else json.dumps(prompt)
            end = prompt.rfind(PROMPT_END)
            end = len(prompt) if end < 0 else end + len(PROMPT_END)
            self.text, self.given = prompt[:end], prompt[end:]
            self.continues = self.given != ""

    def _read_messages(self, messages, understands):
        asked = [message for message in messages if message.get("role") == "user"]
        self.text = _content_text(asked[-1].get("content")) if asked else ""
        last = messages[-1] if messages else {}
        if last.get("role") != "assistant":
            return
        self.continues = (
            ("prefix" in understands and last.get("prefix") is True)
            or (
                "continue_final_message" in understands
                and self.body.get("continue_final_message") is True
                and self.body.get("add_generation_prompt") is False
            )
            or "assistant_last" in understands
        )
        if self.continues:
            self.given = _content_text(last.get("content"))
            self.given_reasoning = last.get("reasoning_content") or ""

    @property
    def thinks(self):
        thinking = self.body.get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") == "enabled"

    def reasoning(self):
        if not self.thinks or self.given:
            return []
        rest = behind(reasoning_pieces(self.text), self.given_reasoning)
        return [NOT_A_BEGINNING] if rest is None else rest

    def answer(self):
        """Pieces of content, and why they end."""
        rest = behind(pieces(self.text), self.given)
        if rest is None:
            return [NOT_A_BEGINNING], "stop"
        limit = self.body.get("max_tokens") or self.body.get("max_completion_tokens")
        return (rest, "stop") if limit is None or limit >= len(rest) else (rest[:limit], "length")

    def is_beginning(self):
        wrong = [NOT_A_BEGINNING]
        return self.answer()[0] != wrong and self.reasoning() != wrong

    def prompt_tokens(self):
        return 4 + len(json.dumps(self.body.get("messages", self.body.get("prompt"))).split())


_TOOL_ARGUMENTS = ('{"ci', 'ty": "Ham', 'burg"}')


class Spoken:
    """The answer to one question in OpenAI's form: whole, or as frames."""

    def __init__(self, question, number, name):
        body = question.body
        self.question = question
        self.chat = "messages" in body
        self.head = {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{name}-{number}",
            "created": 1_700_000_000 + number,
            "model": f"{body.get('model')}@{name}",
        }
        self.choices = body.get("n") or 1
        self.reasoning = question.reasoning()
        self.content, self.reason = question.answer()
        self.calls_tool = bool(body.get("tools")) and body.get("tool_choice") == "required"
        if self.calls_tool:
            self.content, self.reason = [], "tool_calls"
        made = self.choices * (len(self.content) + len(self.reasoning))
        made += len(_TOOL_ARGUMENTS) if self.calls_tool else 0
        prompt = question.prompt_tokens()
        self.usage = {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "total_tokens": prompt + made,
        }

    # --- whole ----------------------------------------------------------------------------------

    def whole(self):
        choices = [self._whole_choice(index) for index in range(self.choices)]
        kind = "chat.completion" if self.chat else "text_completion"
        body = {**self.head, "object": kind, "choices": choices, "usage": self.usage}
        return json.dumps(body, ensure_ascii=False).encode("utf-8")

    def _whole_choice(self, index):
        content = "".join(self.content)
        choice = {"index": index, "finish_reason": self.reason, "logprobs": None}
        if not self.chat:
            return {**choice, "text": content}
        message = {"role": "assistant", "content": content}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls_tool:
            message["tool_calls"] = [self._tool_call("".join(_TOOL_ARGUMENTS))]
        return {**choice, "message": message}

    @staticmethod
    def _tool_call(arguments):
        function = {"name": "weather", "arguments": arguments}
        return {"index": 0, "id": "call_1", "type": "function", "function": function}

    # --- frames ---------------------------------------------------------------------------------

    def frames(self):
        """All frames in order: role, text, end, usage if asked for, [DONE]."""
        wanted = (self.question.body.get("stream_options") or {}).get("include_usage")
        frames = [self._frame(choices) for choices in self._deltas()]
        if wanted:
            frames.append(self._frame([], usage=self.usage))
        return [*frames, b"data: [DONE]\n\n"]

    def _frame(self, choices, **more):
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        chunk = {**self.head, "object": kind, "choices": choices, **more}
        # Both ways to write letters beyond ASCII are in use.
        plain = bool(choices) and choices[0]["number"] % 2 == 0
        for choice in choices:
            del choice["number"]
        return b"data: " + json.dumps(chunk, ensure_ascii=plain).encode("utf-8") + b"\n\n"

    def _choice(self, index, number, delta, reason=None):
        choice = {"index": index, "number": number, "finish_reason": reason, "logprobs": None}
        if self.chat:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        if self.question.body.get("logprobs") and delta.get("content"):
            token = {"token": delta["content"], "logprob": -0.5, "bytes": None, "top_logprobs": []}
            choice["logprobs"] = {"content": [token]}
        return choice

    def _deltas(self):
        deltas = [{"role": "assistant", "content": ""}] if self.chat else []
        deltas += [{"reasoning_content": piece} for piece in self.reasoning]
        deltas += [{"content": piece} for piece in self.content]
        if self.calls_tool:
            deltas.append({"tool_calls": [self._tool_call("")]})
            deltas += [
                {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
                for piece in _TOOL_ARGUMENTS
            ]
        for number, delta in enumerate(deltas):
            for index in range(self.choices):
                yield [self._choice(index, number, delta)]
        for index in range(self.choices):
            yield [self._choice(index, len(deltas), {}, self.reason)]
