"""Processes of a benchmark: pinned to a core, measured with their children, ended by their ids."""

import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import socket
import subprocess

from support.server import rss_bytes
from support.waiting import process_exists, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Cores:
    """Which core is whose. With two, the load and the upstream share the one without the proxy."""

    def __init__(self):
        allowed = sorted(os.sched_getaffinity(0))
        chosen = self._one_per_pair(allowed)
        if len(chosen) < 2:
            chosen = allowed
        self.proxy = chosen[0]
        self.upstream = chosen[1 % len(chosen)]
        self.load = chosen[2] if len(chosen) > 2 else self.upstream

    @staticmethod
    def _one_per_pair(allowed):
        """One of the hardware threads of each physical core."""
        seen, found = set(), []
        for core in allowed:
            path = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
            siblings = path.read_text("ascii").strip() if path.exists() else str(core)
            if siblings not in seen:
                seen.add(siblings)
                found.append(core)
        return found

    def __str__(self):
        return f"proxy on core {self.proxy}, upstream on {self.upstream}, load on {self.load}"


@contextlib.contextmanager
def on_core(core):
    """What is started inside runs on `core` and nowhere else, with all that it starts itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit():
    """Hundreds of streams need two sockets each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port():
    """A port that nobody uses now. For programs that cannot be asked for the port they chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_parent():
    """For preexec_fn. SIGTERM and not SIGKILL: nginx must take its worker along."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, core, log, environment=None, cwd=None):
    """A process on `core` that ends with us; what it says goes to the file `log`."""
    with on_core(core), open(log, "wb") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            preexec_fn=end_with_parent,
        )


def tree(pid):
    """The process and all below it that live."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        if not process_exists(one):
            continue
        found.append(one)
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                todo += map(int, task.read_text("ascii").split())
    return found


def cpu_seconds(pid):
    """CPU time of the process, its threads, its living children and those it waited for."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{one}/stat").read_text("utf-8", errors="replace")
            total += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return total / TICKS


def memory_bytes(pid):
    """Resident memory of the process and all below it."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            total += rss_bytes(one)
    return total


def stop(process):
    """SIGTERM, then SIGKILL for what is left of the tree."""
    pids = tree(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    kill(process, pids)


def kill(process, pids=()):
    for pid in {process.pid, *pids} if process.poll() is None else pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
    for pid in pids:
        wait_until(lambda pid=pid: not process_exists(pid), f"process {pid} has ended")
