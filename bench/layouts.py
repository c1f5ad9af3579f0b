"""Weights in layouts of our own beside llama.cpp, built from the same tree, on the same files.

Usage: ./dev bench layouts [-- options]. All through the public API, beside llama-server at its
defaults and tuned, and beside ourselves with engine.layout: as_is; they take turns round by round,
and a figure is the median of the ratios. llama-bench's own numbers are printed too.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import bench_support as bench

from engine import peak, workloads
from engine.compare import CELL_BYTES, Workload, choose, measure, middle, rows_of, say

AS_IS = {"as_is": {"engine.layout": "as_is"}}
SMALL = [
    Workload("prefill", workloads.prefill, "tokens/s", "more", 3.0, "prefill 512"),
    Workload("decode", workloads.decode, "tokens/s", "more", 1.4, "decode, one stream"),
    Workload("streams", workloads.decode_streams, "tokens/s", "more", 1.5, "decode, 16 streams"),
    Workload("common", workloads.common_prefix, "tokens/s", "more", 3.0,
             "16 at once, common prefix of 500 tokens"),
    Workload("own", workloads.own_prompts, "tokens/s", "more", 1.7,
             "16 at once, own prompts of 100 words"),
]


def large(name, words):
    """The rows of a model of about a billion parameters."""
    rows = [
        (f"prefill-{name}", workloads.prefill, 1.3, "prefill 512"),
        (f"decode-{name}", workloads.decode, None, "decode"),
        (f"streams-{name}", workloads.decode_streams, None, "decode, 16 streams"),
    ]
    return [Workload(key, run, "tokens/s", "more", goal, f"{words}, {what}", context=8192)
            for key, run, goal, what in rows]  # fmt: skip


EIGHT = large("1b", "1B Q8_0")
FOUR = large("1b-q4", "1B Q4_K_M")
MIXTURE = [
    Workload("prefill-moe", workloads.prefill, "tokens/s", "more", None,
             "small MoE of DeepSeek's shape, Q8_0, prefill 512"),
    Workload("decode-moe", workloads.decode, "tokens/s", "more", None,
             "small MoE of DeepSeek's shape, Q8_0, decode"),
]  # fmt: skip


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, default=bench.ROOT / "build/release/bin")
    parser.add_argument("--llama-server", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="",
                        help=", ".join(row.name for row in SMALL + EIGHT + FOUR + MIXTURE))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    return parser.parse_args()


def llama_bench(options, words):
    """What llama.cpp's own program measures without any server around it."""
    program = options.llama_server.parent / "llama-bench"
    command = [program, "-m", options.model, "-t", options.threads, "-p", 512, "-n", 128, "-r", 3,
               "-o", "json"]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    found = {"prefill" if row["n_prompt"] else "decode": row["avg_ts"]
             for row in json.loads(done.stdout)}  # fmt: skip
    told = f"prefill {found['prefill']:.0f}, decode {found['decode']:.0f} tokens/s"
    return [(f"{words}: llama-bench, 512 and 128 tokens", told, "", None)]


def compare(options, table, chosen, words):
    wanted = [workload for workload in table if workload.name in chosen]
    if not wanted:
        return []
    rows, speeds = [], {}
    for workload in wanted:
        found = measure(options, workload, AS_IS)
        speeds[workload.run] = middle(found["ours"], workload.figure)
        rows += rows_of(workload, found)
    rows += llama_bench(options, words)
    top = peak.measure(options.bin.resolve(), options.threads)
    work = peak.work_of(options.model)
    return rows + peak.shares(work, top, speeds.get(workloads.prefill),
                              speeds.get(workloads.decode), words)  # fmt: skip


def random_models(maker_llama, maker_mla):
    """Tables of models with random weights: the words for it, how it is written, its cells."""
    eight, four = maker_llama.Shape(), maker_llama.Shape(mixed=True)
    mixture = maker_mla.Shape()
    return [
        (EIGHT, "1B Q8_0", maker_llama, eight),
        (FOUR, "1B Q4_K_M", maker_llama, four),
        (MIXTURE, "MoE", maker_mla, mixture),
    ]


def main():
    options = parse_arguments()
    os.environ["DEEPSEEK_BIN"] = str(options.bin.resolve())
    from support import llama_model, mla_model  # after DEEPSEEK_BIN is set
    from support.models import default_model

    names = [row.name for row in SMALL + EIGHT + FOUR + MIXTURE]
    chosen = choose(options, names)
    if not chosen:
        return 2
    say(f"machine: {bench.machine()}")
    options.model, options.cell_bytes = default_model(), CELL_BYTES
    rows = compare(options, SMALL, chosen, "SmolLM2-135M Q4_1")
    with tempfile.TemporaryDirectory() as folder:
        for table, what, maker, shape in random_models(llama_model, mla_model):
            if not {workload.name for workload in table} & set(chosen):
                continue
            say(f"writing the random weights: {what}")
            path = pathlib.Path(folder) / "random.gguf"
            options.model = maker.write(path, default_model(), shape)
            options.cell_bytes = shape.cell_bytes
            rows += compare(options, table, chosen, what)
    print()
    bench.print_table(rows)
    if options.write:
        command = f"./dev bench layouts -- --rounds {options.rounds}"
        bench.write_section("layouts", command, rows, verdicts=True)
    return 0 if all(row[3] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
