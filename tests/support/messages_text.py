"""What a scripted upstream says in Anthropic's form, and what it refuses as strictly as the real
one: a relay that bends its rules is found out by every test.
"""

import json
import re


OWN_SIGNATURE = "ZGVlcHNlZWstc2VydmVy"  # of deepseek-server, which no other server may see
SIGNATURE = "c2lnbmVk"  # of this upstream
_TOOL_INPUT = ("", '{"ci', 'ty": "Ham', 'burg"}')
_FIELDS = {
    "cache_control", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "output_format", "service_tier", "stop_sequences", "stream", "system",
    "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
}


def is_messages(path):
    return path.split("?")[0].endswith("/messages")


def is_count(path):
    return path.split("?")[0].endswith("/messages/count_tokens")


def error_body(kind, message):
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_scripted"}


def _blocks(message):
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _wrong_in_messages(messages):
    if not messages or messages[0].get("role") != "user":
        return "messages: the first message must use the user role"
    asked = set()
    for number, message in enumerate(messages):
        blocks = _blocks(message)
        if message.get("role") not in ("user", "assistant") or not blocks:
            return f"messages.{number}: a role or content that is none"
        for block in blocks:
            if block["type"] == "text" and not block["text"]:
                return f"messages.{number}: text content blocks must be non-empty"
            if block["type"] == "thinking" and block.get("signature") != SIGNATURE:
                return f"messages.{number}: Invalid `signature` in `thinking` block"
            if block["type"] == "tool_use":
                if not re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]):
                    return f"messages.{number}: tool_use.id does not match the pattern"
                if not isinstance(block["input"], dict):
                    return f"messages.{number}: tool_use.input is no dictionary"
                asked.add(block["id"])
            if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
                return f"messages.{number}: unexpected `tool_use_id`"
    return None


def _wrong_with_thinking(body):
    budget = body["thinking"].get("budget_tokens", 0)
    if not 1024 <= budget < body["max_tokens"]:
        return "thinking.budget_tokens: at least 1024 and less than max_tokens"
    if body["messages"][-1]["role"] == "assistant":
        return "thinking: the final message must not be the assistant's"
    if body.get("temperature", 1) != 1 or "top_k" in body:
        return "thinking: temperature may only be 1, top_k unset"
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return "thinking may not be enabled when tool_choice forces tool use"
    turns = [message for message in body["messages"] if message["role"] == "assistant"]
    results = any(block["type"] == "tool_result" for block in _blocks(body["messages"][-1]))
    if results and turns and "thinking" not in _blocks(turns[-1])[0]["type"]:
        return "Expected `thinking` or `redacted_thinking`, but found another block"
    return None


def why_refused(call, count=False):
    """The words of the real API's 400; None for a good request."""
    body = call.body
    if "anthropic-version" not in call.fields:
        return "anthropic-version: header is required"
    of_answers = {"max_tokens", "stream", "temperature", "stop_sequences"}
    unknown = sorted(set(body) - (_FIELDS - of_answers if count else _FIELDS))
    if unknown:
        return f"{unknown[0]}: Extra inputs are not permitted"
    if not count and not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not 0 <= body.get("temperature", 0) <= 1:
        return "temperature: range: 0..1"
    if "temperature" in body and "top_p" in body:
        return "`temperature` and `top_p` cannot both be specified for this model"
    if any(not stop.strip() for stop in body.get("stop_sequences", [])):
        return "stop_sequences: each stop sequence must contain non-whitespace"
    for tool in body.get("tools", []):
        if (tool.get("input_schema") or {}).get("type") != "object":
            return "tools.0.custom.input_schema.type: Field required"
    wrong = _wrong_in_messages(body.get("messages"))
    if wrong:
        return wrong
    last = body["messages"][-1]
    end = _blocks(last)[-1]
    if last["role"] == "assistant" and end.get("text", "").rstrip() != end.get("text", ""):
        return "messages: final assistant content cannot end with trailing whitespace"
    if not count and (body.get("thinking") or {}).get("type") == "enabled":
        return _wrong_with_thinking(body)
    return None


def _frame(kind, **fields):
    data = json.dumps({"type": kind, **fields}, ensure_ascii=len(fields) % 2 == 0)
    return f"event: {kind}\ndata: {data}\n\n".encode()


class SpokenMessage:
    """The answer to one question in Anthropic's form: whole, or as frames."""

    def __init__(self, question, number, name):
        body = question.body
        self.id, self.model = f"msg_{name}_{number}", f"{body.get('model')}@{name}"
        self.reasoning = question.reasoning()
        self.content, reason = question.answer()
        self.reason = {"stop": "end_turn", "length": "max_tokens"}[reason]
        choice = (body.get("tool_choice") or {}).get("type")
        self.calls_tool = bool(body.get("tools")) and choice in ("any", "tool")
        if self.calls_tool:
            self.content, self.reason = [], "tool_use"
        # More than is shown: thinking is told as a summary.
        hidden = 500 if self.reasoning else 0
        made = len(self.content) + len(self.reasoning) + hidden + 3 * self.calls_tool
        self.usage = {
            "input_tokens": question.prompt_tokens(),
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 7,
            "output_tokens": made,
        }

    def _head(self):
        return {"id": self.id, "type": "message", "role": "assistant", "model": self.model}

    def whole(self):
        blocks = []
        if self.reasoning:
            thinking = "".join(self.reasoning)
            blocks.append({"type": "thinking", "thinking": thinking, "signature": SIGNATURE})
        if self.content:
            blocks.append({"type": "text", "text": "".join(self.content)})
        if self.calls_tool:
            made = json.loads("".join(_TOOL_INPUT))
            use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": made}
            blocks.append(use)
        end = {"stop_reason": self.reason, "stop_sequence": None, "usage": self.usage}
        return json.dumps({**self._head(), "content": blocks, **end}, ensure_ascii=False).encode()

    def frames(self):
        """All frames in order: message_start, ping, the blocks, message_delta, message_stop."""
        start = {"content": [], "stop_reason": None, "stop_sequence": None}
        usage = {**self.usage, "output_tokens": 1}
        frames = [
            _frame("message_start", message={**self._head(), **start, "usage": usage}),
            _frame("ping"),
        ]
        for index, (block, deltas) in enumerate(self._blocks()):
            frames.append(_frame("content_block_start", index=index, content_block=block))
            frames += [_frame("content_block_delta", index=index, delta=one) for one in deltas]
            frames.append(_frame("content_block_stop", index=index))
        end = {"stop_reason": self.reason, "stop_sequence": None}
        told = {"output_tokens": self.usage["output_tokens"]}
        return [*frames, _frame("message_delta", delta=end, usage=told), _frame("message_stop")]

    def _blocks(self):
        if self.reasoning:
            deltas = [{"type": "thinking_delta", "thinking": one} for one in self.reasoning]
            deltas.append({"type": "signature_delta", "signature": SIGNATURE})
            yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
        if self.content:
            deltas = [{"type": "text_delta", "text": one} for one in self.content]
            yield {"type": "text", "text": ""}, deltas
        if self.calls_tool:
            use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": one} for one in _TOOL_INPUT]
            yield use, deltas


def count_of(body):
    return {"input_tokens": 1000 + len(json.dumps(body["messages"]).split())}


# --- behaviours, as upstream_faults has them ------------------------------------------------------


def refusal(status, kind, message, retry_after=None):
    """An error in place of an answer."""

    async def play(call):
        fields = [] if retry_after is None else [("Retry-After", str(retry_after))]
        await call.send_body(json.dumps(error_body(kind, message)).encode(), status, fields)

    return play


def error_event(count, kind="overloaded_error", message="Overloaded"):
    """An error behind `count` good frames."""

    async def play(call):
        await call.send_head()
        for frame in call.speak().frames()[:count]:
            await call.send_chunk(frame)
        await call.send_chunk(_frame("error", **{"error": error_body(kind, message)["error"]}))
        await call.send_end()

    return play


def frames_until(text_pieces):
    """How many frames of an answer without thinking hold so many pieces of its text."""
    return 3 + text_pieces
