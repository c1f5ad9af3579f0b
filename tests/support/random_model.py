"""GGUF files with random weights, for measuring speed alone.

Their tokenizer and chat template are those of another GGUF file. Written without numpy, so that a
bench needs no further package.
"""

import dataclasses
import math
import random
import struct

from support.gguf import ALIGNMENT, text, value_bytes
from support.gguf_read import Header

FLOAT32, Q8_0, Q4_K, Q6_K = 0, 8, 12, 14  # types of tensors


@dataclasses.dataclass(frozen=True)
class _Block:
    """How a type keeps its weights, where all but the scales in half precision is random bytes."""

    weights: int
    bytes: int
    sigma: float  # of the weights where the first scale is 1
    halves: dict  # the place of each scale, and how large it is beside the first


_BLOCKS = {
    Q8_0: _Block(32, 34, 73.9, {0: 1}),
    # Minimums of six bits, taken off 7.5 times, put the mean of four bits times six at zero.
    Q4_K: _Block(256, 144, 257, {0: 1, 2: 7.5}),
    Q6_K: _Block(256, 210, 1367, {208: 1}),
}


def _bytes_of(kind, size):
    count = math.prod(size)
    return count * 4 if kind == FLOAT32 else count // _BLOCKS[kind].weights * _BLOCKS[kind].bytes


def _data(dice, kind, size):
    """Norms are one; the rest is random, so that its outputs are about as large as inputs."""
    count = math.prod(size)
    if kind == FLOAT32 and len(size) == 1:
        return struct.pack("<f", 1.0) * count
    sigma = 1 / math.sqrt(size[0])
    if kind == FLOAT32:
        return struct.pack(f"<{count}f", *(dice.gauss(0, sigma) for _ in range(count)))
    block = _BLOCKS[kind]
    blocks = count // block.weights
    data = bytearray(dice.randbytes(blocks * block.bytes))
    for place, times in block.halves.items():
        half = struct.pack("<e", sigma / block.sigma * times)
        data[place :: block.bytes] = half[:1] * blocks
        data[place + 1 :: block.bytes] = half[1:] * blocks
    return bytes(data)


def write(path, tokenizer, facts, tensors, seed=1):
    """Writes a model; `tokenizer` is the GGUF file whose tokenizer it takes. Returns `path`.

    `facts` are pairs of metadata; `tensors`, asked with the size of the vocabulary, gives the name,
    type and sizes of each, the fastest first.
    """
    header = Header(tokenizer)
    kept = {key: value for key, value in header.raw.items() if key.startswith("tokenizer.")}
    vocabulary = header.facts["tokenizer.ggml.tokens"]
    facts = {key: value_bytes(value) for key, value in facts} | kept
    tensors = list(tensors(vocabulary))
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
