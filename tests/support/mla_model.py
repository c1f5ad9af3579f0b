"""A model of DeepSeek's shape with random weights, for measuring speed alone.

Multi-head latent attention and a mixture of experts as in DeepSeek-V3, small: about 120 million
parameters in Q8_0, of which 50 million work for a token.
"""

import dataclasses

from support import random_model
from support.random_model import FLOAT32, Q8_0

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
    yield "token_embd", Q8_0, (width, vocabulary)
    yield "output_norm", FLOAT32, (width,)
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
            yield f"blk.{layer}.{name}", FLOAT32 if plain else Q8_0, size


def _feed_forward(suffix, size, more=()):
    return {
        f"ffn_gate{suffix}": (*size, *more),
        f"ffn_up{suffix}": (*size, *more),
        f"ffn_down{suffix}": (*reversed(size), *more),
    }


def write(path, tokenizer, shape=None, seed=1):
    """Writes the model; `tokenizer` is the GGUF file whose tokenizer it takes. Returns `path`."""
    shape = shape or Shape()
    return random_model.write(
        path, tokenizer, _facts(shape), lambda vocabulary: _tensors(shape, vocabulary), seed
    )
