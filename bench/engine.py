"""The engine beside llama-server, built from the same tree, on the same model and cores.

Usage: ./dev bench engine [-- options]. For each workload llama-server runs at its defaults and
tuned for it, and the better of the two is the peer; all take turns round by round, and the
figure is the median of the ratios.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import bench_support as bench

from engine import workloads
from engine.workloads import WorkloadError

STEP_US_MAX = 200
WINDOW_TEXTS = ("docs/decisions/018-who-computes-next.md", "src/engine/README.md", "README.md")
WINDOW_TOKENS = 6000
WINDOW_SHARE = 0.56
WINDOW_SAVED_MIN = 0.44
CELL_BYTES = 23040  # of SmolLM2-135M
# Figures of the scheduler itself and of what a model says: not of a model's shape.
NOT_OF_SHAPE = ("steps", "window")
KEYS = ("sk-bench-a-0001", "sk-bench-b-0001")


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    run: object
    figure: str  # of what run() returns
    better: str  # "more" or "less"
    goal: float | None  # of ours beside the peer
    words: str
    context: int = 16384  # cells
    sequences: int = 16
    tuned: tuple = ("-b", "512", "-ub", "256", "--kv-unified")
    context_max: int = 0
    goal_defaults: float | None = None  # beside llama-server at its defaults


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


def say(words):
    print(f"engine: {words}", flush=True)


class Ours(bench.OurServer):
    """deepseek-server with one model, a pool of `cells` cells and the keys of two tenants."""

    def __init__(self, options, workload):
        settings = {
            "models[0].path": options.model,
            "memory.max_cache_size": f"{options.cell_bytes * workload.context}B",
            "engine.sequences_max": workload.sequences,
            "engine.priority_queue_size": 1000,
        }
        if workload.context_max or workload.context < 8192:
            settings["models[0].context_max"] = workload.context_max or workload.context
        for index, key in enumerate(KEYS if workload.name == "tenants" else ()):
            settings[f"access.keys[{index}].key"] = key
            settings[f"access.keys[{index}].tenant"] = f"tenant-{index}"
        self.keys = KEYS if workload.name == "tenants" else (None, None)
        super().__init__(options.bin.resolve(), options.threads, **settings)
        self.wait_ready()


class Peer(bench.LlamaServer):
    keys = (None, None)

    def __init__(self, options, workload, flags):
        super().__init__(options.llama_server, options.model, options.threads,
                         workload.sequences, workload.context, flags)  # fmt: skip


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


def measure(options, workload):
    """Rows of the table for one workload."""
    servers = {
        "ours": Ours(options, workload),
        "defaults": Peer(options, workload, ()),
        "tuned": Peer(options, workload, workload.tuned),
    }
    found = {name: [] for name in servers}
    try:
        for number in range(options.rounds):
            names = list(servers)
            names = names[number % 3 :] + names[: number % 3]
            for name in names:
                seed = options.seed * 1000 + number * 10 + names.index(name)
                try:
                    figures = workload.run(servers[name], seed)
                except WorkloadError as error:
                    say(f"{workload.name}: {name} failed: {error}")
                    figures = {}
                found[name].append(figures)
                told = ", ".join(f"{value:.3g} {key}" for key, value in figures.items())
                say(f"{workload.name}, round {number + 1}: {name} {told}")
    finally:
        for server in servers.values():
            server.stop()
    return rows_of(workload, found)


def middle(rounds, figure):
    values = [figures[figure] for figures in rounds if figure in figures]
    return statistics.median(values) if values else None


def rows_of(workload, found):
    figure = workload.figure
    middles = {name: middle(rounds, figure) for name, rounds in found.items()}
    shown = "; ".join(
        f"{name} {value:.3g}" if value is not None else f"{name} failed"
        for name, value in middles.items()
    )
    rows = [(workload.words, f"{shown} {figure}", "", None)]
    choose = max if workload.better == "more" else min
    peers = [name for name in ("defaults", "tuned") if middles[name] is not None]
    if figure == "failed":
        ours = middles["ours"]
        rows.append((f"{workload.words}: ours", f"{ours:.0f}", "0", ours == 0))
        return rows
    if not peers or middles["ours"] is None:
        return rows
    best = choose(peers, key=lambda name: middles[name])
    compared = [(best, workload.goal)]
    if workload.goal_defaults is not None and middles["defaults"] is not None:
        compared.append(("defaults", workload.goal_defaults))
    for peer, goal in compared:
        ratios = [
            ours[figure] / its[figure]
            for ours, its in zip(found["ours"], found[peer], strict=True)
            if figure in ours and figure in its
        ]
        ratio, words = bench.spread(ratios)
        passed, target = None, ""
        if goal is not None:
            passed = ratio >= goal if workload.better == "more" else ratio <= goal
            target = f"{'≥' if workload.better == 'more' else '≤'} {goal:.2g} × peer"
        rows.append((f"{workload.words}: beside {peer}", words, target, passed))
    if workload.name == "long":
        ratios = [o["long prompt, s"] / p["long prompt, s"]
                  for o, p in zip(found["ours"], found[best], strict=True) if o and p]  # fmt: skip
        ratio, words = bench.spread(ratios)
        rows.append((f"the long prompt itself: beside {best}", words, "≤ 1.2 × peer", ratio <= 1.2))
    return rows


def main():
    options = parse_arguments()
    os.environ["DEEPSEEK_BIN"] = str(options.bin.resolve())
    from support import mla_model  # after DEEPSEEK_BIN is set
    from support.models import default_model

    options.model = options.model or default_model()
    names = [*(row.name for row in TABLE), *NOT_OF_SHAPE]
    chosen = [name for name in options.only.split(",") if name] or names
    unknown = set(chosen) - set(names)
    if unknown:
        say(f"no such workload: {', '.join(sorted(unknown))}")
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
            rows += measure(options, workload)
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
