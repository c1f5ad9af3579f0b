"""Prompts are what Python's jinja2 makes of the templates that llama.cpp ships for DeepSeek."""

import datetime
import json

import jinja2.sandbox
import pytest

from support import cached, deepseek_vocabulary
from support.waiting import wait_until

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
TURN = [{"role": "user", "content": "How are you?"}]
CHATS = {
    "one question": TURN,
    "with a system message": [{"role": "system", "content": "Be brief.\nBe kind."}, *TURN],
    "several turns": [
        *TURN,
        {"role": "assistant", "content": "Well, thanks."},
        {"role": "user", "content": "你好，世界 🙂"},
    ],
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]


def folder():
    return cached.find("DEEPSEEK_CHAT_TEMPLATES", "llama-source-*/models/templates", "templates")


def templates():
    return {path.stem: path.read_text("utf-8") for path in sorted(folder().glob("*eep[sS]eek*"))}


def by_jinja2(template, messages, thinking, tools=None):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **more: json.dumps(
        value, ensure_ascii=False, **more
    )

    def raise_exception(message):
        raise jinja2.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return environment.from_string(template).render(
        messages=messages,
        add_generation_prompt=True,
        bos_token=BOS,
        eos_token=EOS,
        thinking=thinking,
        enable_thinking=thinking,
        **({"tools": tools} if tools else {}),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("templates")
    return {
        name.lower(): deepseek_vocabulary.write_model(place / f"{name}.gguf", template)
        for name, template in templates().items()
    }


@pytest.fixture
def server(start_server, tmp_path, models):
    file = tmp_path / "templates.json"
    rows = [
        {"name": name, "path": str(path), "context_max": 1024, "preload": False}
        for name, path in models.items()
    ]
    file.write_text(json.dumps({"models": rows}), "utf-8")
    return start_server("--config", file)


def prompt_of(server, model, messages, thinking, **more):
    asked = {"model": model, "messages": messages, **more}
    asked["thinking"] = {"type": "enabled" if thinking else "disabled"}
    answers = []

    def answered():  # the model loads with its first request
        answers.append(server.post("/v1/tokenize", asked))
        return answers[-1].status != 503

    wait_until(answered, f"{model} is loaded")
    tokens = answers[-1]
    assert tokens.status == 200, tokens.text()
    back = {"model": model, "tokens": tokens.json()["tokens"]}
    return server.post("/v1/detokenize", back).json()["prompt"]


@pytest.mark.timeout(600)
def test_prompts_are_those_of_jinja2(server):
    known = templates()
    assert len(known) >= 6
    wrong = []
    for name, template in known.items():
        for chat, messages in CHATS.items():
            for thinking in (False, True):
                ours = prompt_of(server, name.lower(), messages, thinking)
                theirs = by_jinja2(template, messages, thinking)
                if ours != theirs:
                    wrong.append((name, chat, thinking, ours, theirs))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.timeout(600)
def test_tools_stand_in_prompts_as_jinja2_writes_them(server):
    """Where a template shows tools by itself."""
    shown = [name for name, template in templates().items() if "tools" in template and "V" in name]
    assert len(shown) >= 3
    wrong = []
    for name in shown:
        ours = prompt_of(server, name.lower(), TURN, False, tools=TOOLS)
        theirs = by_jinja2(templates()[name], TURN, False, TOOLS)
        if ours != theirs:
            wrong.append((name, ours, theirs))
    assert not wrong, "\n".join(map(str, wrong))
