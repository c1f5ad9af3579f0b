"""The engine beside llama-server, built from the same tree, on the same model and cores.

Usage: ./dev bench engine [-- options]. For each workload llama-server runs at its defaults and
tuned for it, and the better of the two is the peer; all take turns round by round, and the
figure is the median of the ratios.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import bench_support as bench

from engine import workloads
from engine.compare import CELL_BYTES, Workload, choose, measure, rows_of, say

STEP_US_MAX = 200
WINDOW_TEXTS = ("docs/decisions/018-who-computes-next.md", "src/engine/README.md", "README.md")
WINDOW_TOKENS = 6000
WINDOW_SHARE = 0.56
WINDOW_SAVED_MIN = 0.44
# Figures of the scheduler itself and of what a model says: not of a model's shape.
NOT_OF_SHAPE = ("steps", "window")
TABLE = [
    Workload("decode", workloads.decode, "tokens/s", "more", 1.0, "one stream, decode"),
    Workload("own", workloads.own_prompts, "tokens/s", "more", 1.0, "16 at once, own prompts"),
    Workload("common", workloads.common_prefix, "tokens/s", "more", 1.6,
             "16 at once, common prefix of 500 tokens"),
    Workload("agents", workloads.agents, "tokens/s", "more", 1.3, "8 agents, 10 turns each",
             context=32768,
             tuned=("-b", "512", "-ub", "256", "--kv-unified", "--cache-ram", "2048")),
    Workload("rate", workloads.highest_rate, "requests/s", "more", 1.5,
             "open loop: highest rate, 95 % in time", tuned=("-b", "128", "-ub", "128",
                                                             "--kv-unified")),
    Workload("long", workloads.long_prompt, "worst gap, s", "less", 1 / 3,
             "worst gap of 4 streams while 6,000 tokens arrive", context=65536,
             sequences=8,
             tuned=("-b", "256", "-ub", "256", "--kv-unified"), goal_defaults=0.1),
    Workload("tenants", workloads.tenants, "first token, s", "less", 0.1,
             "first token of B while A floods"),
    Workload("exhausted", workloads.exhausted, "failed", "less", None,
             "KV exhausted: requests that fail", context=4096,
             tuned=("-b", "512", "--kv-unified")),
    Workload("clients1", workloads.clients(1), "answers/s", "more", None, "one client"),
    Workload("clients4", workloads.clients(4), "answers/s", "more", None, "4 clients"),
    Workload("clients10", workloads.clients(10), "answers/s", "more", None, "10 clients"),
]  # fmt: skip


def scheduler_steps(options):
    """What the scheduler costs per step at 64 sequences, beside the model's work."""
    program = options.bin.resolve() / "scheduler_steps"
    done = subprocess.run([str(program), "64"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    words = f"{told['median_us']:.0f} µs (p99 {told['p99_us']:.0f} µs)"
    passed = told["median_us"] <= STEP_US_MAX
    return [("scheduling per step, 64 sequences", words, f"≤ {STEP_US_MAX} µs", passed)]


def window(options):
    """What an attention window saves, and what it costs in perplexity, on our own words."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        for name in WINDOW_TEXTS:
            file.write((bench.ROOT / name).read_text("utf-8"))
        file.flush()
        program = options.bin.resolve() / "window_perplexity"
        command = [program, options.model, file.name, str(WINDOW_TOKENS), str(WINDOW_SHARE)]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    name = f"attention window, {told['tokens']:,} tokens in {told['cells']:,} cells"
    words = (f"{told['saved'] * 100:.0f} % of the KV memory saved; perplexity "
             f"{told['perplexity']:.2f} → {told['windowed']:.2f}")  # fmt: skip
    return [(name, words, "44 % saved", told["saved"] >= WINDOW_SAVED_MIN)]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, default=bench.ROOT / "build/release/bin")
    parser.add_argument("--llama-server", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, help="GGUF file; default: the small model")
    parser.add_argument("--mla", action="store_true",
                        help="a model of DeepSeek's shape with random weights instead")
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=", ".join(row.name for row in TABLE))
    parser.add_argument("--cell-bytes", type=int, default=CELL_BYTES,
                        help="of one KV cell in f16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    return parser.parse_args()


def main():
    options = parse_arguments()
    os.environ["DEEPSEEK_BIN"] = str(options.bin.resolve())
    from support import mla_model  # after DEEPSEEK_BIN is set
    from support.models import default_model

    options.model = options.model or default_model()
    names = [*(row.name for row in TABLE), *NOT_OF_SHAPE]
    chosen = choose(options, names)
    if not chosen:
        return 2
    say(f"machine: {bench.machine()}")
    if not options.mla:
        return compare(options, chosen, "engine")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "deepseek-shape.gguf"
        options.model = mla_model.write(path, options.model)
        options.cell_bytes = mla_model.Shape().cell_bytes
        return compare(options, [name for name in chosen if name not in NOT_OF_SHAPE], "engine-mla")


def compare(options, chosen, section):
    """Measures the chosen workloads; 0 if no goal was missed."""
    rows = []
    for workload in TABLE:
        if workload.name in chosen:
            rows += rows_of(workload, measure(options, workload))
    if "steps" in chosen:
        rows += scheduler_steps(options)
    if "window" in chosen:
        rows += window(options)
    print()
    bench.print_table(rows)
    if options.write:
        mla = " --mla" if options.mla else ""
        command = f"./dev bench engine -- --rounds {options.rounds}{mla}"
        bench.write_section(section, command, rows, verdicts=True)
    return 0 if all(row[3] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
