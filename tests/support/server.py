"""A running deepseek-server: the real program on ports that the system chooses.

Nothing is left behind: the server dies with the test process, and the engine with the server.
"""

import atexit
import ctypes
import functools
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

from support import http, kernels
from support.metrics import Metrics
from support.waiting import PATIENCE_SECONDS, process_exists, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
# One thread per engine: where tests share few cores, two would wait for each other.
# For tests of memory: what AddressSanitizer holds back of freed memory looks like growth.
NO_QUARANTINE = {"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
BASE_SETTINGS = {"metrics.port": "0", "log.format": "json", "engine.threads": "1"}
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def programs():
    """The folder that holds the programs under test."""
    folder = pathlib.Path(os.environ.get("DEEPSEEK_BIN", "build/dev/bin"))
    return folder if folder.is_absolute() else ROOT / folder


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(extra=None):
    """The caller's environment without settings that would change the server under test."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DEEPSEEK_")}
    for key in ("DEEPSEEK_CACHE", "DEEPSEEK_MODEL__PATH"):
        if key in os.environ:
            kept[key] = os.environ[key]
    kept["XDG_STATE_HOME"] = state_folder()
    kept["DEEPSEEK_KERNELS"] = kernels.fastest()
    return {**kept, **(extra or {})}


@functools.cache
def state_folder():
    """Where the servers of this run keep their files; gone at its end."""
    folder = tempfile.TemporaryDirectory(prefix="deepseek-state-")
    atexit.register(folder.cleanup)
    return folder.name


def run(arguments, extra_environment=None, folder=None, program="deepseek-server", cwd=ROOT):
    """Runs a program to its end; returns CompletedProcess with text output."""
    return subprocess.run(
        [str((folder or programs()) / program), *map(str, arguments)],
        env=environment(extra_environment),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        preexec_fn=_die_with_parent,
    )


class Server:
    """Starts on construction. `wait` is "ready", "listening" or None."""

    def __init__(
        self,
        arguments=(),
        settings=None,
        extra_environment=None,
        wait="ready",
        folder=None,
        port=0,
        cwd=ROOT,
        scheme="http",
    ):
        self.scheme = scheme
        self.log = []  # parsed lines; a line that is not JSON is {"raw": text}
        self._changed = threading.Condition()
        self._ended = False
        self._killed = []
        command = [str((folder or programs()) / "deepseek-server"), *map(str, arguments)]
        if port is not None:
            command += ["--port", str(port)]
        for key, value in {**BASE_SETTINGS, **(settings or {})}.items():
            command += ["--set", f"{key}={value}"]
        self.command = command
        self.process = subprocess.Popen(
            command,
            env=environment(extra_environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            if wait in ("ready", "listening"):
                self.wait_listening()
            if wait == "ready":
                self.wait_ready()
        except BaseException:
            self.kill()
            raise

    # --- what it says ---------------------------------------------------------------------------

    def _read_log(self):
        for line in self.process.stderr:
            text = line.decode("utf-8", "replace").rstrip("\n")
            try:
                entry = json.loads(text)
            except ValueError:
                entry = {"raw": text}
            with self._changed:
                self.log.append(entry if isinstance(entry, dict) else {"raw": text})
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def log_text(self):
        return "\n".join(entry.get("raw") or json.dumps(entry) for entry in list(self.log))

    def wait_for_log(self, matches, what, start=0, timeout=PATIENCE_SECONDS):
        """The first log entry from index `start` on for which matches(entry) is true."""

        def found():
            return next((entry for entry in self.log[start:] if matches(entry)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, timeout)
            entry = found()
        if entry is None:
            state = "ended" if self._ended else f"did not within {timeout:g} s"
            raise AssertionError(f"waiting for {what}: the server {state}\n{self.log_text()}")
        return entry

    def _listening(self, role):
        return self.wait_for_log(
            lambda entry: entry.get("message") == "listening" and entry.get("for") == role,
            f"the log line 'listening' for {role}",
        )

    def wait_listening(self):
        entry = self._listening("api")
        self.port = int(entry["port"])
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.metrics_url = f"http://127.0.0.1:{int(self._listening('metrics')['port'])}"

    def wait_ready(self, timeout=PATIENCE_SECONDS):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended while loading\n{self.log_text()}")
            return self.get("/ready").status == 200

        wait_until(ready, "GET /ready answers 200", timeout)

    # --- talking to it --------------------------------------------------------------------------

    def get(self, path, fields=()):
        return http.request(self.url, "GET", path, fields)

    def post(self, path, body, fields=()):
        return http.request(self.url, "POST", path, fields, body)

    def stream(self, path, body, fields=()):
        return http.open_stream(self.url, path, body, fields)

    def chat(self, content="Say hello.", tokens_max=8, **more):
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": tokens_max}
        return self.post("/v1/chat/completions", {**body, **more})

    def chat_stream(self, content="Tell a long story.", tokens_max=400, **more):
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": tokens_max}
        return self.stream("/v1/chat/completions", {**body, "stream": True, **more})

    def metrics(self):
        return Metrics(http.request(self.metrics_url, "GET", "/metrics").text())

    def wait_metric(self, name, wanted, timeout=PATIENCE_SECONDS, **labels):
        """Waits until the metric is `wanted`, a number or a function of the value."""
        matches = wanted if callable(wanted) else lambda value: value == wanted
        wait_until(
            lambda: matches(self.metrics().value(name, **labels)), f"{name} is as wanted", timeout
        )

    # --- its processes --------------------------------------------------------------------------

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """Process ids of the server's living children: the engines."""
        found = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                found += map(int, (task / "children").read_text().split())
            except FileNotFoundError:
                continue
        return [pid for pid in found if process_exists(pid)]

    def engine_pid(self):
        """The engine's process id, as soon as there is one."""
        return wait_until(self.children, "an engine process exists")[0]

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=PATIENCE_SECONDS):
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self, timeout=PATIENCE_SECONDS):
        """SIGTERM, and the exit code. Fails when an engine outlives the server."""
        if self.process.poll() is None:
            engines = self.children()
            self.signal(signal.SIGTERM)
            self.wait_exit(timeout)
            for pid in engines:
                wait_until(lambda pid=pid: not process_exists(pid), f"engine {pid} has ended")
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait_exit()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self.kill()


def rss_bytes(pid):
    """Resident memory of one process, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0
