"""Which share of what the machine can do at most a model's speed is."""

import dataclasses
import json
import math
import subprocess

from support.gguf_read import Header

_EXPERTS = "_exps."


@dataclasses.dataclass(frozen=True)
class Work:
    """What the matrices of a model cost for a token; attention and the rest are not counted."""

    products: float  # multiplications, without the output, which only a prompt's last token needs
    read: float  # bytes, with the output


def work_of(path):
    header = Header(path)
    architecture = header.facts["general.architecture"]
    experts = header.facts.get(f"{architecture}.expert_count", 0)
    used = header.facts.get(f"{architecture}.expert_used_count", 0)
    products = read = 0
    for tensor in header.tensors:
        share = used / experts if _EXPERTS in tensor.name else 1
        if tensor.name.startswith("blk.") and len(tensor.sizes) > 1:
            products += math.prod(tensor.sizes) * share
            read += tensor.bytes * share
    names = {tensor.name: tensor for tensor in header.tensors}
    output = names.get("output.weight") or names["token_embd.weight"]
    return Work(products, read + output.bytes)


@dataclasses.dataclass(frozen=True)
class Peak:
    products_per_s: float
    read_bytes_per_s: float


def measure(programs, threads):
    done = subprocess.run([str(programs / "machine_peak"), str(threads)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    return Peak(**json.loads(done.stdout))


def shares(work, peak, prefill, decode, words):
    """Rows of the table; speeds in tokens/s, None if not measured."""
    rows = []
    if prefill is not None:
        share = prefill * work.products / peak.products_per_s
        told = (f"{share * 100:.0f} % of {peak.products_per_s / 1e9:.0f} billion "
                "multiplications a second")  # fmt: skip
        rows.append((f"{words}: share of the int8 peak in prefill", told, "", None))
    if decode is not None:
        share = decode * work.read / peak.read_bytes_per_s
        told = f"{share * 100:.0f} % of {peak.read_bytes_per_s / 1e9:.1f} GB/s"
        rows.append((f"{words}: share of the memory bandwidth in decode", told, "", None))
    return rows
