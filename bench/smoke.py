"""The figures that every change must keep: start, memory, speed, rebuild, tests.

Usage: ./dev bench smoke [-- options]. Ours and llama-server run on the same machine, with the same
model, threads and context, and take turns round by round; the figure is the median of the ratios.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import bench_support as bench

from support.server import ROOT, rss_bytes

FIRST_ANSWER_SECONDS_MAX = 5.0
RSS_MB_MAX = 350
DECODE_RATIO_MIN = 0.95
REBUILD_SECONDS_MAX = 20
FAST_TESTS_SECONDS_MAX = 60
CELLS_INCLUDED = 8192  # the KV pool up to here belongs to the memory figure
REBUILT_FILE = "src/frontend/answer_session.cpp"
MEGABYTE = 1024 * 1024


def say(words):
    print(f"smoke: {words}", flush=True)


def first_answer(folder, threads, model):
    """Seconds from the start of the process to the whole first answer; and the running server."""
    start = time.perf_counter()
    server = bench.OurServer(folder, threads, **{"models[0].path": model})
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}

    def answered():
        return server.post("/v1/chat/completions", body).status == 200

    bench.wait_until(answered, "the first answer")
    seconds = time.perf_counter() - start
    passed = seconds <= FIRST_ANSWER_SECONDS_MAX
    row = (
        "first answer after start",
        f"{seconds:.2f} s",
        f"≤ {FIRST_ANSWER_SECONDS_MAX:g} s",
        passed,
    )
    return row, server


def memory(server):
    """Resident memory after a long prompt, without the KV pool beyond 8,192 cells and repacking."""
    body = {"prompt": "hello " * 4000, "max_tokens": 8}
    bench.http.request(server.url, "POST", "/v1/completions", body=body, timeout=600)
    total = sum(rss_bytes(pid) for pid in [server.pid, *server.children()])
    told = server.wait_for_log(
        lambda entry: entry.get("room") == "engine" and entry.get("message") == "ready",
        "the engine's line about its memory",
    )
    cells, kv_bytes, repacked = (int(told[key]) for key in ("cells", "kv_bytes", "repacked_bytes"))
    beyond = kv_bytes * max(0.0, 1 - CELLS_INCLUDED / cells) if cells else 0.0
    own = total - beyond - repacked
    return [
        ("memory of all processes (RSS)", f"{total / MEGABYTE:.0f} MB", "", None),
        (f"KV pool beyond {CELLS_INCLUDED:,} cells", f"{beyond / MEGABYTE:.0f} MB", "", None),
        ("repacked weights", f"{repacked / MEGABYTE:.0f} MB", "", None),
        (
            "memory without those two",
            f"{own / MEGABYTE:.0f} MB",
            f"≤ {RSS_MB_MAX} MB",
            own <= RSS_MB_MAX * MEGABYTE,
        ),
    ]


def decode_ratio(ours, arguments, model):
    """Single-stream decode beside llama-server, taking turns."""
    with bench.LlamaServer(arguments.llama_server, model, arguments.threads) as theirs:
        bench.decode_rate(ours.url, 32)
        bench.decode_rate(theirs.url, 32)
        mine, other, ratios = [], [], []
        for number in range(arguments.rounds):
            pair = [(ours.url, mine), (theirs.url, other)]
            for url, rates in pair if number % 2 == 0 else reversed(pair):
                rates.append(bench.decode_rate(url, arguments.tokens))
            ratios.append(mine[-1] / other[-1])
            say(f"round {number + 1}: ours {mine[-1]:.1f}, llama-server {other[-1]:.1f} tokens/s")
    middle, words = bench.spread(ratios)
    return [
        (
            "decode, one stream",
            f"{statistics.median(mine):.0f} tokens/s; llama-server {statistics.median(other):.0f}",
            "",
            None,
        ),
        ("decode beside llama-server", words, f"≥ {DECODE_RATIO_MIN}", middle >= DECODE_RATIO_MIN),
    ]


def throughput(server, rounds):
    """Answers per second of 4 and 10 clients beside one."""
    rows, errors = [], 0
    rates = {1: [], 4: [], 10: []}
    for _ in range(rounds):
        for clients, found in rates.items():
            rate, failed = bench.queries_per_second(server.url, clients, max(2, 8 // clients))
            found.append(rate)
            errors += failed
    single = statistics.median(rates[1])
    rows.append(("answers per second, one client", f"{single:.2f}", "", None))
    for clients in (4, 10):
        _, words = bench.spread(
            [many / one for many, one in zip(rates[clients], rates[1], strict=True)]
        )
        rows.append((f"{clients} clients beside one", words, "", None))
    rows.append(("errors meanwhile", str(errors), "0", errors == 0))
    return rows


def rebuild(build_folder):
    """Seconds to compile one changed file and link what needs it; ccache may not help."""
    changed = ROOT / REBUILT_FILE
    ninja = ["ninja", "-C", str(build_folder), "deepseek-server"]
    subprocess.run(ninja, check=True, stdout=subprocess.DEVNULL)
    os.utime(changed)
    start = time.perf_counter()
    subprocess.run(
        ninja, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "CCACHE_RECACHE": "1"}
    )
    seconds = time.perf_counter() - start
    return (
        f"rebuild after changing {changed.name}",
        f"{seconds:.1f} s",
        f"≤ {REBUILD_SECONDS_MAX} s",
        seconds <= REBUILD_SECONDS_MAX,
    )


def fast_tests():
    """Seconds of ./dev test --fast when everything is built."""
    command = [str(ROOT / "dev"), "test", "--fast"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    seconds = time.perf_counter() - start
    return (
        "fast tests",
        f"{seconds:.0f} s",
        f"≤ {FAST_TESTS_SECONDS_MAX} s",
        seconds <= FAST_TESTS_SECONDS_MAX,
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--bin",
        type=pathlib.Path,
        default=ROOT / "build/release/bin",
        help="folder with our programs",
    )
    parser.add_argument(
        "--llama-server", type=pathlib.Path, help="llama-server built from the same llama.cpp tree"
    )
    parser.add_argument("--model", type=pathlib.Path, help="GGUF file for llama-server")
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=192, help="tokens in a decode round")
    parser.add_argument("--skip-build", action="store_true", help="no rebuild and no tests")
    parser.add_argument("--write", action="store_true", help="put the table in docs/benchmarks.md")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    folder = arguments.bin.resolve()
    os.environ["DEEPSEEK_BIN"] = str(folder)
    from support.models import default_model  # after DEEPSEEK_BIN is set

    model = arguments.model or default_model()
    rows = []
    say(f"machine: {bench.machine()}")
    row, server = first_answer(folder, arguments.threads, model)
    rows.append(row)
    try:
        rows += memory(server)
        say("memory done")
        if arguments.llama_server:
            rows += decode_ratio(server, arguments, model)
        else:
            say("no --llama-server: the decode ratio is left out")
        rows += throughput(server, max(1, arguments.rounds // 2))
    finally:
        server.stop()
        server.kill()
    if not arguments.skip_build:
        rows.append(rebuild(folder.parent))
        rows.append(fast_tests())
    print()
    bench.print_table(rows)
    print(json.dumps({row[0]: row[1] for row in rows}, ensure_ascii=False))
    if arguments.write:
        bench.write_section("smoke", "./dev bench smoke", rows)
    return 0 if all(row[3] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
