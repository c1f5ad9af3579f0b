"""What the benchmarks share: two kinds of servers, one way to measure them, one table."""

import json
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import http  # noqa: E402
from support.server import Server, _die_with_parent  # noqa: E402
from support.waiting import wait_until  # noqa: E402


MARKS = {True: "ok", False: "MISSED", None: ""}


class OurServer(Server):
    """deepseek-server from the folder `folder`, with `threads` threads that generate."""

    def __init__(self, folder, threads, **settings):
        chosen = {"engine.threads": threads, **settings}
        super().__init__(settings=chosen, folder=folder, wait="listening")


class LlamaServer:
    """llama-server on a port that the system chooses."""

    def __init__(self, program, model, threads, sequences=1, context=8192, flags=()):
        self.process = subprocess.Popen(
            [
                str(program),
                "-m",
                str(model),
                "-t",
                str(threads),
                "-np",
                str(sequences),
                "-c",
                str(context),
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--log-prefix",
                *flags,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        self.url = None
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self.url or self.process.poll() is not None, "llama-server listens")
        if self.url is None:
            raise RuntimeError("llama-server ended:\n" + "\n".join(self.lines[-20:]))
        wait_until(
            lambda: http.request(self.url, "GET", "/health").status == 200, "llama-server is ready"
        )

    def _read(self):
        for line in self.process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            self.lines.append(text)
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", text)
            if found:
                self.url = found.group(1)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def decode_rate(url, tokens, prompt="Write a long story about the sea.\n"):
    """Tokens per second after the first one, as a streaming client sees it."""
    body = {
        "prompt": prompt,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    first = last = None
    frames = 0
    with http.open_stream(url, "/v1/completions", body) as stream:
        for frame in stream.frames():
            if frame == "[DONE]" or not frame.get("choices"):
                continue
            if frame["choices"][0].get("text"):
                last = time.perf_counter()
                first = first or last
                frames += 1
    if frames < tokens // 2:
        raise RuntimeError(f"{url} sent {frames} frames for {tokens} tokens")
    return (tokens - 1) / (last - first)


def queries_per_second(url, concurrent, each, tokens=64):
    """`concurrent` clients send `each` requests one after another; answers per second."""
    errors = []

    def client(number):
        for turn in range(each):
            body = {
                "messages": [{"role": "user", "content": f"Say something about {number}-{turn}."}],
                "max_tokens": tokens,
                "ignore_eos": True,
                "temperature": 0,
            }
            answer = http.request(url, "POST", "/v1/chat/completions", body=body)
            if answer.status != 200:
                errors.append(answer.status)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(concurrent)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    return concurrent * each / seconds, len(errors)


def spread(values):
    """Median, and the range of all values, as text and number."""
    middle = statistics.median(values)
    return middle, f"{middle:.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} rounds)"


def machine():
    """One line about where the numbers come from."""
    name = platform.processor() or platform.machine()
    cores = 0
    for line in pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            cores += 1
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return f"{name}, {cores or '?'} cores, {memory / 2**20:.0f} GiB, Linux {platform.release()}"


def print_table(rows):
    """rows: (figure, measured, target, passed or None)."""
    header = ("figure", "measured", "target", "")
    cells = [header] + [(*row[:3], MARKS[row[3]]) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    for row in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def write_section(name, command, rows, notes="", verdicts=False):
    """Replaces the section `name` of docs/benchmarks.md; `verdicts` adds a column for them."""
    path = ROOT / "docs/benchmarks.md"
    text = path.read_text("utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    lines = [
        begin,
        "",
        f"Machine: {machine()}. Date: {time.strftime('%Y-%m-%d')}. Command: `{command}`.",
        *([notes] if notes else []),
        "",
        "| figure | measured | target |" + (" |" if verdicts else ""),
        "|---|---|---|" + ("---|" if verdicts else ""),
        *(
            f"| {figure} | {measured} | {target} |" + (f" {MARKS[passed]} |" if verdicts else "")
            for figure, measured, target, passed in rows
        ),
        "",
        end,
    ]
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(before + "\n".join(lines) + after, "utf-8")


def write_json(path, rows):
    pathlib.Path(path).write_text(
        json.dumps(
            [
                {"figure": row[0], "measured": row[1], "target": row[2], "passed": row[3]}
                for row in rows
            ],
            indent=1,
        ),
        "utf-8",
    )
