"""Real programs of others, where a machine has them."""

import re
import subprocess
import threading

from support import cached, http
from support.server import _die_with_parent
from support.waiting import wait_until


def llama_server():
    """Its program: DEEPSEEK_LLAMA_SERVER, or one that was built here before."""
    return cached.find("DEEPSEEK_LLAMA_SERVER", "llama-*/bin/llama-server", "llama-server")


class LlamaServer:
    """llama-server on a port that the system chooses."""

    def __init__(self, model):
        arguments = ["-m", model, "-t", "1", "-np", "1", "-c", "2048"]
        arguments += ["--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [str(llama_server()), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        self._origin = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self._origin or self.process.poll() is not None, "llama-server listens")
        assert self._origin, "llama-server ended"
        self.url = self._origin + "/v1"
        wait_until(lambda: http.request(self._origin, "GET", "/health").status == 200, "it is well")

    def _read(self):
        for line in self.process.stderr:
            found = re.search(rb"listening on (http://127\.0\.0\.1:\d+)", line)
            if found:
                self._origin = found.group(1).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        self.process.stderr.close()
