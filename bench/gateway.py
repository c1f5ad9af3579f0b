"""The gateway beside nginx, HAProxy, Envoy, Portkey and LiteLLM, in front of one canned upstream.

Usage: ./dev bench gateway [-- options]. The proxies take turns on one core, the load and the
upstream have another; every figure is a ratio of one run, with its range over the rounds.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import tempfile

import bench_support

from gateway import measures, measures_own, peers, processes
from gateway.figures import Row
from gateway.peers_install import Missing
from gateway.traffic import BenchError, Place

ROOT = bench_support.ROOT
MEASURES = {
    "throughput": measures.throughput,
    "latency": measures.latency,
    "rate": measures.rate,
    "streams": measures.streams,
    "prompts": measures.prompts,
    "weighted": measures.weighted,
    "slow": measures.slow_peers,
    "memory": measures_own.memory,
    "failover": measures_own.failover,
    "cache": measures_own.cache,
}
ALIASES = {"rps": "throughput", "cpu": "throughput"}
OURS_ONLY = ("memory", "failover", "cache")
BUSY_LOAD = 0.7  # of one minute; what ran just before us counts too
FAST = {"nginx": peers.nginx, "haproxy": peers.haproxy, "envoy": peers.envoy}
SLOW = {"portkey": peers.portkey, "litellm": peers.litellm}


def say(words):
    print(f"gateway: {words}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, default=None, help="folder with our programs")
    parser.add_argument("--only", default="", help=f"some of: rps, cpu, {', '.join(MEASURES)}")
    parser.add_argument("--peers", default=",".join([*FAST, *SLOW]), help="who is beside us")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one run in a round")
    parser.add_argument("--soak", type=float, default=1.0, metavar="MINUTES", help="of load")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    parser.add_argument("--without-ours", action="store_true", help="the peers alone")
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.7
        options.soak = min(options.soak, 0.2)
    options.bin = options.bin or pathlib.Path(
        os.environ.get("DEEPSEEK_BIN", ROOT / "build/release/bin")
    )
    chosen = [ALIASES.get(name, name) for name in options.only.split(",") if name]
    unknown = set(chosen) - set(MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}")
    options.only = [name for name in MEASURES if name in chosen or not chosen]
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = set(options.peers) - {*FAST, *SLOW}
    if unknown:
        parser.error(f"no peer {', '.join(sorted(unknown))}")
    return options


def start_targets(bench, options, with_ours, slow):
    """Starts whom the chosen measures need; says who is missing and why."""
    wanted = SLOW if slow else FAST
    for name, make in wanted.items():
        if name not in options.peers:
            continue
        try:
            bench.targets[name] = make(bench.place, [bench.upstream.port])
            say(f"{name} runs")
        except Missing as error:
            say(f"{name} is left out: {error}")
    if with_ours and "ours" not in bench.targets:
        bench.targets["ours"] = peers.ours(bench.place, [bench.upstream.port])
        say("ours runs")


def stop_targets(bench, names):
    for name in names:
        if name in bench.targets:
            bench.targets.pop(name).stop()


def measure_all(bench, options, with_ours, why):
    rows = []
    running = None
    for name in options.only:
        if name in OURS_ONLY and not with_ours:
            rows.append(Row(name, f"skipped: {why}"))
            continue
        kind = "own" if name in OURS_ONLY else "slow" if name == "slow" else "fast"
        if kind != running:
            if kind == "own":
                stop_targets(bench, list(bench.targets))
            else:
                stop_targets(bench, FAST if kind == "slow" else SLOW)
                start_targets(bench, options, with_ours, kind == "slow")
            running = kind
        say(f"measuring: {name}")
        try:
            found = MEASURES[name](bench)
        except BenchError as error:
            found = [Row(name, f"failed: {error}", "", False)]
        for row in found:
            say(f"  {row.figure}: {row.measured}")
        rows += found
    return rows


def command_line(options):
    words = ["--write"] if options.write else []
    words += [f"--soak {options.soak:g}"] if options.soak != 1 else []
    words += [f"--only {','.join(options.only)}"] if len(options.only) < len(MEASURES) else []
    return "./dev bench gateway" + (f" -- {' '.join(words)}" if words else "")


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what we started is stopped on the way
    cores = processes.Cores()
    processes.raise_file_limit()
    say(f"machine: {bench_support.machine()}; {cores}")
    say(f"peers: {peers.versions()}")
    if os.getloadavg()[0] > BUSY_LOAD:
        say("other programs are busy on this machine: these numbers are not for the table")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        place = Place(options.bin.resolve(), cores, folder)
        why = "--without-ours" if options.without_ours else peers.why_not_ours(place)
        if why:
            say(f"ours is left out: {why}")
        bench = measures.Bench(place, options, say)
        try:
            rows = measure_all(bench, options, not why, why)
        finally:
            bench.stop()
    cells = [row.cells() for row in rows]
    print()
    bench_support.print_table(cells)
    print(json.dumps({row.figure: row.measured for row in rows}, ensure_ascii=False))
    if options.write:
        notes = f"{str(cores).capitalize()}. Peers: {peers.versions()}."
        bench_support.write_section("gateway", command_line(options), cells, notes, verdicts=True)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
