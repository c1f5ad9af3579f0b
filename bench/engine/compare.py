"""One workload on ours and on llama-server at its defaults and tuned for it, in turns."""

import dataclasses
import statistics

import bench_support as bench

from engine.workloads import WorkloadError

CELL_BYTES = 23040  # of SmolLM2-135M, in f16
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


def say(words):
    print(f"engine: {words}", flush=True)


def choose(options, names):
    """The names that --only asks for, or all; none, told why, if one is unknown."""
    chosen = [name for name in options.only.split(",") if name] or names
    unknown = set(chosen) - set(names)
    if unknown:
        say(f"no such workload: {', '.join(sorted(unknown))}")
        return []
    return chosen


class Ours(bench.OurServer):
    """deepseek-server with one model, a pool of `cells` cells and the keys of two tenants."""

    def __init__(self, options, workload, more=None):
        settings = {
            **(more or {}),
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


def measure(options, workload, variants=None):
    """The figures of each server in each round; `variants` of ours by their settings too."""
    servers = {
        "ours": Ours(options, workload),
        **{name: Ours(options, workload, more) for name, more in (variants or {}).items()},
        "defaults": Peer(options, workload, ()),
        "tuned": Peer(options, workload, workload.tuned),
    }
    found = {name: [] for name in servers}
    try:
        for number in range(options.rounds):
            names = list(servers)
            turn = number % len(names)
            names = names[turn:] + names[:turn]
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
    return found


def middle(rounds, figure):
    values = [figures[figure] for figures in rounds if figure in figures]
    return statistics.median(values) if values else None


def rows_of(workload, found):
    """Rows of the table for one workload, from what measure() found."""
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
        name = f"the long prompt itself: beside {best}"
        rows.append((name, words, "≤ 1.2 × peer", ratio <= 1.2))
    return rows
