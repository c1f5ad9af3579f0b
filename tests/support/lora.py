"""Writes a LoRA adapter for a llama model as a GGUF file, with values from a seed."""

import random
import struct

from support.gguf import ALIGNMENT, text, value_bytes

_TENSOR_FLOAT32 = 0


def _tensors(layers, embedding, values, rank):
    for layer in range(layers):
        for name, rows in (("attn_q", embedding), ("attn_v", values)):
            yield f"blk.{layer}.{name}.weight.lora_a", (embedding, rank)
            yield f"blk.{layer}.{name}.weight.lora_b", (rank, rows)


def write(path, seed, layers=30, embedding=576, values=192, rank=4, size=0.05):
    """The defaults fit SmolLM2-135M; `size`: how far its values lie from 0."""
    dice = random.Random(seed)
    facts = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
    }
    tensors = list(_tensors(layers, embedding, values, rank))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    for key, value in facts.items():
        head += text(key) + value_bytes(value)
    offset, data = 0, b""
    for name, (columns, rows) in tensors:
        head += text(name) + struct.pack("<IQQIQ", 2, columns, rows, _TENSOR_FLOAT32, offset)
        piece = struct.pack(
            f"<{columns * rows}f", *(dice.gauss(0, size) for _ in range(columns * rows))
        )
        piece += bytes(-len(piece) % ALIGNMENT)
        data += piece
        offset += len(piece)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path
