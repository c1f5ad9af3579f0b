"""GGUF files with random weights, for measuring speed alone.

Their tokenizer and chat template are those of another GGUF file. Written without numpy, so that a
bench needs no further package.
"""

import math
import random
import struct

from support.gguf import ALIGNMENT, ARRAY, STRING, text, value_bytes

FLOAT32, Q8_0 = 0, 8  # types of tensors
_BLOCK, _BLOCK_BYTES = 32, 34  # of Q8_0: a half float, then 32 signed bytes
_BYTE_SIGMA = 73.9  # of bytes that are all equally likely
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


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


def _bytes_of(kind, size):
    count = math.prod(size)
    return count * 4 if kind == FLOAT32 else count // _BLOCK * _BLOCK_BYTES


def _data(dice, kind, size):
    """Norms are one; the rest is random, so that its outputs are about as large as inputs."""
    count = math.prod(size)
    if kind == FLOAT32 and len(size) == 1:
        return struct.pack("<f", 1.0) * count
    sigma = 1 / math.sqrt(size[0])
    if kind == FLOAT32:
        return struct.pack(f"<{count}f", *(dice.gauss(0, sigma) for _ in range(count)))
    blocks = count // _BLOCK
    data = bytearray(blocks * _BLOCK_BYTES)
    scale = struct.pack("<e", sigma / _BYTE_SIGMA)
    data[0::_BLOCK_BYTES] = scale[:1] * blocks
    data[1::_BLOCK_BYTES] = scale[1:] * blocks
    for column in range(2, _BLOCK_BYTES):
        data[column::_BLOCK_BYTES] = dice.randbytes(blocks)
    return bytes(data)


def write(path, tokenizer, facts, tensors, seed=1):
    """Writes a model; `tokenizer` is the GGUF file whose tokenizer it takes. Returns `path`.

    `facts` are pairs of metadata; `tensors`, asked with the size of the vocabulary, gives the name,
    type and sizes of each, the fastest first.
    """
    pairs = dict(_Reader(tokenizer.read_bytes()).pairs())
    kept = {key: value for key, value in pairs.items() if key.startswith("tokenizer.")}
    # Of an array: its type, the type of its values, how many.
    _, _, vocabulary = struct.unpack_from("<IIQ", kept["tokenizer.ggml.tokens"], 0)
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
