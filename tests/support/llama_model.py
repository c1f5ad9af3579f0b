"""A model of Llama's shape with random weights, for measuring speed alone: about a billion
parameters in Q8_0, or in Q4_K and Q6_K as in files called Q4_K_M."""

import dataclasses

from support import random_model
from support.random_model import FLOAT32, Q4_K, Q6_K, Q8_0


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int = 16
    width: int = 2048
    heads: int = 32
    heads_kv: int = 8
    feed_forward: int = 8192
    context: int = 8192
    mixed: bool = False  # Q4_K_M

    @property
    def head(self):
        return self.width // self.heads

    @property
    def cell_bytes(self):
        """Of one KV cell in f16."""
        return 2 * 2 * self.layers * self.heads_kv * self.head


def _facts(shape):
    own = {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.width,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.heads_kv,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": shape.head,
        "rope.freq_base": 500000.0,
    }
    yield "general.architecture", "llama"
    yield "general.name", "Random weights of Llama's shape"
    yield "general.file_type", 15 if shape.mixed else 7  # mostly Q4_K, medium, or Q8_0
    for key, value in own.items():
        yield f"llama.{key}", value


def _type_of(shape, name, layer):
    """Q4_K_M has six bits where four lose most: in some layers, and what is an output."""
    if not shape.mixed:
        return Q8_0
    eighth = shape.layers // 8
    more = layer < eighth or layer >= shape.layers - eighth or (layer - eighth) % 3 == 2
    return Q6_K if name in ("attn_v", "ffn_down") and more else Q4_K


def _tensors(shape, vocabulary):
    width, kv = shape.width, shape.heads_kv * shape.head
    yield "token_embd", Q6_K if shape.mixed else Q8_0, (width, vocabulary)
    yield "output_norm", FLOAT32, (width,)
    for layer in range(shape.layers):
        sizes = {
            "attn_norm": (width,),
            "attn_q": (width, width),
            "attn_k": (width, kv),
            "attn_v": (width, kv),
            "attn_output": (width, width),
            "ffn_norm": (width,),
            "ffn_gate": (width, shape.feed_forward),
            "ffn_up": (width, shape.feed_forward),
            "ffn_down": (shape.feed_forward, width),
        }
        for name, size in sizes.items():
            kind = FLOAT32 if len(size) == 1 else _type_of(shape, name, layer)
            yield f"blk.{layer}.{name}", kind, size


def write(path, tokenizer, shape=None, seed=1):
    """Writes the model; `tokenizer` is the GGUF file whose tokenizer it takes. Returns `path`."""
    shape = shape or Shape()
    return random_model.write(
        path, tokenizer, _facts(shape), lambda vocabulary: _tensors(shape, vocabulary), seed
    )
