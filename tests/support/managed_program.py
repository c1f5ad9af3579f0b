"""A program for a managed backend: a scripted upstream with a worker that left its session.

    python -m support.managed_program NAME PORT PIDS [unwell] [deaf] [brief]

It adds one line to the file PIDS for each of its lives: its own process id and its worker's.
unwell: its health page never says 200. deaf: it takes no notice of SIGTERM. brief: it ends at once.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

from support import upstream_faults as faults
from support.upstream import Upstream
from support.waiting import process_exists, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[1]
_WORKER = "import signal, threading; signal.signal(15, signal.SIG_IGN); threading.Event().wait()"


class Lives:
    """What the program wrote of its lives."""

    def __init__(self, folder):
        self.file = folder / "pids"

    def read(self):
        text = self.file.read_text("utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def wait(self, number):
        """The process ids of the life with this number, from 1."""
        return wait_until(lambda: self.read()[number - 1 :], f"life {number} has begun")[0]

    def wait_all_ended(self):
        pids = [pid for life in self.read() for pid in life.values()]
        assert pids
        wait_until(lambda: not any(map(process_exists, pids)), "nothing of it is left")


def row(folder, name="managed", modes=(), **more):
    """A row of `backends`, and the Lives of its program."""
    lives = Lives(folder)
    command = [sys.executable, "-m", "support.managed_program", name, "{port}"]
    return {
        "name": name,
        "type": "managed",
        "command": [*command, str(lives.file), *modes],
        "environment": {"PYTHONPATH": str(FOLDER)},
        "health_interval": "200ms",
        **more,
    }, lives


def main():
    name, port, pids, *modes = sys.argv[1:]
    worker = subprocess.Popen([sys.executable, "-c", _WORKER], start_new_session=True)
    with open(pids, "a", encoding="utf-8") as file:
        file.write(json.dumps({"program": os.getpid(), "worker": worker.pid}) + "\n")
    if "brief" in modes:
        print("no more devices", file=sys.stderr, flush=True)
        sys.exit(3)
    if "deaf" in modes:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Upstream(name, port=int(port)) as upstream:
        upstream.default.well = "unwell" not in modes
        upstream.behave(faults.answer(pace=0.02))
        print(f"{name} serves " + "x" * 2000, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
