"""A server in front of scripted upstreams, and what a client hears of its answers."""

import dataclasses
import json

import openai
import yaml

MODEL = "deepseek-chat"
# Waits that end soon when a scripted upstream is silent, and hold where it is only slow.
SHORT = {"connect_timeout": "1s", "first_token_timeout": "700ms", "gap_timeout": "700ms"}
PATIENT = {"connect_timeout": "20s", "first_token_timeout": "60s", "gap_timeout": "60s"}


def backend(name, url, **more):
    """A row of `backends`."""
    row = {"name": name, "type": "openai", "base_url": url, "api_key": f"sk-upstream-{name}-0001"}
    return {**row, "continuation": "prefix", **PATIENT, **more}


def configuration(folder, backends, routes=None, **sections):
    """Writes a file with these backends; without routes all of them answer, by priority."""
    names = [row["name"] for row in backends]
    routes = routes or [{"model": "*", "backends": names, "strategy": "priority"}]
    text = {"data_dir": str(folder / "data"), "backends": backends, "routes": routes}
    text |= {"default_model": MODEL, "aliases": {}, **sections}
    file = folder / "relay.yaml"
    file.write_text(yaml.safe_dump(text, allow_unicode=True, sort_keys=False), "utf-8")
    return file


def client(server, key="sk-client-0001", **more):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, **more)


def async_client(server, key="sk-client-0001", **more):
    return openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, **more)


def asking(question, **more):
    """Arguments of chat.completions.create()."""
    messages = [{"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages, **more}


def streaming(question, **more):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    return {**asking(question), **options, **more}


@dataclasses.dataclass
class Heard:
    """A streamed answer as its client has it."""

    text: str = ""
    reasoning: str = ""
    ids: set = dataclasses.field(default_factory=set)
    models: set = dataclasses.field(default_factory=set)
    created: set = dataclasses.field(default_factory=set)
    roles: list = dataclasses.field(default_factory=list)
    finishes: list = dataclasses.field(default_factory=list)
    usages: list = dataclasses.field(default_factory=list)
    error: Exception | None = None

    def take(self, chunk):
        self.ids.add(chunk.id)
        self.models.add(chunk.model)
        self.created.add(chunk.created)
        if chunk.usage:
            self.usages.append(chunk.usage)
        for choice in chunk.choices:
            self.text += choice.delta.content or ""
            self.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            if choice.delta.role:
                self.roles.append(choice.delta.role)
            if choice.finish_reason:
                self.finishes.append(choice.finish_reason)

    def assert_one_answer(self, text):
        """The whole text, told as one answer."""
        assert self.error is None, self.error
        assert self.text == text
        assert len(self.ids) == len(self.models) == len(self.created) == 1, self
        assert self.roles == ["assistant"], self.roles
        assert self.finishes == ["stop"], self.finishes
        assert len(self.usages) <= 1, self.usages


def hear(stream, heard=None):
    """All of a stream of the SDK; an error in it is part of what was heard."""
    heard = heard or Heard()
    try:
        for chunk in stream:
            heard.take(chunk)
    except (openai.OpenAIError, OSError) as error:
        heard.error = error
    return heard


async def hear_async(client, **request):
    heard = Heard()
    try:
        stream = await client.chat.completions.create(**request)
        async for chunk in stream:
            heard.take(chunk)
    except (openai.OpenAIError, OSError) as error:
        heard.error = error
    return heard


def raw_stream(server, question, **more):
    """All frames as they are on the wire, [DONE] and error frames included."""
    with server.stream("/v1/chat/completions", streaming(question, **more)) as exchange:
        assert exchange.status == 200, exchange.read().body
        return list(exchange.frames())


def text_of(frames):
    """The content of the first choice in frames as raw_stream() has them."""
    chunks = [frame for frame in frames if frame != "[DONE]" and "error" not in frame]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def assert_honest_error(answer, statuses=(429, 500, 502, 503, 504)):
    """A response that says what went wrong in OpenAI's form."""
    assert answer.status in statuses, (answer.status, answer.body)
    error = json.loads(answer.body)["error"]
    assert error["message"] and error["type"], error
    assert "<html" not in answer.text().lower(), answer.body
    return error
