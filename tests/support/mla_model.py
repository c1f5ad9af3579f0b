"""A model of DeepSeek's shape with random weights, for measuring speed alone.

Multi-head latent attention and a mixture of experts as in DeepSeek-V3, small: about 120 million
parameters in Q8_0, of which 50 million work for a token. Its tokenizer and chat template are those
of another GGUF file. Written without numpy, so that a bench needs no further package.
"""

import dataclasses
import math
import random
import struct

from support.gguf import ALIGNMENT, ARRAY, STRING, text, value_bytes

_FLOAT32, _Q8_0 = 0, 8  # types of tensors
_BLOCK, _BLOCK_BYTES = 32, 34  # of Q8_0: a half float, then 32 signed bytes
_BYTE_SIGMA = 73.9  # of bytes that are all equally likely
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GATING_SIGMOID = 2


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int = 8
    dense_layers: int = 1
    width: int = 512
    heads: int = 8
    query_rank: int = 256
    latent: int = 256  # what the KV cache keeps of a token, beside the rotary part
    key: int = 64  # of a head, without the rotary part
    rotary: int = 32
    value: int = 64
    dense: int = 1536
    experts: int = 32
    experts_used: int = 4
    expert: int = 256
    context: int = 8192

    @property
    def cell_bytes(self):
        """Of one KV cell in f16: latent attention keeps no values of their own."""
        return 2 * self.layers * (self.latent + self.rotary)


class _Reader:
    """Metadata of a GGUF file, each value as the bytes that stand there."""

    def __init__(self, data):
        magic, version, _, self.count = struct.unpack_from("<4sIQQ", data, 0)
        if magic != b"GGUF" or version < 2:
            raise ValueError("not a GGUF file of version 2 or 3")
        self._data, self._at = data, 24

    def pairs(self):
        for _ in range(self.count):
            key = self._text()
            begin = self._at
            self._skip(self._number("<I"))
            yield key, self._data[begin : self._at]

    def _number(self, form):
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self):
        size = self._number("<Q")
        self._at += size
        return bytes(self._data[self._at - size : self._at]).decode("utf-8", "replace")

    def _skip(self, kind):
        if kind == STRING:
            self._text()
        elif kind == ARRAY:
            inner, count = self._number("<I"), self._number("<Q")
            if inner in _SIZES:
                self._at += count * _SIZES[inner]
            else:
                for _ in range(count):
                    self._skip(inner)
        else:
            self._at += _SIZES[kind]


def _facts(shape):
    own = {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.width,
        "feed_forward_length": shape.dense,
        "leading_dense_block_count": shape.dense_layers,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": 1,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.q_lora_rank": shape.query_rank,
        "attention.kv_lora_rank": shape.latent,
        "attention.key_length": shape.latent + shape.rotary,
        "attention.value_length": shape.latent,
        "attention.key_length_mla": shape.key + shape.rotary,
        "attention.value_length_mla": shape.value,
        "rope.dimension_count": shape.rotary,
        "rope.freq_base": 10000.0,
        "expert_count": shape.experts,
        "expert_used_count": shape.experts_used,
        "expert_shared_count": 1,
        "expert_feed_forward_length": shape.expert,
        "expert_weights_scale": 2.5,
        "expert_weights_norm": True,
        "expert_gating_func": _GATING_SIGMOID,
    }
    yield "general.architecture", "deepseek2"
    yield "general.name", "Random weights of DeepSeek's shape"
    yield "general.file_type", 7  # mostly Q8_0
    for key, value in own.items():
        yield f"deepseek2.{key}", value


def _tensors(shape, vocabulary):
    """Name, type and sizes, the fastest first."""
    width, rows = shape.width, shape.latent + shape.rotary
    yield "token_embd", _Q8_0, (width, vocabulary)
    yield "output_norm", _FLOAT32, (width,)
    for layer in range(shape.layers):
        sizes = {
            "attn_norm": (width,),
            "attn_q_a": (width, shape.query_rank),
            "attn_q_a_norm": (shape.query_rank,),
            "attn_q_b": (shape.query_rank, shape.heads * (shape.key + shape.rotary)),
            "attn_kv_a_mqa": (width, rows),
            "attn_kv_a_norm": (shape.latent,),
            "attn_k_b": (shape.key, shape.latent, shape.heads),
            "attn_v_b": (shape.latent, shape.value, shape.heads),
            "attn_output": (shape.heads * shape.value, width),
            "ffn_norm": (width,),
        }
        if layer < shape.dense_layers:
            sizes |= _feed_forward("", (width, shape.dense))
        else:
            sizes["ffn_gate_inp"] = (width, shape.experts)
            sizes |= _feed_forward("_exps", (width, shape.expert), (shape.experts,))
            sizes |= _feed_forward("_shexp", (width, shape.expert))
        for name, size in sizes.items():
            plain = len(size) == 1 or name == "ffn_gate_inp"
            yield f"blk.{layer}.{name}", _FLOAT32 if plain else _Q8_0, size


def _feed_forward(suffix, size, more=()):
    return {
        f"ffn_gate{suffix}": (*size, *more),
        f"ffn_up{suffix}": (*size, *more),
        f"ffn_down{suffix}": (*reversed(size), *more),
    }


def _bytes_of(kind, size):
    count = math.prod(size)
    return count * 4 if kind == _FLOAT32 else count // _BLOCK * _BLOCK_BYTES


def _data(dice, kind, size):
    """Norms are one; the rest is random, so that its outputs are about as large as inputs."""
    count = math.prod(size)
    if kind == _FLOAT32 and len(size) == 1:
        return struct.pack("<f", 1.0) * count
    sigma = 1 / math.sqrt(size[0])
    if kind == _FLOAT32:
        return struct.pack(f"<{count}f", *(dice.gauss(0, sigma) for _ in range(count)))
    blocks = count // _BLOCK
    data = bytearray(blocks * _BLOCK_BYTES)
    scale = struct.pack("<e", sigma / _BYTE_SIGMA)
    data[0::_BLOCK_BYTES] = scale[:1] * blocks
    data[1::_BLOCK_BYTES] = scale[1:] * blocks
    for column in range(2, _BLOCK_BYTES):
        data[column::_BLOCK_BYTES] = dice.randbytes(blocks)
    return bytes(data)


def write(path, tokenizer, shape=None, seed=1):
    """Writes the model; `tokenizer` is the GGUF file whose tokenizer it takes. Returns `path`."""
    shape = shape or Shape()
    pairs = dict(_Reader(tokenizer.read_bytes()).pairs())
    kept = {key: value for key, value in pairs.items() if key.startswith("tokenizer.")}
    # Of an array: its type, the type of its values, how many.
    _, _, vocabulary = struct.unpack_from("<IIQ", kept["tokenizer.ggml.tokens"], 0)
    facts = {key: value_bytes(value) for key, value in _facts(shape)} | kept
    tensors = list(_tensors(shape, vocabulary))
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)))
    for key, value in facts.items():
        head += text(key) + value
    offset = 0
    for name, kind, size in tensors:
        head += text(f"{name}.weight") + struct.pack("<I", len(size))
        head += struct.pack(f"<{len(size)}QIQ", *size, kind, offset)
        offset += _bytes_of(kind, size) + -_bytes_of(kind, size) % ALIGNMENT
    dice = random.Random(seed)
    with path.open("wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, kind, size in tensors:
            piece = _data(dice, kind, size)
            file.write(piece + bytes(-len(piece) % ALIGNMENT))
    return path
