"""The two programs of this benchmark, from Python: the canned upstream and the load generator."""

import json
import pathlib
import re
import subprocess

from gateway import processes
from support import http
from support.waiting import wait_until

LOAD_SECONDS_MORE = 60  # a run that takes so much longer than it was told is broken


class BenchError(RuntimeError):
    """A run that measured nothing: its numbers must not go into a table."""


class Upstream:
    """A running gateway_upstream on a port that the system chose, or on `port`."""

    def __init__(self, place, port=0, **flags):
        self.place = place
        self.flags = flags
        log = place.file("upstream.log")
        words = [str(place.programs / "gateway_upstream"), "--port", str(port)]
        for name, value in flags.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        self.process = processes.start(words, place.cores.upstream, log)

        def found():
            if self.process.poll() is not None:
                raise BenchError(f"gateway_upstream ended: {log.read_text('utf-8')[-500:]}")
            return re.search(r"listening on (\d+)", log.read_text("utf-8"))

        self.port = int(wait_until(found, "the upstream listens")[1])

    def requests(self):
        """How many chat requests it has answered or begun to answer."""
        answer = http.request(f"http://127.0.0.1:{self.port}", "GET", "/stats")
        return answer.json()["requests"]

    def stop(self):
        processes.stop(self.process)

    def kill(self):
        processes.kill(self.process)


class Place:
    """Where a run happens: folder of our programs, cores, and a folder for files that goes away."""

    def __init__(self, programs, cores, folder):
        self.programs = pathlib.Path(programs)
        self.cores = cores
        self.folder = pathlib.Path(folder)
        self._files = 0

    def file(self, name):
        """A path that nobody has used yet."""
        self._files += 1
        return self.folder / f"{self._files:03}-{name}"


def load(place, target, mode, **flags):
    """One run of gateway_load against `target`; returns what it printed."""
    words = [str(place.programs / "gateway_load"), "--mode", mode, "--port", str(target.port)]
    words += ["--path", target.path, "--model", target.model]
    for header in target.headers:
        words += ["--header", header]
    for name, value in flags.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    seconds = float(flags.get("seconds", 1)) + float(flags.get("warm_seconds", 0))
    with processes.on_core(place.cores.load):
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=processes.end_with_parent,
        )
    try:
        output, said = process.communicate(timeout=seconds + LOAD_SECONDS_MORE)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BenchError(f"gateway_load ended with {process.returncode}: {said[-500:]}")
    return json.loads(output)


def good_load(place, target, mode, **flags):
    """load(), where an error of any request makes the numbers worthless."""
    result = load(place, target, mode, **flags)
    if result["errors"] or not result["answered"]:
        raise BenchError(
            f"{target.name}: {result['answered']} answers and {result['errors']} errors, "
            f"the first: {result['first_error'] or 'none'}"
        )
    return result
