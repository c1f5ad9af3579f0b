"""A projector for images with random weights, as a GGUF file: no public one is small enough.

With it the default model sees images without understanding them: its answers mean nothing, but they
depend on each image, its place and its order, which is what the server has to get right. It is a
CLIP encoder of one used layer and LLaVA's two-layer projector: 16 rows for each image of any size.
"""

import argparse
import math
import pathlib
import random
import struct

from support.gguf import ALIGNMENT, ARRAY, FLOAT, text, value_bytes

ROWS = 16  # that an image becomes
SIDE, PATCH = 32, 8  # pixels: an image is brought to this size, and cut into 4 × 4 patches
_WIDTH, _FEED, _HIDDEN, _LAYERS = 32, 64, 64, 2
_TENSOR_FLOAT32 = 0


def _floats(values):
    packed = struct.pack(f"<{len(values)}f", *values)
    return struct.pack("<IIQ", ARRAY, FLOAT, len(values)) + packed


def _facts():
    vision = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": _WIDTH,
        "feed_forward_length": _FEED,
        "block_count": _LAYERS,
        "projection_dim": _WIDTH,
        "attention.head_count": 2,
        "attention.layer_norm_epsilon": 1e-5,
    }
    facts = {
        "general.type": "mmproj",
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
    }
    facts |= {f"clip.vision.{name}": value for name, value in vision.items()}
    facts = {name: value_bytes(value) for name, value in facts.items()}
    facts["clip.vision.image_mean"] = _floats([0.5] * 3)
    facts["clip.vision.image_std"] = _floats([0.5] * 3)
    return facts


def _tensors(embedding):
    """Names and sizes, the fastest first."""
    yield "v.patch_embd.weight", (PATCH, PATCH, 3, _WIDTH)
    yield "v.position_embd.weight", (_WIDTH, ROWS)
    yield "v.pre_ln.weight", (_WIDTH,)
    for layer in range(_LAYERS):
        block = f"v.blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield f"{block}.{name}.weight", (_WIDTH, _WIDTH)
        yield f"{block}.ln1.weight", (_WIDTH,)
        yield f"{block}.ln2.weight", (_WIDTH,)
        yield f"{block}.ffn_up.weight", (_WIDTH, _FEED)
        yield f"{block}.ffn_down.weight", (_FEED, _WIDTH)
    yield "mm.0.weight", (_WIDTH, _HIDDEN)
    yield "mm.0.bias", (_HIDDEN,)
    yield "mm.2.weight", (_HIDDEN, embedding)
    yield "mm.2.bias", (embedding,)


def _values(dice, name, size):
    """Norms are one, and what is multiplied keeps its size; the rows are about as large as the
    model's own embeddings of tokens."""
    count = math.prod(size)
    if name.endswith(("ln.weight", "ln1.weight", "ln2.weight")):
        return [1.0] * count
    if name.endswith("bias"):
        return [0.0] * count
    sigma = 1 / math.sqrt(math.prod(size[:-1]))
    if name == "mm.2.weight":
        sigma *= 0.3
    return [dice.gauss(0, sigma) for _ in range(count)]


def write(path, seed=1, embedding=576):
    """Writes a projector; the default fits SmolLM2-135M. Returns `path`."""
    dice = random.Random(seed)
    tensors = list(_tensors(embedding))
    facts = _facts()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    for key, value in facts.items():
        head += text(key) + value
    offset, data = 0, b""
    for name, size in tensors:
        head += text(name) + struct.pack("<I", len(size))
        head += struct.pack(f"<{len(size)}QIQ", *size, _TENSOR_FLOAT32, offset)
        values = _values(dice, name, size)
        piece = struct.pack(f"<{len(values)}f", *values)
        piece += bytes(-len(piece) % ALIGNMENT)
        data += piece
        offset += len(piece)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--embedding", type=int, default=576, help="width of the text model")
    arguments = parser.parse_args()
    write(arguments.file, arguments.seed, arguments.embedding)
